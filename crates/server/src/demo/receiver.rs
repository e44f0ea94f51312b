//! A receiver on this machine: checks each signature and answers as its path says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use postrider_core::Timestamp;
use postrider_core::secret::SigningSecret;
use postrider_core::signature;
use tokio::net::TcpListener;

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    pub(super) is_genuine: bool,
}

/// The receiver. Its paths: `healthy` takes everything, `flaky` fails once.
#[derive(Clone, Default)]
pub(super) struct Receiver(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    secrets: HashMap<String, SigningSecret>,
    seen: Vec<Seen>,
}

impl Receiver {
    /// Listens on a free port.
    pub(super) async fn start() -> std::io::Result<(Self, SocketAddr)> {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/{path}", post(receive)).with_state(receiver.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        Ok((receiver, address))
    }

    /// What signs the requests to `path`.
    pub(super) fn expect(&self, path: &str, secret: SigningSecret) {
        self.lock().secrets.insert(path.to_owned(), secret);
    }

    /// Everything that came.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let mut inner = receiver.lock();
    let is_genuine = inner.secrets.get(&path).is_some_and(|secret| verify(secret, &headers, &body));
    let is_first = !inner.seen.iter().any(|seen| seen.path == path);
    let fails = path == "flaky" && is_first;
    inner.seen.push(Seen { path, headers, body: String::from_utf8_lossy(&body).into_owned(), is_genuine });
    if fails { (StatusCode::INTERNAL_SERVER_ERROR, "not yet") } else { (StatusCode::OK, "thank you") }
}

fn verify(secret: &SigningSecret, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let seconds = header("webhook-timestamp").and_then(|text| text.parse::<i64>().ok());
    let parts = (header("webhook-id"), seconds, header("webhook-signature"));
    let (Some(id), Some(seconds), Some(signature)) = parts else { return false };
    signature::verify(secret, id, Timestamp::from_micros(seconds * 1_000_000), body, signature)
}
