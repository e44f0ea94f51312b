//! Claims rows of lanes that have something due and a slot to spare.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_core::lanes::{LaneId, Lanes, Reserved, Slot};
use postrider_core::{Timestamp, World};
use postrider_store::{DueLanes, Handed, Queue};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::timers::Timers;

/// Most rows claimed of one lane before the next has its turn.
const PER_TURN: usize = 128;

/// Most lanes claimed from at a time. Where a database has one writer, one commit takes them all.
const LANES_AT_A_TIME: usize = 8;

/// How often all lanes are looked at, for what nobody told us of.
const SWEEP: Duration = Duration::from_secs(1);

/// With very many lanes, the part of the time that goes into looking: one in so many.
const SWEEP_SHARE: u32 = 50;

/// And yet so often: a look may also take long because the database was away, and much is to be found then.
const RAREST_SWEEP: Duration = Duration::from_secs(5);

/// Lanes read at once by a sweep.
const SWEEP_PAGE: usize = 256;

/// What the service works with.
pub(crate) struct Claimer {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) lanes: Lanes,
    pub(crate) world: World,
    pub(crate) stop: CancellationToken,
    pub(crate) start: Arc<dyn Fn(Handed) + Send + Sync>,
    pub(crate) ready: Ready,
    pub(crate) claims: JoinSet<(LaneId, Next)>,
    pub(crate) timers: Timers,
}

/// When to claim from a lane again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// At once: it has more.
    Now,
    At(Timestamp),
    /// When it is named again.
    WhenNamed,
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
    /// Those that are being claimed from.
    busy: HashSet<LaneId>,
}

impl Ready {
    fn push(&mut self, lane: LaneId) {
        if self.known.insert(lane) {
            self.turns.push_back(lane);
        }
    }

    /// The first that is not being claimed from. Now it is.
    fn pop(&mut self) -> Option<LaneId> {
        let first = self.turns.iter().position(|lane| !self.busy.contains(lane))?;
        let lane = self.turns.remove(first)?;
        self.known.remove(&lane);
        self.busy.insert(lane);
        Some(lane)
    }

    /// It may be claimed from again.
    fn done(&mut self, lane: LaneId) {
        self.busy.remove(&lane);
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
                sweep_at = self.world.now() + (begun.elapsed() * SWEEP_SHARE).clamp(SWEEP, RAREST_SWEEP);
            }
            self.hear(&mut signals);
            let now = self.world.now();
            self.timers.take_due(now).into_iter().for_each(|lane| self.ready.push(lane));
            self.claim_ready();
            self.answer_drains(&mut drains).await;
            let wake_at = self.timers.next().map_or(sweep_at, |next| next.min(sweep_at));
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.world.clock().sleep_until(wake_at) => {}
                () = signals.due.arrived() => {}
                Some(ended) = self.claims.join_next() => self.claimed(ended),
                Some((at, lane)) = signals.retries.recv() => self.timers.set(at, lane),
                Some(drain) = signals.drains.recv() => {
                    drains.push(drain);
                    sweep_at = self.world.now();
                }
            }
        }
        // What is being claimed is still started: it is given back in order there.
        while self.claims.join_next().await.is_some() {}
    }

    /// Takes in what was said meanwhile.
    fn hear(&mut self, signals: &mut Signals) {
        signals.due.take().into_iter().for_each(|lane| self.ready.push(lane));
        while let Ok((at, lane)) = signals.retries.try_recv() {
            self.timers.set(at, lane);
        }
    }

    /// Claims from lanes that are ready, each once at a time.
    fn claim_ready(&mut self) {
        while self.claims.len() < LANES_AT_A_TIME
            && let Some(lane) = self.ready.pop()
        {
            match self.lanes.reserve_waiting(lane, PER_TURN, self.world.now()) {
                Reserved::Slots(slots) => drop(self.claims.spawn(self.claim(lane, slots))),
                // The lane is named again when one comes free.
                Reserved::WhenFreed => self.ready.done(lane),
                Reserved::At(at) => {
                    self.ready.done(lane);
                    self.timers.set(at, lane);
                }
            }
        }
    }

    fn claim(&self, lane: LaneId, slots: Vec<Slot>) -> impl Future<Output = (LaneId, Next)> + use<> {
        let (queue, start) = (Arc::clone(&self.queue), Arc::clone(&self.start));
        let (lanes, world) = (self.lanes.clone(), self.world.clone());
        async move {
            let wanted = slots.len();
            let next = match queue.claim(lane, wanted).await {
                Ok(rows) => {
                    let more = rows.len() == wanted;
                    for (claimed, slot) in rows.into_iter().zip(slots) {
                        let slot = slot.holding(claimed.event.draft.payload.len());
                        start(Handed { claimed, slot });
                    }
                    lanes.set_waiting(lane, more, world.now());
                    if more { Next::Now } else { Next::WhenNamed }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot claim; trying again soon");
                    Next::At(world.now() + SWEEP)
                }
            };
            (lane, next)
        }
    }

    fn claimed(&mut self, ended: Result<(LaneId, Next), JoinError>) {
        let (lane, next) = match ended {
            Ok(ended) => ended,
            Err(error) => return drop(error.try_into_panic().map(|panic| std::panic::resume_unwind(panic))),
        };
        self.ready.done(lane);
        match next {
            Next::Now => self.ready.push(lane),
            Next::At(at) => self.timers.set(at, lane),
            Next::WhenNamed => {}
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_take_turns_and_each_is_claimed_from_once_at_a_time() {
        let (a, b) = (LaneId(1), LaneId(2));
        let mut ready = Ready::default();
        for lane in [a, b, a] {
            ready.push(lane);
        }
        assert_eq!(ready.pop(), Some(a));
        ready.push(a);
        assert_eq!(ready.pop(), Some(b));
        assert_eq!(ready.pop(), None);
        ready.done(a);
        assert_eq!(ready.pop(), Some(a));
        assert_eq!(ready.pop(), None);
    }
}
