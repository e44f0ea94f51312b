//! The way of a claimed delivery from its accept to its sending, without passing through the table.

use std::sync::Arc;

use postrider_core::event::Event;
use postrider_core::lanes::{LaneId, Lanes, Slot};
use postrider_core::{DeliveryId, SubscriptionId, Timestamp};
use tokio::sync::mpsc;

/// A delivery that this node may send, and nobody else until the lease ends.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The delivery.
    pub id: DeliveryId,
    /// What it carries.
    pub event: Arc<Event>,
    /// Whose endpoint.
    pub subscription_id: SubscriptionId,
    /// The lane it was queued in.
    pub lane: LaneId,
    /// The fence.
    pub claim: i64,
    /// Claims in a row without a trace, this one included.
    pub strikes: i64,
    /// A mark was found: it was being sent alone when a process ended.
    pub marked: bool,
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
    pub lanes: mpsc::UnboundedReceiver<LaneId>,
}

/// The sending half. Never blocks: what it carries holds a slot, and slots are few. Lane names are
/// taken out as fast as they come and kept in a set.
#[derive(Clone, Debug)]
pub struct HandOver {
    lanes: Lanes,
    handed: mpsc::UnboundedSender<Handed>,
    due: mpsc::UnboundedSender<LaneId>,
}

impl HandOver {
    /// A channel to a dispatcher that has these slots, made by `lanes` from who hears of freed ones.
    #[must_use]
    pub fn new(limits: postrider_core::lanes::LaneLimits) -> (Self, Inbox) {
        let (handed, handed_inbox) = mpsc::unbounded_channel();
        let (due, due_inbox) = mpsc::unbounded_channel();
        let freed = due.clone();
        let tell = move |lane| {
            let _ = freed.send(lane);
        };
        let lanes = Lanes::new(limits, Box::new(tell));
        (Self { lanes, handed, due }, Inbox { handed: handed_inbox, lanes: due_inbox })
    }

    /// To nobody: everything waits in the table for other processes.
    #[must_use]
    pub fn closed() -> Self {
        let (handed, _) = mpsc::unbounded_channel();
        let (due, _) = mpsc::unbounded_channel();
        Self { lanes: Lanes::none(), handed, due }
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

    /// Says that rows of `lane` may be due.
    pub fn wake(&self, lane: LaneId) {
        let _ = self.due.send(lane);
    }
}
