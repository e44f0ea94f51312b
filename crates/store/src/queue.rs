//! What the dispatcher sees.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use postrider_core::attempt::Exchange;
use postrider_core::callback::Callback;
use postrider_core::catalogue::TenantCatalogue;
use postrider_core::lanes::LaneId;
use postrider_core::lifecycle::Decision;
use postrider_core::profile::Profile;
use postrider_core::target::TargetId;
use postrider_core::{CallbackId, DeliveryId, SubscriptionId, TenantId, Timestamp};

use crate::error::Result;
use crate::hand_over::Claimed;

/// What a claim ended with, to be written down.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which delivery.
    pub delivery_id: DeliveryId,
    /// Whose endpoint.
    pub target: TargetId,
    /// The claim it was made under.
    pub claim: i64,
    /// What was decided.
    pub decision: Decision,
    /// The request, if one was made, with its number.
    pub attempt: Option<(i64, Exchange)>,
}

/// A lane with pending rows and when the earliest of them may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneDue {
    /// The lane.
    pub lane: LaneId,
    /// The earliest time.
    pub at: Timestamp,
}

/// What waits to be sent in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Pending deliveries.
    pub pending: i64,
    /// When the one that is due the longest came due, or will; `None` if nothing is pending.
    pub oldest_due_at: Option<Timestamp>,
}

/// How long ended deliveries are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The payloads of events whose deliveries all ended.
    pub payloads: Duration,
    /// Events, deliveries and attempts.
    pub deliveries: Duration,
    /// Tallies of minutes and hours.
    pub statistics: Duration,
}

/// The queue of deliveries.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Claims up to `limit` rows of `lane` that may be claimed now, the longest due first. Rows that
    /// cannot be sent because their event is damaged are left out.
    async fn claim(&self, lane: LaneId, limit: usize) -> Result<Vec<Claimed>>;
    /// Up to `limit` lanes beyond `after` that have pending rows, in the order of their ids.
    async fn lanes_due(&self, after: Option<LaneId>, limit: usize) -> Result<Vec<LaneDue>>;
    /// Writes down how a claim ended: outcome, attempt and statistics in one transaction. False if it
    /// came too late to change the delivery.
    async fn settle(&self, settlement: Arc<Settlement>) -> Result<bool>;
    /// Gives claims back unsent, as if they had not been made.
    async fn give_back(&self, claims: &[(TenantId, DeliveryId, i64)]) -> Result<()>;
    /// The same, but nobody claims it before `until`.
    async fn put_off(&self, tenant_id: TenantId, id: DeliveryId, claim: i64, until: Timestamp) -> Result<()>;
    /// Frees the row of a claim whose task ended without an outcome; its strike stands.
    async fn abandon(&self, tenant_id: TenantId, id: DeliveryId, claim: i64) -> Result<()>;
    /// Writes a durable mark on a suspect just before it is sent. False if the claim is no longer ours.
    async fn mark(&self, tenant_id: TenantId, id: DeliveryId, claim: i64) -> Result<bool>;
    /// Deactivates a subscription whose receiver at `url` wants no more, and discards what is pending.
    /// False if it has another URL by now, or is gone.
    async fn deactivate(&self, tenant_id: TenantId, id: SubscriptionId, url: &str) -> Result<bool>;
    /// A tenant's subscriptions as they are this moment, whoever changed them; from memory where possible.
    async fn snapshot(&self, tenant_id: TenantId) -> Result<Option<Arc<TenantCatalogue>>>;
    /// A callback as it is this moment; `None` if it was deleted.
    async fn callback(&self, tenant_id: TenantId, id: CallbackId) -> Result<Option<Arc<Callback>>>;
    /// The wire format of that name: this process's own, or else the newest that any process had.
    async fn profile(&self, name: &str) -> Result<Option<Arc<Profile>>>;
    /// Makes the next bounded number of deliveries of events with very many targets. Returns the
    /// lanes that got some; `None` when there is nothing left to do.
    async fn fan_out(&self) -> Result<Option<Vec<LaneId>>>;
    /// Goes on with bulk work that a call left to be done: a page of it. Whether there may be more.
    async fn do_bulk_work(&self) -> Result<bool>;
    /// Lets the replay whose turn it is open the next deliveries. When to come again; `None` if none is running.
    async fn replay(&self) -> Result<Option<Timestamp>>;
    /// Warns of subscriptions that fail, and deactivates those that have for longer than `patience`.
    async fn look_after_failing(&self, patience: Duration) -> Result<()>;
    /// Publishes a bounded number of notices to the sender. Whether there are more.
    async fn tell(&self) -> Result<bool>;
    /// Counts a bounded number of what was written down, for statistics. Whether there is more, and no other node at it.
    async fn roll_up(&self) -> Result<bool>;
    /// Looks at a bounded number of events and removes what retention no longer keeps. False when all
    /// were looked at once; the next call begins anew.
    async fn prune(&self, retention: Retention) -> Result<bool>;
    /// What waits in each lane that has something pending, of all tenants.
    async fn backlogs(&self) -> Result<Vec<(LaneId, Backlog)>>;
    /// Whether what is to be written down will be, as far as this process goes.
    fn is_running(&self) -> bool;
    /// Waits for the commits under way and lets nobody begin another.
    async fn close(&self);
}
