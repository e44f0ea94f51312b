//! Answers in JSON.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use postrider_core::cursor::{self, Page};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::problem::Problem;

/// An answer with this body.
pub(crate) fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            Problem::internal().into_response()
        }
    }
}

/// A 200 with this body.
pub(crate) fn ok(body: &impl Serialize) -> Response {
    answer(StatusCode::OK, body)
}

/// JSON that is kept as text. Null if there is none.
pub(crate) fn raw(json: Option<String>) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(json.unwrap_or_else(|| "null".to_owned())).map_err(|error| {
        tracing::error!(%error, "a stored document is not JSON");
        Problem::internal()
    })
}

/// Cuts what was read by [`Page::and_one`] to the page, and makes the cursor of the next one.
pub(crate) fn cut<T>(items: &mut Vec<T>, page: Page, id: impl Fn(&T) -> Uuid) -> Option<String> {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = items.len() > limit;
    items.truncate(limit);
    items.last().filter(|_| has_more).map(|last| cursor::encode(id(last)))
}
