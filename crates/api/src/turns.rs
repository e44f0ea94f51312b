//! Batches beside other tenants: one of a tenant at a time, so that a burst leaves room for the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postrider_core::{TenantId, Timestamp};
use tokio::sync::OwnedMutexGuard;

/// How long a tenant that has published counts as one that publishes.
const RECENTLY: Duration = Duration::from_secs(1);

/// Who publishes, and whose batch is being taken.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The last two tenants that published, the latest first, and when each did so last.
    latest: [Option<(TenantId, Timestamp)>; 2],
    /// Of tenants with batches under way.
    lines: HashMap<TenantId, Arc<tokio::sync::Mutex<()>>>,
}

/// The right to have a batch taken.
#[derive(Debug)]
pub(crate) struct Turn {
    _guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Keeps in mind who publishes.
    pub(crate) fn published(&self, tenant_id: TenantId, now: Timestamp) {
        self.lock().note(tenant_id, now);
    }

    /// Waits for the tenant's turn, unless it is the only one that publishes.
    pub(crate) async fn take(&self, tenant_id: TenantId, now: Timestamp) -> Turn {
        let Some(line) = self.line(tenant_id, now) else { return Turn { _guard: None } };
        Turn { _guard: Some(line.lock_owned().await) }
    }

    fn line(&self, tenant_id: TenantId, now: Timestamp) -> Option<Arc<tokio::sync::Mutex<()>>> {
        let mut state = self.lock();
        state.note(tenant_id, now);
        let [_, other] = state.latest;
        if other.is_none_or(|(_, at)| now.since(at) > RECENTLY) {
            return None;
        }
        state.lines.retain(|_, line| Arc::strong_count(line) > 1);
        Some(Arc::clone(state.lines.entry(tenant_id).or_default()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, tenant_id: TenantId, now: Timestamp) {
        if self.latest[0].is_some_and(|(latest, _)| latest != tenant_id) {
            self.latest.swap(0, 1);
        }
        self.latest[0] = Some((tenant_id, now));
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use uuid::Uuid;

    use super::*;

    fn tenant(n: u128) -> TenantId {
        TenantId::from(Uuid::from_u128(n))
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    /// What is there without waiting.
    fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_publishes_alone_never_waits() {
        let turns = Turns::default();
        let held: Vec<Option<Turn>> = (0..9).map(|_| at_once(turns.take(tenant(1), at(0)))).collect();
        assert!(held.iter().all(Option::is_some));
    }

    #[test]
    fn beside_others_one_batch_of_a_tenant_is_taken_at_a_time() {
        let turns = Turns::default();
        turns.published(tenant(2), at(0));
        let first = at_once(turns.take(tenant(1), at(1)));
        assert!(first.is_some());
        assert!(at_once(turns.take(tenant(1), at(2))).is_none(), "the first is not done");
        assert!(at_once(turns.take(tenant(2), at(2))).is_some(), "another tenant's");
        drop(first);
        assert!(at_once(turns.take(tenant(1), at(3))).is_some());
        assert_eq!(turns.lock().lines.len(), 1, "lines that nobody stands in are forgotten");
    }

    #[test]
    fn who_published_long_ago_is_no_other() {
        let turns = Turns::default();
        turns.published(tenant(2), at(0));
        turns.published(tenant(1), at(500));
        assert!(turns.line(tenant(1), at(1000)).is_some());
        assert!(turns.line(tenant(1), at(1001)).is_none());
    }
}
