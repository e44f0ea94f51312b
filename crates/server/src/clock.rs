//! The time as it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use postrider_core::{Clock, Timestamp};

/// The wall clock when it was started, and monotonic time since: it never jumps. Told the time of a
/// database, it keeps that.
#[derive(Debug)]
pub struct SystemClock {
    started_at: Timestamp,
    start: Instant,
    /// What is added, in microseconds.
    correction: AtomicI64,
}

/// Differences below this, in microseconds, are the way of the question and its answer.
const NOT_WORTH_CORRECTING: i64 = 1_000;

impl SystemClock {
    /// Reads the wall clock, once.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where time comes in")]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started_at: Timestamp::default() + since_epoch, start: Instant::now(), correction: AtomicI64::new(0) }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let uncorrected = (self.started_at + self.start.elapsed()).as_micros();
        Timestamp::from_micros(uncorrected + self.correction.load(Ordering::Relaxed))
    }

    fn follow(&self, told: Timestamp) {
        let ahead = told.as_micros() - self.now().as_micros();
        if ahead.abs() > NOT_WORTH_CORRECTING {
            tracing::info!(microseconds = ahead, "corrected the clock by the database's");
            self.correction.fetch_add(ahead, Ordering::Relaxed);
        }
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // A timer's resolution is a millisecond: what is nearer is now.
        let wait: Duration = at.since(self.now());
        Box::pin(tokio::time::sleep(wait))
    }
}
