//! Answers in JSON.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use postrider_core::cursor::{self, Page};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
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

/// A list under its plural, with its cursor if it has pages. Items are written as they are: what is
/// kept as JSON text keeps its numbers.
pub(crate) fn list<T: Serialize>(plural: &str, items: &[T], next_cursor: Option<Option<String>>) -> Response {
    ok(&List { plural, items, next_cursor })
}

struct List<'a, T> {
    plural: &'a str,
    items: &'a [T],
    next_cursor: Option<Option<String>>,
}

impl<T: Serialize> Serialize for List<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.plural, self.items)?;
        if let Some(next_cursor) = &self.next_cursor {
            map.serialize_entry("next_cursor", next_cursor)?;
        }
        map.end()
    }
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
