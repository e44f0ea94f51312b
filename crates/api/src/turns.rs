//! Batches beside other tenants: a few events of a tenant at a time, with rests, so that a burst leaves room for the
//! others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use postrider_core::{TenantId, Timestamp};
use postrider_store::Urgency;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// How long a tenant that has published counts as one that publishes.
const RECENTLY: Duration = Duration::from_secs(1);

/// Events of a tenant's batches that are taken together beside others, for two processors.
const PIECE: usize = 3;

/// Between two such pieces.
const REST: Duration = Duration::from_millis(4);

/// Who publishes, and whose batches are being taken.
#[derive(Debug)]
pub(crate) struct Turns {
    piece: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last two tenants that published, the latest first, and when each did so last.
    latest: [Option<(TenantId, Timestamp)>; 2],
    /// Of tenants with batches under way.
    lines: HashMap<TenantId, Line>,
}

/// Held by the one whose turn it is; says until when those behind rest.
type Line = Arc<tokio::sync::Mutex<Instant>>;

/// The right to have some events of a batch taken.
#[derive(Debug)]
pub(crate) struct Turn {
    /// How many.
    pub(crate) events: usize,
    line: Option<OwnedMutexGuard<Instant>>,
}

impl Turn {
    /// Beside others, its events make no commits of their own.
    pub(crate) const fn urgency(&self) -> Urgency {
        if self.line.is_some() { Urgency::Patient } else { Urgency::Pressing }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(rest_until) = &mut self.line {
            **rest_until = Instant::now() + REST;
        }
    }
}

impl Turns {
    /// For a machine with so many processors.
    fn of(processors: usize) -> Self {
        Self { piece: (PIECE * processors / 2).max(PIECE), state: Mutex::default() }
    }

    /// For this machine.
    pub(crate) fn new() -> Self {
        Self::of(available_parallelism().map_or(1, usize::from))
    }

    /// Keeps in mind who publishes.
    pub(crate) fn published(&self, tenant_id: TenantId, now: Timestamp) {
        self.lock().note(tenant_id, now);
    }

    /// Waits until some of so many events may be taken: all and at once, if no other tenant publishes.
    pub(crate) async fn take(&self, tenant_id: TenantId, events: usize, now: Timestamp) -> Turn {
        let Some(line) = self.line(tenant_id, now) else { return Turn { events, line: None } };
        let rest_until = line.lock_owned().await;
        tokio::time::sleep_until(*rest_until).await;
        Turn { events: events.min(self.piece), line: Some(rest_until) }
    }

    fn line(&self, tenant_id: TenantId, now: Timestamp) -> Option<Line> {
        let mut state = self.lock();
        state.note(tenant_id, now);
        let [_, other] = state.latest;
        if other.is_none_or(|(_, at)| now.since(at) > RECENTLY) {
            return None;
        }
        state.lines.retain(|_, line| !is_over(line));
        let line = state.lines.entry(tenant_id).or_insert_with(|| Arc::new(tokio::sync::Mutex::new(Instant::now())));
        Some(Arc::clone(line))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nobody stands there, and nobody would have to rest.
fn is_over(line: &Line) -> bool {
    Arc::strong_count(line) == 1 && line.try_lock().is_ok_and(|rest_until| *rest_until <= Instant::now())
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
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use uuid::Uuid;

    use super::*;

    fn tenant(n: u128) -> TenantId {
        TenantId::from(Uuid::from_u128(n))
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    fn is_ready<T>(future: Pin<&mut impl Future<Output = T>>) -> bool {
        matches!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_))
    }

    /// Beside another tenant.
    fn beside() -> Turns {
        let turns = Turns::of(2);
        turns.published(tenant(2), at(0));
        turns
    }

    #[tokio::test]
    async fn who_publishes_alone_never_waits() {
        let turns = Turns::of(2);
        let first = turns.take(tenant(1), 1000, at(0)).await;
        let second = turns.take(tenant(1), 1000, at(0)).await;
        assert_eq!((first.events, second.events), (1000, 1000));
        assert_eq!(first.urgency(), Urgency::Pressing);
    }

    #[tokio::test]
    async fn beside_others_a_tenant_has_one_small_turn_at_a_time() {
        let turns = beside();
        let turn = turns.take(tenant(1), 1000, at(1)).await;
        assert_eq!((turn.events, turn.urgency()), (PIECE, Urgency::Patient));
        let mut own = Box::pin(turns.take(tenant(1), 2, at(1)));
        assert!(!is_ready(own.as_mut()));
        assert_eq!(turns.take(tenant(2), 2, at(2)).await.events, 2, "another tenant's");
        drop(turn);
        assert_eq!(own.await.events, 2);
    }

    #[tokio::test]
    async fn between_turns_is_a_rest() {
        let turns = beside();
        drop(turns.take(tenant(1), 1000, at(1)).await);
        let mut next = Box::pin(turns.take(tenant(1), 1000, at(1)));
        assert!(!is_ready(next.as_mut()));
        drop(next.await);
    }

    #[tokio::test]
    async fn lines_that_nobody_stands_in_are_forgotten() {
        let turns = beside();
        let line = turns.line(tenant(1), at(1)).expect("beside another");
        drop(line);
        let _other = turns.line(tenant(2), at(2)).expect("beside another");
        assert_eq!(turns.lock().lines.keys().collect::<Vec<_>>(), [&tenant(2)]);
    }

    #[test]
    fn larger_machines_take_more_at_once() {
        assert_eq!([1, 2, 16].map(|processors| Turns::of(processors).piece), [3, 3, 24]);
    }

    #[test]
    fn who_published_long_ago_is_no_other() {
        let turns = Turns::of(2);
        turns.published(tenant(2), at(0));
        turns.published(tenant(1), at(500));
        assert!(turns.line(tenant(1), at(1000)).is_some());
        assert!(turns.line(tenant(1), at(1001)).is_none());
    }
}
