//! What the API sees of replays.

use async_trait::async_trait;
use postrider_core::cursor::Page;
use postrider_core::delivery::DeliveryState;
use postrider_core::replay::{Count, Replay, ReplayScope, ReplayState};
use postrider_core::{DeliveryId, EventId, ReplayId, TenantId, Timestamp};

use crate::error::Result;

/// One of what a replay means.
#[derive(Clone, Debug)]
pub struct ReplaySample {
    /// The event.
    pub event_id: EventId,
    /// Its type.
    pub event_type: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Its delivery and how that ended; `None` if none was made.
    pub delivery: Option<(DeliveryId, DeliveryState)>,
}

/// What a replay would send again.
#[derive(Clone, Debug)]
pub struct ReplayPreview {
    /// How many deliveries.
    pub count: Count,
    /// The first of them.
    pub sample: Vec<ReplaySample>,
}

/// Replays: durable, and scoped by tenant.
#[async_trait]
pub trait Replays: Send + Sync + 'static {
    /// What such a replay means now.
    async fn preview_replay(&self, tenant_id: TenantId, scope: &ReplayScope) -> Result<ReplayPreview>;
    /// Makes one, which begins at once, on disk when it returns.
    async fn create_replay(&self, tenant_id: TenantId, scope: ReplayScope, rate: u32, total: Count) -> Result<Replay>;
    /// Replays, newest first.
    async fn replays(&self, tenant_id: TenantId, page: Page) -> Result<Vec<Replay>>;
    /// One.
    async fn find_replay(&self, tenant_id: TenantId, id: ReplayId) -> Result<Option<Replay>>;
    /// Pauses, resumes or cancels one that may become so; false if it may not, or is not there.
    async fn turn_replay(&self, tenant_id: TenantId, id: ReplayId, next: ReplayState) -> Result<bool>;
}
