//! Batches beside other tenants: few events of a tenant at a time, so that a burst leaves room for the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postrider_core::{TenantId, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a tenant that has published counts as one that publishes.
const RECENTLY: Duration = Duration::from_secs(1);

/// Events that a tenant may have under way in batches beside others. A larger batch has them all.
const AT_ONCE: usize = 100;

/// Who publishes, and whose batches are being taken.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The last two tenants that published, the latest first, and when each did so last.
    latest: [Option<(TenantId, Timestamp)>; 2],
    /// Of tenants with batches under way.
    lines: HashMap<TenantId, Arc<Semaphore>>,
}

/// The right to have a batch taken.
#[derive(Debug)]
pub(crate) struct Turn {
    _permits: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Keeps in mind who publishes.
    pub(crate) fn published(&self, tenant_id: TenantId, now: Timestamp) {
        self.lock().note(tenant_id, now);
    }

    /// Waits until a batch of so many events may be taken: at once, if no other tenant publishes.
    pub(crate) async fn take(&self, tenant_id: TenantId, events: usize, now: Timestamp) -> Turn {
        let Some(line) = self.line(tenant_id, now) else { return Turn { _permits: None } };
        let permits = u32::try_from(events.min(AT_ONCE)).unwrap_or(u32::MAX);
        Turn { _permits: line.acquire_many_owned(permits).await.ok() }
    }

    fn line(&self, tenant_id: TenantId, now: Timestamp) -> Option<Arc<Semaphore>> {
        let mut state = self.lock();
        state.note(tenant_id, now);
        let [_, other] = state.latest;
        if other.is_none_or(|(_, at)| now.since(at) > RECENTLY) {
            return None;
        }
        state.lines.retain(|_, line| Arc::strong_count(line) > 1);
        Some(Arc::clone(state.lines.entry(tenant_id).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)))))
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
        let held: Vec<Option<Turn>> = (0..9).map(|_| at_once(turns.take(tenant(1), 1000, at(0)))).collect();
        assert!(held.iter().all(Option::is_some));
    }

    #[test]
    fn beside_others_few_events_of_a_tenant_are_taken_at_a_time() {
        let turns = Turns::default();
        turns.published(tenant(2), at(0));
        let small = [at_once(turns.take(tenant(1), 50, at(1))), at_once(turns.take(tenant(1), 50, at(1)))];
        assert!(small.iter().all(Option::is_some));
        assert!(at_once(turns.take(tenant(1), 1, at(2))).is_none(), "there are enough");
        assert!(at_once(turns.take(tenant(2), 1, at(2))).is_some(), "another tenant's");
        drop(small);
        let large = at_once(turns.take(tenant(1), 1000, at(3)));
        assert!(large.is_some());
        assert!(at_once(turns.take(tenant(1), 1, at(3))).is_none());
        drop(large);
        assert!(at_once(turns.take(tenant(1), 1, at(3))).is_some());
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
