//! `/api/v1/openapi.json`.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::openapi::openapi_json;

/// The description of the API; for everybody.
pub(crate) async fn get() -> Response {
    ([(CONTENT_TYPE, "application/json")], openapi_json()).into_response()
}
