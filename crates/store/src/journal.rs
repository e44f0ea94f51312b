//! What the API sees of what happened.

use std::sync::Arc;

use async_trait::async_trait;
use postrider_core::attempt::{Attempt, Exchange};
use postrider_core::audit::AuditEntry;
use postrider_core::cursor::{Listed, Page};
use postrider_core::delivery::{Delivery, DeliveryState, StatusFilter};
use postrider_core::event::{Event, EventDraft, OneOff};
use postrider_core::explain::Check;
use postrider_core::lanes::LaneId;
use postrider_core::profile::Profile;
use postrider_core::{CallbackId, DeliveryId, EventId, LogId, SubscriptionId, TenantId, Timestamp};
use uuid::Uuid;

use crate::error::{Result, StoreError};
use crate::queue::Backlog;

/// An event was accepted: it and all its deliveries are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The event.
    pub id: EventId,
    /// Its type.
    pub event_type: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// How many deliveries it makes.
    pub deliveries: i64,
    /// Whether an earlier publish with the same key made it.
    pub duplicate: bool,
}

/// When events are to be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// With the next commit.
    Pressing,
    /// Along with somebody else's event, or after five milliseconds: so that they make no commits that others wait for.
    Patient,
}

/// An event was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The idempotency key was used for something else.
    #[error("this idempotency key was used for another event")]
    KeyReused,
    /// The tenant is gone.
    #[error("there is no such tenant")]
    NoTenant,
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PublishError {
    /// The same for somebody else who waited for it too.
    pub(crate) fn copy(&self) -> Self {
        match self {
            Self::KeyReused => Self::KeyReused,
            Self::NoTenant => Self::NoTenant,
            Self::Store(error) => Self::Store(error.copy()),
        }
    }
}

/// Which events a list asks for.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Of this type.
    pub event_type: Option<String>,
    /// About this resource.
    pub resource_id: Option<String>,
    /// With a delivery to this subscription.
    pub subscription_id: Option<SubscriptionId>,
    /// With a delivery to this callback.
    pub callback_id: Option<CallbackId>,
    /// With a delivery in such a state.
    pub status: Option<StatusFilter>,
    /// Accepted at or after.
    pub since: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
}

/// Which deliveries a list asks for.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Of this event.
    pub event_id: Option<EventId>,
    /// Of events of this type.
    pub event_type: Option<String>,
    /// To this subscription.
    pub subscription_id: Option<SubscriptionId>,
    /// To this callback.
    pub callback_id: Option<CallbackId>,
    /// In such a state.
    pub status: Option<StatusFilter>,
    /// Made at or after.
    pub since: Option<Timestamp>,
    /// Made before.
    pub until: Option<Timestamp>,
}

/// How many deliveries of an event are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// To be tried.
    pub pending: i64,
    /// A 2xx came back.
    pub delivered: i64,
    /// Ended without one.
    pub failed: i64,
    /// Not to be tried.
    pub discarded: i64,
}

impl StatusCounts {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> i64 {
        self.pending + self.delivered + self.failed + self.discarded
    }

    /// Adds `count` deliveries in `state`.
    pub fn add(&mut self, state: DeliveryState, count: i64) {
        let field = match state {
            DeliveryState::Pending => &mut self.pending,
            DeliveryState::Delivered => &mut self.delivered,
            DeliveryState::Failed => &mut self.failed,
            DeliveryState::Discarded => &mut self.discarded,
        };
        *field += count;
    }
}

/// An event as people see it.
#[derive(Clone, Debug)]
pub struct EventView {
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub event_type: String,
    /// The JSON that was published; `None` in lists, and once payload retention took it.
    pub payload: Option<String>,
    /// The publisher's own data, a JSON object.
    pub metadata: Option<String>,
    /// What it is about.
    pub resource_id: Option<String>,
    /// The publisher's key.
    pub idempotency_key: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it happened.
    pub occurred_at: Option<Timestamp>,
    /// After this, no try is made.
    pub expires_at: Option<Timestamp>,
    /// Where it went besides, and in which wire format.
    pub one_off: Option<OneOff>,
    /// Its deliveries by state.
    pub counts: StatusCounts,
}

/// Which entries of the audit log a list asks for.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// What was done.
    pub action: Option<String>,
    /// What it was done to.
    pub object_id: Option<String>,
    /// By whom.
    pub actor_id: Option<Uuid>,
    /// Done at or after.
    pub since: Option<Timestamp>,
    /// Done before.
    pub until: Option<Timestamp>,
}

/// A delivery with what was tried.
#[derive(Clone, Debug)]
pub struct DeliveryView {
    /// The delivery.
    pub delivery: Delivery,
    /// Its attempts, the first first; empty in lists.
    pub attempts: Vec<Attempt>,
}

