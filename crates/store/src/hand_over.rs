//! The way of a claimed delivery from its accept to its sending, without passing through the table.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use postrider_core::callback::Callback;
use postrider_core::event::Event;
use postrider_core::lanes::{LaneId, LaneLimits, Lanes, Slot};
use postrider_core::profile::Profile;
use postrider_core::target::TargetId;
use postrider_core::{DeliveryId, EventId, TenantId, Timestamp};
use tokio::sync::{Notify, mpsc};

use crate::recent::RecentEvents;

/// A delivery that this node may send, and nobody else until the lease ends.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The delivery.
    pub id: DeliveryId,
    /// What it carries.
    pub event: Arc<Event>,
    /// Whose endpoint.
    pub target: TargetId,
    /// The callback, if it goes to one that was not deleted.
    pub callback: Option<Arc<Callback>>,
    /// The catalogue version that it was matched against; 0 if it was just read from the table.
    pub version: i64,
    /// The catalogue version at which it was made or opened again; `None` if that was before versions were kept.
    pub opened_version: Option<i64>,
    /// The version of the wire format that it was made with; `None` if nobody knows it.
    pub profile: Option<Arc<Profile>>,
    /// The lane it was queued in.
    pub lane: LaneId,
    /// The fence.
    pub claim: i64,
    /// Claims in a row without a trace, this one included.
    pub strikes: i64,
    /// How often a process ended while it was being sent alone.
    pub marks: i64,
    /// Tries since it was opened, before this one.
    pub tries: u32,
    /// Attempts in all, before this one.
    pub attempts: i64,
    /// When it was made or opened again.
    pub opened_at: Timestamp,
    /// Until when nobody else claims it, by this node's clock from before the claim was made.
    pub lease_until: Timestamp,
}

/// A claimed delivery with its right to be in flight.
#[derive(Debug)]
pub struct Handed {
    /// What to send.
    pub claimed: Claimed,
    /// The right to.
    pub slot: Slot,
}

/// What the dispatcher hears from the store's side.
#[derive(Debug)]
pub struct Inbox {
    /// Claimed deliveries.
    pub handed: mpsc::UnboundedReceiver<Handed>,
    /// Lanes with rows that are due, or slots that came free.
    pub due: DueLanes,
}

/// Lanes that somebody should look at, each once: no more memory than there are lanes.
#[derive(Clone, Debug, Default)]
pub struct DueLanes(Arc<DueInner>);

#[derive(Debug, Default)]
struct DueInner {
    lanes: Mutex<HashSet<LaneId>>,
    arrived: Notify,
}

impl DueLanes {
    pub(crate) fn push(&self, lane: LaneId) {
        self.lock().insert(lane);
        self.0.arrived.notify_one();
    }

    /// Takes what was named since the last time.
    #[must_use]
    pub fn take(&self) -> HashSet<LaneId> {
        std::mem::take(&mut self.lock())
    }

    /// Ends when a lane was named that nobody has taken; at once, if there is one, also when an earlier wait for it was given up.
    pub async fn arrived(&self) {
        while self.lock().is_empty() {
            self.0.arrived.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<LaneId>> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sending half. Never blocks: what it carries holds a slot, and slots are few.
#[derive(Clone, Debug)]
pub struct HandOver {
    lanes: Lanes,
    handed: mpsc::UnboundedSender<Handed>,
    /// Heard by the dispatcher of this process, if it has one.
    due: Option<DueLanes>,
    /// Heard by the dispatchers of other processes, if there are any.
    abroad: Arc<OnceLock<DueLanes>>,
    /// Events of deliveries that found no slot.
    recent: Arc<RecentEvents>,
}

impl HandOver {
    /// A channel to a dispatcher that has so many slots.
    #[must_use]
    pub fn new(limits: LaneLimits) -> (Self, Inbox) {
        let (handed, handed_inbox) = mpsc::unbounded_channel();
        let due = DueLanes::default();
        let freed = due.clone();
        let lanes = Lanes::new(limits, Box::new(move |lane| freed.push(lane)));
        let inbox = Inbox { handed: handed_inbox, due: due.clone() };
        (Self { lanes, handed, due: Some(due), abroad: Arc::default(), recent: recent() }, inbox)
    }

    /// To nobody: everything waits in the table for other processes.
    #[must_use]
    pub fn closed() -> Self {
        let (handed, _) = mpsc::unbounded_channel();
        Self { lanes: Lanes::none(), handed, due: None, abroad: Arc::default(), recent: recent() }
    }

    /// The slots.
    #[must_use]
    pub const fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Hands a claimed delivery over. If nobody listens any more, its lease ends by itself.
    pub fn hand_over(&self, claimed: Claimed, slot: Slot) {
        drop(self.handed.send(Handed { claimed, slot }));
    }

    /// Keeps an event at hand of which so many deliveries wait in the table for a slot of this process.
    pub(crate) fn keep(&self, event: &Arc<Event>, deliveries: usize) {
        if self.due.is_some() {
            self.recent.keep(event, deliveries, Instant::now());
        }
    }

    /// The event of a delivery that was just claimed, if it is at hand.
    pub(crate) fn kept(&self, tenant_id: TenantId, id: EventId) -> Option<Arc<Event>> {
        self.recent.claim(tenant_id, id, Instant::now())
    }

    /// Says that rows of `lane` may be due, to everybody.
    pub fn wake(&self, lane: LaneId) {
        self.wake_here(lane);
        if let Some(abroad) = self.abroad.get() {
            abroad.push(lane);
        }
    }

    /// Says so in this process.
    pub(crate) fn wake_here(&self, lane: LaneId) {
        if let Some(due) = &self.due {
            due.push(lane);
        }
    }

    /// From now on, gathers what other processes should hear.
    pub(crate) fn gather_abroad(&self) -> DueLanes {
        self.abroad.get_or_init(DueLanes::default).clone()
    }
}

fn recent() -> Arc<RecentEvents> {
    Arc::new(RecentEvents::new(Instant::now()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_gives_up_waiting_takes_no_lane_along() {
        let due = DueLanes::default();
        due.push(LaneId(1));
        // Heard, and given up before it was taken.
        due.arrived().await;
        let again = tokio::time::timeout(Duration::from_secs(5), due.arrived()).await;
        assert!(again.is_ok(), "it is still there");
        assert!(due.take().contains(&LaneId(1)));
        let more = tokio::time::timeout(Duration::from_millis(1), due.arrived()).await;
        assert!(more.is_err(), "and nothing more after it was taken");
    }
}
