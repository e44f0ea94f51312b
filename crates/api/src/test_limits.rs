//! A tenant's share of synchronous tests: they cost a connection to the outside each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postrider_core::{TenantId, Timestamp};

use crate::problem::Problem;

/// Most tests of a tenant in a minute.
const PER_MINUTE: u32 = 300;
/// Most tests of a tenant at once.
const AT_ONCE: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct TestLimits(Mutex<HashMap<TenantId, Used>>);

#[derive(Debug)]
struct Used {
    since: Timestamp,
    in_minute: u32,
    at_once: u32,
}

/// One test under way.
#[derive(Debug)]
pub(crate) struct TestPermit<'a> {
    limits: &'a TestLimits,
    tenant_id: TenantId,
}

impl TestLimits {
    /// The right to make one test now.
    pub(crate) fn enter(&self, tenant_id: TenantId, now: Timestamp) -> Result<TestPermit<'_>, Problem> {
        let mut tenants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.retain(|_, used| used.at_once > 0 || now.since(used.since) < MINUTE);
        let used = tenants.entry(tenant_id).or_insert(Used { since: now, in_minute: 0, at_once: 0 });
        let age = now.since(used.since);
        if age >= MINUTE {
            (used.since, used.in_minute) = (now, 0);
        }
        if used.at_once >= AT_ONCE {
            let detail = format!("At most {AT_ONCE} tests can run at once.");
            return Err(Problem::too_many(detail, Duration::from_secs(1)));
        }
        if used.in_minute >= PER_MINUTE {
            let detail = format!("At most {PER_MINUTE} tests can be made in a minute.");
            return Err(Problem::too_many(detail, MINUTE.saturating_sub(age)));
        }
        used.in_minute += 1;
        used.at_once += 1;
        Ok(TestPermit { limits: self, tenant_id })
    }
}

impl Drop for TestPermit<'_> {
    fn drop(&mut self) {
        let mut tenants = self.limits.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = tenants.get_mut(&self.tenant_id) {
            used.at_once -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_its_share_and_no_more() {
        let limits = TestLimits::default();
        let tenant = |n| TenantId::from(uuid::Uuid::from_u128(n));
        let now = Timestamp::from_micros(0);
        let held: Vec<_> = (0..AT_ONCE).map(|_| limits.enter(tenant(1), now).expect("a share")).collect();
        assert!(limits.enter(tenant(1), now).is_err());
        assert!(limits.enter(tenant(2), now).is_ok());
        drop(held);
        for _ in AT_ONCE..PER_MINUTE {
            drop(limits.enter(tenant(1), now).expect("a share"));
        }
        assert!(limits.enter(tenant(1), now).is_err());
        assert!(limits.enter(tenant(1), now + MINUTE).is_ok());
    }
}
