//! Query parameters, read one by one, so that every wrong one is named at once.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use postrider_core::Timestamp;
use postrider_core::cursor::{self, DEFAULT_LIMIT, MAX_LIMIT, Page};
use postrider_core::delivery::StatusFilter;

use crate::problem::{FieldError, Problem};

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

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.read(name, "text", |text| Some(text.to_owned()))
    }

    pub(crate) fn id<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        self.read(name, "a UUID", |text| text.parse().ok())
    }

    pub(crate) fn time(&mut self, name: &str) -> Option<Timestamp> {
        self.read(name, "a time such as 2026-01-19T10:30:00Z (RFC 3339)", Timestamp::parse)
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

    pub(crate) fn page(&mut self) -> Page {
        let what = format!("a whole number from 1 to {MAX_LIMIT}");
        let limit = self.read("limit", &what, |text| text.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n)));
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
