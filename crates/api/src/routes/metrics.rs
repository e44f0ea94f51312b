//! `/metrics`.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::auth::Admin;
use crate::problem::Problem;
use crate::state::Api;

/// The text format of Prometheus (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of this process; for the operator, unless they are open.
pub(crate) async fn get(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    if !api.metrics.is_open {
        let (mut parts, _) = request.into_parts();
        Admin::from_request_parts(&mut parts, &api).await?;
    }
    Ok(([(CONTENT_TYPE, TEXT)], (api.metrics.render)()).into_response())
}
