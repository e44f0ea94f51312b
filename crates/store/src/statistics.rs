//! What the API sees of statistics.

use async_trait::async_trait;
use postrider_core::failing::Streak;
use postrider_core::tally::{Tally, Width};
use postrider_core::{SubscriptionId, TenantId, Timestamp};

use crate::error::Result;

/// Whose statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The whole installation's.
    All,
    /// A tenant's.
    Tenant(TenantId),
    /// A subscription's.
    Subscription(TenantId, SubscriptionId),
}

/// What waits to be sent, as far as it was counted in bounded time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Pending deliveries.
    pub pending: i64,
    /// Whether these are all.
    pub is_exact: bool,
    /// When the one that is due the longest came due, or will.
    pub oldest_due_at: Option<Timestamp>,
}

/// A process that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub number: i64,
    /// When it began.
    pub started_at: Timestamp,
}

/// Rates, latencies, and what is under way.
#[async_trait]
pub trait Statistics: Send + Sync + 'static {
    /// The tallies of a period in the order of time, with the beginning of each; those of nothing are left out.
    async fn tallies(
        &self,
        whose: Whose,
        width: Width,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Timestamp, Tally)>>;
    /// What waits now.
    async fn waiting(&self, whose: Whose) -> Result<Waiting>;
    /// A tenant's subscriptions whose last attempts all failed.
    async fn failing(&self, tenant_id: TenantId) -> Result<Vec<(SubscriptionId, Streak)>>;
    /// How many subscriptions fail, of each tenant that has such.
    async fn failing_by_tenant(&self) -> Result<Vec<(TenantId, i64)>>;
    /// The processes that serve on a shared database; none where there is but one.
    async fn nodes(&self) -> Result<Vec<Node>>;
}
