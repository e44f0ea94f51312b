//! The synchronous test: named here, because who asks for it and who sends do not know each other.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::DeliveryId;
use crate::attempt::Exchange;
use crate::event::Event;
use crate::headers::StaticHeaders;
use crate::profile::{Profile, Unfit};
use crate::secret::Secrets;
use crate::subscription::AttemptTimeout;
use crate::target_url::TargetUrl;

/// One test delivery: a single attempt, at once.
#[derive(Clone, Debug)]
pub struct TestDelivery {
    /// What to send.
    pub event: Event,
    /// What the format knows as `metadata`: a JSON object.
    pub metadata: Option<String>,
    /// What the format knows as the delivery.
    pub delivery_id: DeliveryId,
    /// Where to.
    pub url: TargetUrl,
    /// The wire format.
    pub profile: Arc<Profile>,
    /// What signs it; unsigned without.
    pub secrets: Option<Secrets>,
    /// The subscription's own headers.
    pub headers: StaticHeaders,
    /// How long it may take.
    pub timeout: AttemptTimeout,
}

/// A test under way: what came back, or why the event is not sent in its format.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Exchange, Unfit>> + Send + 'a>>;

/// Sends a test and waits for what comes back.
pub trait TestSender: Send + Sync + 'static {
    /// One attempt; records nothing.
    fn send_test(&self, test: TestDelivery) -> Sending<'_>;
}
