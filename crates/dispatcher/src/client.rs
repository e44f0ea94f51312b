//! The one client through which every request to an address that a user gave goes.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use http::header::{ACCEPT, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpInfo;
use postrider_core::address::AddressPolicy;
use postrider_core::attempt::{self, BODY_LIMIT, Exchange, Failure, HEAD_LIMIT, Timings};
use postrider_core::fail_point::FailPoint;
use postrider_core::headers::{HeaderList, MASK, StaticHeaders};
use postrider_core::profile::Prepared;
use postrider_core::schedule::parse_retry_after;
use postrider_core::subscription::AttemptTimeout;
use postrider_core::target_url::TargetUrl;
use postrider_core::{Timestamp, World};

use crate::dial::may_dial;
use crate::fail;
use crate::informational::Informational;
use crate::probe::{Probe, micros_since};
use crate::resolve::VettingResolver;
use crate::transport::{Transport, transport};

/// How the client may behave.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// What may be dialled.
    pub addresses: AddressPolicy,
    /// Authorities trusted beside the system's, as PEM.
    pub extra_roots: Option<Vec<u8>>,
    /// Whether `http://` is permitted too, as it is for development.
    pub plain_http: bool,
}

/// One request to be made.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Where to.
    pub url: &'a TargetUrl,
    /// Headers and body, signed.
    pub prepared: Prepared,
    /// The subscription's own headers.
    pub headers: &'a StaticHeaders,
    /// For everything, from the name's resolution to the body's end.
    pub timeout: AttemptTimeout,
}

impl Outgoing<'_> {
    /// The subscription's own headers, but for those that its wire format sets.
    fn added_headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.headers.iter().filter(|(name, _)| self.prepared.headers.iter().all(|(other, _)| other != *name))
    }
}

/// Sends without proxy, redirects, retries or decompression, only to addresses that were vetted at
/// dial. Cheap to clone.
#[derive(Clone)]
pub struct GuardedClient {
    transport: Transport,
    policy: Arc<AddressPolicy>,
    plain_http: bool,
    world: World,
}

impl GuardedClient {
    /// Makes the client.
    ///
    /// # Errors
    /// A message for people if the resolver or the extra roots cannot be used.
    pub fn new(options: ClientOptions, world: World) -> Result<Self, String> {
        let policy = Arc::new(options.addresses);
        let resolver = TokioResolver::builder_tokio()
            .and_then(ResolverBuilder::build)
            .map_err(|error| format!("cannot set up DNS: {error}"))?;
        let resolver = VettingResolver::new(resolver, Arc::clone(&policy));
        let transport = transport(resolver, options.extra_roots.as_deref())?;
        Ok(Self { transport, policy, plain_http: options.plain_http, world })
    }

    pub(crate) fn told_to_others(&self) -> Timestamp {
        self.world.told_to_others()
    }

    /// Makes one request and takes what comes back within the timeout.
    pub async fn send(&self, outgoing: Outgoing<'_>) -> Exchange {
        let started_at = self.world.now();
        let start = Instant::now();
        let probe = Probe::default();
        let url = outgoing.url;
        let request_headers = recorded(&outgoing);
        let reception = match url.literal_address() {
            _ if url.url().scheme() != "https" && !self.plain_http => Reception::failed(fail::not_https()),
            Some(address) if !may_dial(&self.policy, address) => Reception::failed(fail::address_refused()),
            _ => probe.watch(self.exchange(outgoing, start)).await,
        };
        let seen = probe.seen();
        let port = url.url().port_or_known_default().unwrap_or_default();
        let literal = url.literal_address().map(|ip| std::net::SocketAddr::new(ip, port));
        let dialled = seen.address.map(|address| std::net::SocketAddr::new(address.ip(), port)).or(literal);
        Exchange {
            started_at,
            url: url.to_string(),
            request_headers,
            remote_address: reception.remote.or(dialled).map(|address| address.to_string()),
            timings: Timings {
                dns_us: seen.dns_us,
                connect_us: seen.connect_us(),
                first_byte_us: reception.first_byte_us,
                total_us: micros_since(start),
            },
            result: reception.result,
        }
    }

