//! What a key and a tenant may use up, where that is limited.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postrider_core::catalogue::TenantCatalogue;
use postrider_core::{TenantId, Timestamp};

use crate::problem::Problem;
use crate::rate_limits::RequestLimit;
use crate::state::Api;

/// What there is at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests of one key.
    pub requests: Option<RequestLimit>,
    /// Webhooks of one tenant.
    pub webhooks: Option<u64>,
    /// Pending deliveries of one tenant.
    pub pending: Option<u64>,
    /// Values that the filters of one tenant compare with, in all.
    pub filter_literals: u64,
}

/// How long a count of pending deliveries is taken for true.
const COUNTED_FOR: Duration = Duration::from_secs(1);
/// Most counts that are remembered.
const CAPACITY: usize = 10_000;

/// What tenants have.
#[derive(Debug)]
pub(crate) struct Quotas {
    limits: Limits,
    /// Pending deliveries, and when they were counted.
    pending: Mutex<HashMap<TenantId, (u64, Timestamp)>>,
}

impl Quotas {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, pending: Mutex::default() }
    }

    /// Whether a tenant may have one more webhook.
    pub(crate) fn check_webhooks(&self, catalogue: &TenantCatalogue) -> Result<(), Problem> {
        match self.limits.webhooks {
            Some(most) if catalogue.subscription_count() >= usize::try_from(most).unwrap_or(usize::MAX) => {
                Err(Problem::forbidden(format!("The tenant has {most} webhooks, the most that it may have.")))
            }
            _ => Ok(()),
        }
    }

    /// Most values that all filters of a tenant may compare with.
    pub(crate) fn most_literals(&self) -> usize {
        usize::try_from(self.limits.filter_literals).unwrap_or(usize::MAX)
    }

    /// Whether a tenant may publish. What is pending is counted once a second.
    pub(crate) async fn check_pending(&self, tenant_id: TenantId, api: &Api) -> Result<(), Problem> {
        let Some(most) = self.limits.pending else { return Ok(()) };
        let now = api.world.now();
        let counted = self.pending.lock().unwrap_or_else(PoisonError::into_inner).get(&tenant_id).copied();
        let pending = match counted.filter(|(_, at)| now.since(*at) < COUNTED_FOR) {
            Some((pending, _)) => pending,
            None => {
                let pending = api.journal.count_pending(tenant_id).await?;
                let mut counts = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
                if counts.len() >= CAPACITY {
                    counts.clear();
                }
                counts.insert(tenant_id, (pending, now));
                pending
            }
        };
        if pending < most {
            return Ok(());
        }
        let detail =
            format!("{pending} deliveries of the tenant are pending; more are taken when there are fewer than {most}.");
        Err(Problem::too_many(detail, COUNTED_FOR))
    }
}
