//! Names to addresses that may be dialled.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use hickory_resolver::TokioResolver;
use hyper_util::client::legacy::connect::dns::Name;
use postrider_core::address::AddressPolicy;
use postrider_core::fail_point::FailPoint;
use tower::Service;

use crate::dial::may_dial;
use crate::probe::{Probe, micros_since};

/// A name led nowhere that may be dialled. One message for both reasons, so that nobody can map
/// the inside by asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DNS lookup failed or address not allowed")]
pub(crate) struct NoAddress;

/// Resolves through DNS and the hosts file, and lets through only addresses that the policy permits.
#[derive(Clone)]
pub(crate) struct VettingResolver {
    resolver: TokioResolver,
    policy: Arc<AddressPolicy>,
}

impl VettingResolver {
    pub(crate) fn new(resolver: TokioResolver, policy: Arc<AddressPolicy>) -> Self {
        Self { resolver, policy }
    }

    async fn permitted(self, name: &str) -> Result<Vec<SocketAddr>, NoAddress> {
        let start = Instant::now();
        let found = self.resolver.lookup_ip(name).await;
        Probe::note(|seen| seen.dns_us = Some(micros_since(start)));
        let found = found.map_err(|error| {
            tracing::debug!(%name, %error, "a name did not resolve");
            NoAddress
        })?;
        // The port is the URL's; the client fills it in.
        let permitted = self.policy.of_answer(found.iter()).filter(|ip| may_dial(&self.policy, *ip));
        let permitted: Vec<SocketAddr> = permitted.map(|ip| SocketAddr::new(ip, 0)).collect();
        FailPoint::NameResolved.pass();
        let first = *permitted.first().ok_or(NoAddress)?;
        Probe::note(|seen| seen.address = Some(first));
        Ok(permitted)
    }
}

impl Service<Name> for VettingResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NoAddress;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NoAddress>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoAddress>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move { Ok(resolver.permitted(name.as_str()).await?.into_iter()) })
    }
}
