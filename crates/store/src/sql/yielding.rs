//! Work that takes processor time lets others have their turn.

use std::time::{Duration, Instant};

/// How long work goes on before others have their turn.
const TURN: Duration = Duration::from_millis(1);

/// Lets others have their turn now and then, by the time that was taken.
pub(super) struct Yielding(Instant);

impl Yielding {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// Lets others have their turn if this work had its own. Cancel safe.
    pub(super) async fn offer(&mut self) {
        if self.0.elapsed() >= TURN {
            tokio::task::yield_now().await;
            self.0 = Instant::now();
        }
    }
}
