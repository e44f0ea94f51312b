//! `/healthz` and `/readyz`.

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::json;
use crate::problem::Problem;
use crate::state::Api;

/// The process is up.
pub(crate) async fn alive() -> Response {
    json::ok(&json!({"status": "ok"}))
}

/// The store is reachable and the dispatcher runs; 503 while draining.
pub(crate) async fn ready(State(api): State<Api>) -> Result<Response, Problem> {
    if !api.readiness.get() {
        return Err(Problem::unavailable());
    }
    api.catalogue.ping().await?;
    Ok(json::ok(&json!({"status": "ready"})))
}