/// What a delivery sends.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The delivery with what was tried.
    pub view: DeliveryView,
    /// The event; `None` once payload retention took what was sent.
    pub event: Option<Event>,
    /// What goes with it, in formats that have room for it.
    pub metadata: Option<Arc<str>>,
    /// The wire format that it was made with; `None` if nobody knows it any more.
    pub profile: Option<Arc<Profile>>,
}

/// Why an event did or did not go to a subscription.
#[derive(Clone, Debug)]
pub struct Explained {
    /// What was checked, in this order.
    pub checks: Vec<Check>,
    /// The delivery with its attempts, if there is one.
    pub delivery: Option<DeliveryView>,
}

/// Why a delivery cannot be tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReopenError {
    /// There is none, or it is another tenant's.
    #[error("not found")]
    NotFound,
    /// It is still being tried.
    #[error("the delivery is still pending; it is tried again by itself")]
    Pending,
    /// Its subscription receives nothing.
    #[error("the webhook is inactive; activate it first")]
    Inactive,
    /// Its subscription is gone.
    #[error("the webhook was deleted")]
    Deleted,
    /// Its callback is gone.
    #[error("the callback was deleted")]
    CallbackDeleted,
    /// Payload retention took what would have to be sent.
    #[error("the event's payload is no longer kept")]
    PayloadGone,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Events, deliveries and attempts. Everything is scoped by tenant.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Accepts events, each by itself: `Ok` means that it and its deliveries are on disk. In the
    /// order of `drafts`.
    async fn publish(
        &self,
        tenant_id: TenantId,
        drafts: Vec<EventDraft>,
        urgency: Urgency,
    ) -> Vec<Result<Receipt, PublishError>>;

    /// Events, newest first, without payloads.
    async fn events(&self, tenant_id: TenantId, filter: &EventFilter, page: Page) -> Result<Listed<EventView>>;
    /// One event, whole.
    async fn event(&self, tenant_id: TenantId, id: EventId) -> Result<Option<EventView>>;

    /// Deliveries, newest first, without attempts.
    async fn deliveries(
        &self,
        tenant_id: TenantId,
        filter: &DeliveryFilter,
        page: Page,
    ) -> Result<Listed<DeliveryView>>;
    /// One delivery with its attempts.
    async fn delivery(&self, tenant_id: TenantId, id: DeliveryId) -> Result<Option<DeliveryView>>;
    /// One delivery with what it sends.
    async fn sent(&self, tenant_id: TenantId, id: DeliveryId) -> Result<Option<Sent>>;
    /// The deliveries of an event with their attempts, the oldest first, at most 250.
    async fn deliveries_of(&self, tenant_id: TenantId, event_id: EventId) -> Result<Vec<DeliveryView>>;
    /// The first deliveries of each of these events, without attempts, at most 20 each.
    async fn deliveries_of_each(&self, tenant_id: TenantId, event_ids: &[EventId]) -> Result<Vec<DeliveryView>>;
    /// What speaks for and against an event's delivery to a subscription; `None` if there is no such
    /// event or was no such subscription.
    async fn explain(&self, tenant_id: TenantId, event_id: EventId, id: SubscriptionId) -> Result<Option<Explained>>;
    /// What waits in a lane of the tenant.
    async fn backlog(&self, tenant_id: TenantId, lane: LaneId) -> Result<Backlog>;
    /// How many deliveries to a subscription wait to be discarded: more than the call did that deactivated it.
    async fn left_to_discard(&self, tenant_id: TenantId, id: SubscriptionId) -> Result<u64>;
    /// How many deliveries of the tenant are pending.
    async fn count_pending(&self, tenant_id: TenantId) -> Result<u64>;
    /// One attempt, whole.
    async fn attempt(&self, tenant_id: TenantId, id: LogId) -> Result<Option<Attempt>>;

    /// Opens an ended delivery again: attempt numbers continue, the schedule starts anew.
    async fn retry(&self, tenant_id: TenantId, id: DeliveryId) -> Result<DeliveryView, ReopenError>;
    /// Opens the ended deliveries of an event again, or the one to `subscription_id`, made if there
    /// was none. Returns how many were opened.
    async fn replay(
        &self,
        tenant_id: TenantId,
        event_id: EventId,
        subscription_id: Option<SubscriptionId>,
    ) -> Result<i64, ReopenError>;

    /// Adds an entry to the audit log, on disk when it returns.
    async fn audit(&self, entry: &AuditEntry) -> Result<()>;
    /// What was done in a tenant, newest first.
    async fn audit_entries(&self, tenant_id: TenantId, filter: &AuditFilter, page: Page) -> Result<Vec<AuditEntry>>;

    /// Records a test, which belongs to no delivery and counts in no statistics.
    async fn record_test(&self, tenant_id: TenantId, exchange: &Exchange) -> Result<LogId>;
}
