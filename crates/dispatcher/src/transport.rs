//! The connections that requests go over: vetted DNS, TCP, TLS by the system's authorities, HTTP/1.1.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use postrider_core::attempt::HEAD_LIMIT;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use crate::pace::PacedConnector;
use crate::probe::TimedConnector;
use crate::resolve::VettingResolver;

/// Node's servers close idle connections after 5 s: we do so before them.
const IDLE: Duration = Duration::from_secs(4);
/// Most bytes of a response that are held before they are understood, its headers above all: what is kept of them, and
/// as many as Node's client takes. An unfinished head is read up to here, however many headers it has.
const UNREAD: usize = HEAD_LIMIT;
/// Bytes that the kernel is asked to take in before they are read (Linux allows twice that, with what it notes about
/// them): a flood waits at its sender instead. Answers and handshakes are seldom larger.
const RECEIVED: usize = 8 * 1024;

/// Sends requests, and keeps connections for the next ones. It knows no proxy, follows no redirect and
/// decompresses nothing; only a request of which nothing was written is written to another connection.
pub(crate) type Transport = Client<TimedConnector<HttpsConnector<Tcp>>, Full<Bytes>>;

type Tcp = PacedConnector<HttpConnector<VettingResolver>>;

/// Makes one that trusts the authorities in `extra_roots` (PEM) beside the system's.
///
/// # Errors
/// A message for people if the extra roots, or the system's, cannot be used.
pub(crate) fn transport(resolver: VettingResolver, extra_roots: Option<&[u8]>) -> Result<Transport, String> {
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_recv_buffer_size(Some(RECEIVED));
    let tls = HttpsConnectorBuilder::new().with_tls_config(tls_config(extra_roots)?);
    let connector = TimedConnector::new(tls.https_or_http().enable_http1().wrap_connector(PacedConnector(tcp)));
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http1_title_case_headers(true)
        .http1_max_buf_size(UNREAD)
        .build(connector);
    Ok(client)
}

fn tls_config(extra_roots: Option<&[u8]>) -> Result<ClientConfig, String> {
    let cannot = |error: rustls::Error| format!("cannot set up TLS: {error}");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let extra = extra_roots.map(read_roots).transpose()?.unwrap_or_default();
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(cannot)?;
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(cannot)?;
    Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

/// Draws the first random number, which takes tens of milliseconds: the provider measures the jitter of the processor to
/// begin with. On a thread of its own, lest the first handshake holds up all that is sent beside it.
pub fn gather_entropy() {
    // Whoever needs it earlier waits for it; if it fails here, it fails there.
    std::thread::spawn(|| aws_lc_rs::default_provider().secure_random.fill(&mut [0]));
}

fn read_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let roots = roots.map_err(|error| format!("cannot read the extra roots: {error}"))?;
    if roots.is_empty() { Err("the extra roots hold no certificate in PEM form".to_owned()) } else { Ok(roots) }
}
