//! The time as it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use postrider_core::{Clock, Timestamp};

/// The wall clock when it was started, and monotonic time since: it never jumps. Told the time of a
/// database, it keeps that. Others are told what the wall clock says, or the database: a machine that was
/// asleep, or whose clock was wrong at first, does not sign with a time that receivers refuse.
#[derive(Debug)]
pub struct SystemClock {
    started_at: Timestamp,
    start: Instant,
    /// What is added, in microseconds.
    correction: AtomicI64,
    follows: AtomicBool,
}

/// Differences below this, in microseconds, are the way of the question and its answer.
const NOT_WORTH_CORRECTING: i64 = 1_000;

impl SystemClock {
    /// Starts at what the wall clock says.
    #[must_use]
    pub fn start() -> Self {
        Self {
            started_at: wall_clock(),
            start: Instant::now(),
            correction: AtomicI64::new(0),
            follows: AtomicBool::new(false),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where time comes in")]
fn wall_clock() -> Timestamp {
    Timestamp::default() + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let uncorrected = (self.started_at + self.start.elapsed()).as_micros();
        Timestamp::from_micros(uncorrected + self.correction.load(Ordering::Relaxed))
    }

    fn told_to_others(&self) -> Timestamp {
        if self.follows.load(Ordering::Relaxed) { self.now() } else { wall_clock() }
    }

    fn follow(&self, told: Timestamp) {
        self.follows.store(true, Ordering::Relaxed);
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
