//! Calls of the API, inside the process.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use bytes::Bytes;
use postrider_core::{Timestamp, World};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

use crate::fault::Fault;

/// What of a browser's request goes on to the API: who it is from, and from where.
const HANDED_ON: [HeaderName; 4] = [COOKIE, HOST, ORIGIN, HeaderName::from_static("sec-fetch-site")];

/// Most pages that are told of changes at once.
const LIVE_PAGES: usize = 100;

/// The API. Cheap to clone.
#[derive(Clone)]
pub struct Rest {
    api: Router,
    world: World,
    live: Arc<Semaphore>,
}

impl Rest {
    /// On these routes, at this time.
    #[must_use]
    pub fn new(api: Router, world: World) -> Self {
        Self { api, world, live: Arc::new(Semaphore::new(LIVE_PAGES)) }
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Timestamp {
        self.world.now()
    }

    /// One page's right to be told of changes.
    pub(crate) fn place_for_live(&self) -> Result<OwnedSemaphorePermit, Fault> {
        Arc::clone(&self.live).try_acquire_owned().map_err(|_| Fault::busy())
    }
}

/// Whoever asks, as far as the API is to know it.
#[derive(Clone, Default)]
pub(crate) struct Asker {
    headers: HeaderMap,
    peer: Option<ConnectInfo<SocketAddr>>,
}

impl Asker {
    pub(crate) fn of(parts: &Parts) -> Self {
        let known = HANDED_ON.into_iter().filter_map(|name| Some((name.clone(), parts.headers.get(name)?.clone())));
        Self { headers: known.collect(), peer: parts.extensions.get().copied() }
    }

    /// Acts in a tenant.
    pub(crate) fn in_tenant(&mut self, tenant_id: &str) -> Result<(), Fault> {
        let value = HeaderValue::from_str(tenant_id).map_err(|_| Fault::not_found())?;
        self.headers.insert(HeaderName::from_static("x-tenant-id"), value);
        Ok(())
    }

    /// Shows that a change was asked for on our own page. What can be no token shows nothing.
    pub(crate) fn with_token(&mut self, token: &str) {
        if let Ok(value) = HeaderValue::from_str(token) {
            self.headers.insert(HeaderName::from_static("x-csrf-token"), value);
        }
    }

    /// Asks without anybody doing anything.
    pub(crate) fn by_itself(&mut self) {
        self.headers.insert(HeaderName::from_static("x-by-itself"), HeaderValue::from_static("1"));
    }
}

/// An answer of the API.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// What the browser is to keep.
    pub(crate) cookies: Vec<HeaderValue>,
    body: Bytes,
}

impl Answer {
    /// What it says, if it is a success.
    pub(crate) fn success<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        if !self.status.is_success() {
            return Err(Fault::told(self.status, &self.body));
        }
        self.read()
    }

    /// What it says, whatever it is.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_slice(&self.body).map_err(|error| {
            tracing::error!(%error, "the API's answer is not as the console knows it");
            Fault::internal()
        })
    }
}

impl Rest {
    pub(crate) async fn get<T: DeserializeOwned>(&self, asker: &Asker, path: &str) -> Result<T, Fault> {
        self.call(asker, Method::GET, path, None).await?.success()
    }

    pub(crate) async fn call(
        &self,
        asker: &Asker,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Fault> {
        let body = body.map_or_else(|| Ok(Body::empty()), written)?;
        self.send(asker, method, path, body).await
    }

    pub(crate) async fn send(&self, asker: &Asker, method: Method, path: &str, body: Body) -> Result<Answer, Fault> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| Fault::not_found())?;
        *request.headers_mut() = asker.headers.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(peer) = asker.peer {
            request.extensions_mut().insert(peer);
        }
        let response = self.api.clone().oneshot(request).await.map_err(|never| match never {})?;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.map_err(|_| Fault::internal())?;
        let cookies = head.headers.get_all(SET_COOKIE).iter().cloned().collect();
        Ok(Answer { status: head.status, cookies, body })
    }
}

/// A body as JSON.
pub(crate) fn written(body: &impl Serialize) -> Result<Body, Fault> {
    serde_json::to_vec(body).map(Body::from).map_err(|_| Fault::internal())
}
