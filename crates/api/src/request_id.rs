//! An id for each request, in its answer and in every line that is logged for it.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use uuid::Uuid;

use crate::measure;
use crate::problem::Problem;
use crate::rate_limits::Told;
use crate::state::Api;
use crate::traces;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id taken over from a client.
const LIMIT: usize = 128;

/// The id of a request, where handlers find it.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Marks the answer with the request's id, and writes problems down with it.
pub(crate) async fn mark(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let id = given(&request).unwrap_or_else(|| api.world.new_id::<Uuid>().to_string());
    let span =
        tracing::info_span!("request", request_id = %id, method = %request.method(), path = request.uri().path());
    traces::join(&span, request.headers());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let told = api.rate_limits.are_set().then(Told::default);
    request.extensions_mut().insert(RequestId(id.clone()));
    if let Some(told) = &told {
        request.extensions_mut().insert(told.clone());
    }
    let begun = Instant::now();
    let mut response = async {
        let response =
            if is_refused(&api, &request) { Problem::unavailable().into_response() } else { next.run(request).await };
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    }
    .instrument(span)
    .await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    measure::answered(route, response.status(), begun.elapsed());
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.answer(std::mem::take(response.headers_mut()), &id);
    }
    if let Some(told) = told {
        told.mark(response.headers_mut());
    }
    // Whoever asks may be known by a cookie, which no cache in between looks at.
    if route.starts_with("/api/") {
        response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// While this process drains it answers questions and takes nothing more.
fn is_refused(api: &Api, request: &Request) -> bool {
    !request.method().is_safe() && !api.readiness.takes_requests()
}

/// The client's own id, if it is fit to be logged.
fn given(request: &Request) -> Option<String> {
    let id = request.headers().get(HEADER)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    (!id.is_empty() && id.len() <= LIMIT && id.bytes().all(plain)).then(|| id.to_owned())
}
