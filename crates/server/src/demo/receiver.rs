//! A receiver on this machine: checks each signature and answers as its path says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use postrider_core::World;
use postrider_core::inspection::{Finding, inspect};
use postrider_core::profile::{Profile, Profiles};
use postrider_core::secret::SigningSecret;
use tokio::net::TcpListener;

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) profile: Arc<Profile>,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    pub(super) finding: Finding,
}

/// The receiver. At the path `flaky` it fails once; elsewhere it takes everything.
#[derive(Clone)]
pub(super) struct Receiver {
    world: World,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    expected: HashMap<String, (Arc<Profile>, SigningSecret)>,
    seen: Vec<Seen>,
}

impl Receiver {
    /// Listens on a free port.
    pub(super) async fn start(world: World) -> std::io::Result<(Self, SocketAddr)> {
        let receiver = Self { world, inner: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/{path}", post(receive)).with_state(receiver.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        Ok((receiver, address))
    }

    /// What comes to `path`: in which format, and what signs it.
    pub(super) fn expect(&self, path: &str, profile: &str, secret: SigningSecret) {
        if let Some(profile) = Profiles::published().named(profile) {
            self.lock().expected.insert(path.to_owned(), (Arc::clone(profile), secret));
        }
    }

    /// Everything that came.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let mut inner = receiver.lock();
    let Some((profile, secret)) = inner.expected.get(&path).cloned() else { return (StatusCode::NOT_FOUND, "who?") };
    let now = receiver.world.now();
    let finding = inspect(&Profiles::published(), &profile, &headers, &body, &[secret], now);
    let is_first = !inner.seen.iter().any(|seen| seen.path == path);
    let fails = path == "flaky" && is_first;
    let body = String::from_utf8_lossy(&body).into_owned();
    inner.seen.push(Seen { path, profile, headers, body, finding });
    if fails { (StatusCode::INTERNAL_SERVER_ERROR, "not yet") } else { (StatusCode::OK, "thank you") }
}
