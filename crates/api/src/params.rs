//! What stands in a URL. Query parameters are read one by one, so that every wrong one is named at once.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use postrider_core::Timestamp;
use postrider_core::cursor::{self, DEFAULT_LIMIT, MAX_LIMIT, Page};
use postrider_core::delivery::StatusFilter;

use crate::problem::{FieldError, Problem};

/// The variable part of a path. One that is no text names nothing.
pub(crate) struct Path(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|_| Problem::not_found())
    }
}

/// The parameters that are not read yet, and what was wrong with those that were.
#[derive(Default)]
pub(crate) struct Params {
    rest: BTreeMap<String, String>,
    errors: Vec<FieldError>,
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let rest = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Self { rest, errors: Vec::new() })
    }
}

impl Params {
    /// Reads one; `what` says how it must look.
    pub(crate) fn read<T>(&mut self, name: &str, what: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let value = self.rest.remove(name)?;
        let found = read(&value);
        if found.is_none() {
            self.errors.push(FieldError { field: name.to_owned(), message: format!("must be {what}") });
        }
        found
    }

    /// Text. PostgreSQL's cannot hold the character U+0000.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.read(name, "text without the character U+0000", |text| (!text.contains('\0')).then(|| text.to_owned()))
    }

    pub(crate) fn id<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        self.read(name, "a UUID", |text| text.parse().ok())
    }

    pub(crate) fn time(&mut self, name: &str) -> Option<Timestamp> {
        // A `+` that is not escaped arrives as a space; RFC 3339 has no other space in that place.
        let read = |text: &str| Timestamp::parse(&text.replace(' ', "+"));
        self.read(name, "a time such as 2026-01-19T10:30:00Z (RFC 3339)", read)
    }

    pub(crate) fn status(&mut self) -> Option<StatusFilter> {
        let what = "one of pending, delivered, failed, discarded, undelivered";
        self.read("status", what, StatusFilter::named)
    }

    /// The page, if `limit` or `cursor` is given.
    pub(crate) fn page_if_given(&mut self) -> Option<Page> {
        let given = self.rest.contains_key("limit") || self.rest.contains_key("cursor");
        let page = self.page();
        given.then_some(page)
    }

    pub(crate) fn limit(&mut self) -> Option<u32> {
        let what = format!("a whole number from 1 to {MAX_LIMIT}");
        self.read("limit", &what, |text| text.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n)))
    }

    pub(crate) fn page(&mut self) -> Page {
        let limit = self.limit();
        let before = self.read("cursor", "the next_cursor of an earlier answer", cursor::decode);
        Page { before, limit: limit.unwrap_or(DEFAULT_LIMIT) }
    }

    /// Reports all that was wrong, parameters that nobody asked for included.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        let unknown = std::mem::take(&mut self.rest).into_keys();
        let unknown = unknown.map(|field| FieldError { field, message: "is not a known parameter".to_owned() });
        self.errors.extend(unknown);
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid(self.errors)) }
    }
}
