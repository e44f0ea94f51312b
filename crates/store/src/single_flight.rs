//! Single flight: concurrent callers of the same expensive read share one.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Makes at most one thing for a key at a time. A caller gets what was begun after it asked, never what is older.
#[derive(Debug)]
pub(crate) struct SingleFlight<K>(Mutex<HashMap<K, Arc<Flight>>>);

#[derive(Debug, Default)]
struct Flight {
    /// Held by the caller that runs `make`.
    turn: tokio::sync::Mutex<()>,
    /// How many were begun.
    begun: AtomicU64,
    /// The number of the last that succeeded.
    done: AtomicU64,
}

impl<K> Default for SingleFlight<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq + Hash> SingleFlight<K> {
    /// What `made` has, if somebody put it there since this call; what `make` makes otherwise. Cancel safe.
    ///
    /// # Errors
    /// What `make` returned to this caller; others try it for themselves.
    pub(crate) async fn run<T, E>(
        &self,
        key: K,
        made: impl FnOnce() -> Option<T>,
        make: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let ticket = Ticket { flights: self, key, flight: Arc::clone(self.lock().entry(key).or_default()) };
        let flight = &ticket.flight;
        let seen = flight.begun.load(Ordering::SeqCst);
        let _turn = flight.turn.lock().await;
        if flight.done.load(Ordering::SeqCst) > seen
            && let Some(made) = made()
        {
            return Ok(made);
        }
        let number = flight.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let result = make.await;
        if result.is_ok() {
            flight.done.store(number, Ordering::SeqCst);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller's part in a flight; the last one clears it away.
struct Ticket<'f, K: Copy + Eq + Hash> {
    flights: &'f SingleFlight<K>,
    key: K,
    flight: Arc<Flight>,
}

impl<K: Copy + Eq + Hash> Drop for Ticket<'_, K> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        // The map's and this one.
        if Arc::strong_count(&self.flight) == 2 {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::sync::Notify;

    use super::*;

    /// Counts what is made; each is held up until it is let go.
    #[derive(Default)]
    struct Maker {
        flights: SingleFlight<u8>,
        begun: AtomicU64,
        let_go: Notify,
    }

    impl Maker {
        async fn ask(&self) -> u64 {
            let made = || Some(self.begun.load(Ordering::SeqCst));
            let make = async {
                let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
                self.let_go.notified().await;
                Ok::<_, Infallible>(number)
            };
            self.flights.run(1, made, make).await.expect("infallible")
        }
    }

    #[tokio::test]
    async fn those_who_ask_meanwhile_share_the_next_one() {
        let maker = Maker::default();
        let others = async {
            tokio::task::yield_now().await;
            maker.let_go.notify_one();
            tokio::task::yield_now().await;
            maker.let_go.notify_one();
        };
        let asked = tokio::join!(maker.ask(), maker.ask(), maker.ask(), maker.ask(), others);
        assert_eq!((asked.0, asked.1, asked.2, asked.3), (1, 2, 2, 2), "the first was begun before they asked");
        assert!(maker.flights.lock().is_empty());
    }

    #[tokio::test]
    async fn what_failed_is_tried_by_the_next() {
        let flights = SingleFlight::default();
        let fails = flights.run(1, || None, async { Err::<u8, _>("no") });
        let works = flights.run(1, || None, async { Ok::<u8, &str>(7) });
        assert_eq!(tokio::join!(fails, works), (Err("no"), Ok(7)));
    }

    #[tokio::test]
    async fn who_gives_up_holds_up_nobody() {
        let flights = SingleFlight::default();
        let mut stuck = Box::pin(flights.run(1, || None, std::future::pending::<Result<u8, ()>>()));
        assert!(futures_poll(stuck.as_mut()).is_pending());
        drop(stuck);
        assert_eq!(flights.run(1, || None, async { Ok::<u8, ()>(7) }).await, Ok(7));
        assert!(flights.lock().is_empty());
    }

    fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }
}
