//! The synchronous test: named here, because who asks for it and who sends do not know each other.

use std::future::Future;
use std::pin::Pin;

use crate::attempt::Exchange;
use crate::event::Event;
use crate::headers::StaticHeaders;
use crate::profile::Profile;
use crate::secret::Secrets;
use crate::subscription::AttemptTimeout;
use crate::target_url::TargetUrl;

/// One test delivery: a single attempt, at once.
#[derive(Clone, Debug)]
pub struct TestDelivery {
    /// What to send.
    pub event: Event,
    /// Where to.
    pub url: TargetUrl,
    /// The wire format.
    pub profile: &'static Profile,
    /// What signs it; unsigned without.
    pub secrets: Option<Secrets>,
    /// The subscription's own headers.
    pub headers: StaticHeaders,
    /// How long it may take.
    pub timeout: AttemptTimeout,
}

/// Sends a test and waits for what comes back.
pub trait TestSender: Send + Sync + 'static {
    /// One attempt; records nothing.
    fn send_test(&self, test: TestDelivery) -> Pin<Box<dyn Future<Output = Exchange> + Send + '_>>;
}
