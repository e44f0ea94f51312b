//! What stands in a URL. Query parameters are read one by one, so that every wrong one is named at once.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
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

/// A place in a list whose items have names.
pub(crate) struct Place {
    after: Option<String>,
    limit: usize,
}

impl Place {
    fn decode(cursor: &str) -> Option<String> {
        String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
    }

    /// The items from here on, and the cursor of the next page; `name` tells items apart.
    pub(crate) fn page<T>(&self, all: Vec<T>, name: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        let is_seen = |item: &T| self.after.as_ref().is_some_and(|after| name(item) != *after);
        let seen = if self.after.is_some() { 1 } else { 0 };
        let mut rest: Vec<T> = all.into_iter().skip_while(is_seen).skip(seen).collect();
        let has_more = rest.len() > self.limit;
        rest.truncate(self.limit);
        let next_cursor = rest.last().filter(|_| has_more).map(|last| BASE64_URL_SAFE_NO_PAD.encode(name(last)));
        (rest, next_cursor)
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

    /// An id that must be there.
    pub(crate) fn required_id<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        if !self.rest.contains_key(name) {
            self.errors.push(FieldError { field: name.to_owned(), message: "is required".to_owned() });
        }
        self.id(name)
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

    /// The place in a list that is short enough to be made whole each time: all of it, unless a limit
    /// is given.
    pub(crate) fn place(&mut self) -> Place {
        let limit = self.limit().and_then(|limit| usize::try_from(limit).ok());
        let after = self.read("cursor", "the next_cursor of an earlier answer", Place::decode);
        Place { after, limit: limit.unwrap_or(usize::MAX) }
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
