//! Where the time of a request goes before it is written.
//!
//! The client does not tell; so each request carries a probe in its task, which the resolver and
//! the connector find there. A connection that is reused leaves it untouched.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use postrider_core::fail_point::FailPoint;
use tower::{Service, ServiceExt};

/// What was seen of one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// How long the name took to resolve, in microseconds.
    pub(crate) dns_us: Option<i64>,
    /// How long resolving, TCP and TLS took together, in microseconds.
    pub(crate) connector_us: Option<i64>,
    /// An address that was to be dialled.
    pub(crate) address: Option<SocketAddr>,
}

impl Seen {
    /// TCP and TLS, without the name's resolution.
    pub(crate) fn connect_us(&self) -> Option<i64> {
        Some((self.connector_us? - self.dns_us.unwrap_or(0)).max(0))
    }
}

/// Filled in from wherever the request passes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe(Arc<Mutex<Seen>>);

tokio::task_local! {
    static PROBE: Probe;
}

impl Probe {
    /// Runs a request under this probe.
    ///
    /// Not `async`: such a future would hold the request's twice.
    pub(crate) fn watch<F: Future>(&self, request: F) -> impl Future<Output = F::Output> {
        PROBE.scope(self.clone(), request)
    }

    /// Notes something about the request of this task, if it has a probe.
    pub(crate) fn note(change: impl FnOnce(&mut Seen)) {
        let _ = PROBE.try_with(|probe| change(&mut probe.0.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    pub(crate) fn seen(&self) -> Seen {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Microseconds since `start`.
pub(crate) fn micros_since(start: Instant) -> i64 {
    i64::try_from(start.elapsed().as_micros()).unwrap_or(i64::MAX)
}

/// A connector that notes how long it took. Cloned for every request, it shares what it connects with.
#[derive(Clone, Debug)]
pub(crate) struct TimedConnector<S> {
    inner: Arc<S>,
}

impl<S> TimedConnector<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner: Arc::new(inner) }
    }
}

impl<S, R> Service<R> for TimedConnector<S>
where
    S: Service<R> + Clone + Send + 'static,
    S::Future: Send + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let start = Instant::now();
        let connecting = S::clone(&self.inner).oneshot(request);
        Box::pin(async move {
            let connected = connecting.await;
            if connected.is_ok() {
                FailPoint::Connected.pass();
                Probe::note(|seen| seen.connector_us = Some(micros_since(start)));
            }
            connected
        })
    }
}
