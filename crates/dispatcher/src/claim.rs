//! Claims rows of lanes that have something due and a slot to spare.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_core::lanes::{LaneId, Lanes, Reserved, Slot};
use postrider_core::{Timestamp, World};
use postrider_store::{DueLanes, Handed, Queue, Result};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::timers::Timers;

/// Most rows claimed of one lane before the next has its turn.
const PER_TURN: usize = 64;

/// How often all lanes are looked at, for what nobody told us of.
const SWEEP: Duration = Duration::from_secs(1);

/// With very many lanes, the part of the time that goes into looking: one in so many.
const SWEEP_SHARE: u32 = 50;

/// Lanes read at once by a sweep.
const SWEEP_PAGE: usize = 256;

/// What the service works with.
pub(crate) struct Claimer {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) lanes: Lanes,
    pub(crate) world: World,
    pub(crate) stop: CancellationToken,
    pub(crate) start: Box<dyn Fn(Handed) + Send + Sync>,
    pub(crate) ready: Ready,
    pub(crate) timers: Timers,
}

/// What the service hears.
pub(crate) struct Signals {
    /// Lanes with rows that are due, or slots that came free.
    pub(crate) due: DueLanes,
    /// Retries to come.
    pub(crate) retries: mpsc::UnboundedReceiver<(Timestamp, LaneId)>,
    /// Somebody wants to hear when nothing is due any more.
    pub(crate) drains: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
}

/// Lanes to claim from, each once, taking turns.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    turns: VecDeque<LaneId>,
    known: HashSet<LaneId>,
}

impl Ready {
    fn push(&mut self, lane: LaneId) {
        if self.known.insert(lane) {
            self.turns.push_back(lane);
        }
    }

    fn pop(&mut self) -> Option<LaneId> {
        let lane = self.turns.pop_front()?;
        self.known.remove(&lane);
        Some(lane)
    }
}

impl Claimer {
    pub(crate) async fn run(mut self, mut signals: Signals) {
        let mut sweep_at = self.world.now();
        let mut drains: Vec<oneshot::Sender<()>> = Vec::new();
        while !self.stop.is_cancelled() {
            if self.world.now() >= sweep_at {
                let begun = Instant::now();
                self.sweep().await;
                sweep_at = self.world.now() + SWEEP.max(begun.elapsed() * SWEEP_SHARE);
            }
            self.hear(&mut signals);
            let now = self.world.now();
            self.timers.take_due(now).into_iter().for_each(|lane| self.ready.push(lane));
            if let Some(lane) = self.ready.pop() {
                self.claim(lane).await;
                continue;
            }
            self.answer_drains(&mut drains).await;
            let wake_at = self.timers.next().map_or(sweep_at, |next| next.min(sweep_at));
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.world.clock().sleep_until(wake_at) => {}
                () = signals.due.arrived() => {}
                Some((at, lane)) = signals.retries.recv() => self.timers.set(at, lane),
                Some(drain) = signals.drains.recv() => {
                    drains.push(drain);
                    sweep_at = self.world.now();
                }
            }
        }
    }

    /// Takes in what was said meanwhile.
    fn hear(&mut self, signals: &mut Signals) {
        signals.due.take().into_iter().for_each(|lane| self.ready.push(lane));
        while let Ok((at, lane)) = signals.retries.try_recv() {
            self.timers.set(at, lane);
        }
    }

    async fn claim(&mut self, lane: LaneId) {
        let slots = match self.lanes.reserve_waiting(lane, PER_TURN, self.world.now()) {
            Reserved::Slots(slots) => slots,
            // The lane is named again when one comes free.
            Reserved::WhenFreed => return,
            Reserved::At(at) => return self.timers.set(at, lane),
        };
        let wanted = slots.len();
        match self.claim_into(lane, slots).await {
            Ok(claimed) => {
                let more = claimed == wanted;
                self.lanes.set_waiting(lane, more, self.world.now());
                if more {
                    self.ready.push(lane);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot claim; trying again soon");
                self.timers.set(self.world.now() + SWEEP, lane);
            }
        }
    }

    async fn claim_into(&self, lane: LaneId, slots: Vec<Slot>) -> Result<usize> {
        let rows = self.queue.claim(lane, slots.len()).await?;
        let claimed = rows.len();
        for (claimed, slot) in rows.into_iter().zip(slots) {
            let slot = slot.holding(claimed.event.draft.payload.len());
            (self.start)(Handed { claimed, slot });
        }
        Ok(claimed)
    }

    /// Looks at every lane with pending rows: what was left by a crash, by another process, or by a
    /// timer that had no room.
    async fn sweep(&mut self) {
        let mut after = None;
        loop {
            let page = match self.queue.lanes_due(after, SWEEP_PAGE).await {
                Ok(page) => page,
                Err(error) => return tracing::warn!(%error, "cannot look for due deliveries; trying again soon"),
            };
            let now = self.world.now();
            for due in &page {
                if due.at <= now {
                    self.ready.push(due.lane);
                } else {
                    self.timers.set(due.at, due.lane);
                }
            }
            after = page.last().map(|due| due.lane);
            if page.len() < SWEEP_PAGE {
                return;
            }
        }
    }

    /// Nothing is ready; if nothing is in flight either, whoever waits for that hears of it.
    async fn answer_drains(&mut self, drains: &mut Vec<oneshot::Sender<()>>) {
        if drains.is_empty() || self.lanes.in_flight() > 0 {
            return;
        }
        self.sweep().await;
        if self.ready.turns.is_empty() {
            for drain in drains.drain(..) {
                let _ = drain.send(());
            }
        }
    }
}
