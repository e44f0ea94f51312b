//! The time as it is.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use postrider_core::{Clock, Timestamp};

/// The wall clock when it was started, and monotonic time since: it never jumps.
#[derive(Debug)]
pub struct SystemClock {
    started_at: Timestamp,
    start: Instant,
}

impl SystemClock {
    /// Reads the wall clock, once.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where time comes in")]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started_at: Timestamp::default() + since_epoch, start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.started_at + self.start.elapsed()
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // A timer's resolution is a millisecond: what is nearer is now.
        let wait: Duration = at.since(self.now());
        Box::pin(tokio::time::sleep(wait))
    }
}
