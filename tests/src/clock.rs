//! A clock that can be set forward.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use postrider_core::{Clock, Timestamp};
use postrider_server::SystemClock;
use tokio::sync::watch;

/// What a program under this clock writes once it has travelled.
pub const TRAVELLED: &str = "travelled";

/// The real clock, plus how far it has travelled. Cheap to clone.
#[derive(Clone)]
pub struct TravellingClock {
    real: Arc<SystemClock>,
    travelled: watch::Sender<Duration>,
}

impl TravellingClock {
    /// Not travelled yet.
    #[must_use]
    pub fn start() -> Self {
        Self { real: Arc::new(SystemClock::start()), travelled: watch::Sender::new(Duration::ZERO) }
    }

    /// Goes forward; whoever sleeps until then wakes.
    pub fn travel(&self, by: Duration) {
        self.travelled.send_modify(|travelled| *travelled += by);
    }
}

impl Clock for TravellingClock {
    fn now(&self) -> Timestamp {
        self.real.now() + *self.travelled.borrow()
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let clock = self.clone();
        Box::pin(async move {
            let mut travels = clock.travelled.subscribe();
            while clock.now() < at {
                let wait = at.since(clock.now());
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = travels.changed() => {}
                }
            }
        })
    }
}