    async fn exchange(&self, outgoing: Outgoing<'_>, start: Instant) -> Reception {
        let deadline = tokio::time::Instant::from_std(start) + outgoing.timeout.duration();
        let timeout = outgoing.timeout;
        let mut request = request(outgoing);
        let informational = Informational::count(&mut request);
        let answered = tokio::select! {
            answered = tokio::time::timeout_at(deadline, self.transport.request(request)) => answered,
            () = informational.too_many() => return Reception::failed(fail::too_many_informational()),
        };
        match answered {
            Err(_) => Reception::failed(fail::timed_out(timeout.seconds())),
            Ok(Err(error)) => Reception::failed(fail::classify(&error)),
            Ok(Ok(response)) => self.receive(response, start, deadline).await,
        }
    }

    /// The head decides. The body is kept as far as it comes: up to the cap, and in time.
    async fn receive(&self, response: Response<Incoming>, start: Instant, deadline: tokio::time::Instant) -> Reception {
        FailPoint::HeadReceived.pass();
        let first_byte_us = Some(micros_since(start));
        let remote = response.extensions().get::<HttpInfo>().map(HttpInfo::remote_addr);
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| parse_retry_after(value, self.world.now()));
        let headers = kept_head(response.headers());
        let mut incoming = response.into_body();
        let mut body = Vec::new();
        let read_all = async {
            while body.len() < BODY_LIMIT
                && let Some(Ok(frame)) = incoming.frame().await
            {
                let chunk = frame.data_ref().map_or(&[][..], |data| data);
                let room = BODY_LIMIT - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
        };
        let _ = tokio::time::timeout_at(deadline, read_all).await;
        Reception { first_byte_us, remote, result: Ok(attempt::Response { status, headers, body, retry_after }) }
    }
}

/// `Accept`, `Host` and `Content-Length`.
const CONNECTION_HEADERS: usize = 3;

/// What goes to the connection, which adds `Host` and `Content-Length`.
fn request(outgoing: Outgoing<'_>) -> Request<Full<Bytes>> {
    let added: Vec<_> = outgoing.added_headers().map(|(name, value)| (name.clone(), value.clone())).collect();
    let Prepared { headers, body } = outgoing.prepared;
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = outgoing.url.uri().clone();
    let map = request.headers_mut();
    map.reserve(headers.len() + added.len() + CONNECTION_HEADERS);
    map.extend(headers);
    map.extend(added);
    map.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    request
}

/// What came back, and when.
struct Reception {
    first_byte_us: Option<i64>,
    remote: Option<std::net::SocketAddr>,
    result: Result<attempt::Response, Failure>,
}

impl Reception {
    const fn failed(failure: Failure) -> Self {
        Self { first_byte_us: None, remote: None, result: Err(failure) }
    }
}

/// What goes on the wire, with the values of static headers masked.
fn recorded(outgoing: &Outgoing<'_>) -> HeaderList {
    let Prepared { headers, body } = &outgoing.prepared;
    let host = &outgoing.url.url()[url::Position::BeforeHost..url::Position::AfterPort];
    let length = body.len().to_string();
    let mut list: Vec<(_, &[u8])> = Vec::with_capacity(headers.len() + CONNECTION_HEADERS);
    list.extend(headers.iter().map(|(name, value)| (name, value.as_bytes())));
    if outgoing.added_headers().all(|(name, _)| name != ACCEPT) {
        list.push((&ACCEPT, b"*/*"));
    }
    list.extend(outgoing.added_headers().map(|(name, _)| (name, MASK.as_bytes())));
    list.extend([(&HOST, host.as_bytes()), (&CONTENT_LENGTH, length.as_bytes())]);
    list.into_iter().collect()
}

/// The response's head, cut where it grows too large to keep.
fn kept_head(headers: &HeaderMap) -> HeaderList {
    let mut size = 0;
    let fits = |(name, value): &(&HeaderName, &HeaderValue)| {
        size += name.as_str().len() + value.len();
        size <= HEAD_LIMIT
    };
    headers.iter().take_while(fits).map(|(name, value)| (name, value.as_bytes())).collect()
}
