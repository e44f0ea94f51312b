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

/// A commit was possible within the last 3 s, and the process takes requests; 503 says what is wrong.
pub(crate) async fn ready(State(api): State<Api>) -> Result<Response, Problem> {
    api.readiness.check().map_err(Problem::not_ready)?;
    Ok(json::ok(&json!({"status": "ready"})))
}
