//! Reading a JSON object field by field, so that every wrong field is named at once.

use std::collections::BTreeMap;
use std::str::FromStr;

use postrider_core::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::problem::{FieldError, Problem};

/// The fields of an object that are not read yet, and what was wrong with those that were.
pub(crate) struct Fields<'a> {
    rest: BTreeMap<String, &'a RawValue>,
    errors: Vec<FieldError>,
}

/// A required field: there once [`Fields::finish`] has found nothing wrong.
pub(crate) struct Required<T>(Option<T>);

/// The proof that nothing was wrong.
pub(crate) struct Checked(());

impl<T> Required<T> {
    pub(crate) fn take(self, _: &Checked) -> T {
        self.0.expect("a missing required field is an error that finish() reports")
    }
}

impl<'a> Fields<'a> {
    /// Splits a JSON object into its fields. Of duplicate names the last counts.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        let rest = serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Problem::malformed("The body must be a JSON object."),
            _ => Problem::malformed(format!("The body is not valid JSON: {error}.")),
        })?;
        Ok(Self { rest, errors: Vec::new() })
    }

    /// Whether a field that is not read yet is there; null counts as absent.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.rest.get(name).is_some_and(|raw| raw.get() != "null")
    }

    /// Reads a field that may be absent; null counts as absent.
    pub(crate) fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'a RawValue) -> Result<T, String>,
    ) -> Option<T> {
        let raw = self.rest.remove(name).filter(|raw| raw.get() != "null")?;
        match read(raw) {
            Ok(value) => Some(value),
            Err(message) => {
                self.error(name, message);
                None
            }
        }
    }

    /// Reads a field that null gives back to a default: `absent` if it is not there, `null` if it is null.
    pub(crate) fn nullable<T>(
        &mut self,
        name: &str,
        [absent, null]: [T; 2],
        read: impl FnOnce(&'a RawValue) -> Result<T, String>,
    ) -> T {
        let is_null = self.rest.contains_key(name) && !self.has(name);
        let otherwise = if is_null { null } else { absent };
        self.optional(name, read).unwrap_or(otherwise)
    }

    /// Reads a field that must be there.
    pub(crate) fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'a RawValue) -> Result<T, String>,
    ) -> Required<T> {
        if !self.has(name) {
            self.rest.remove(name);
            self.error(name, "is required");
            return Required(None);
        }
        Required(self.optional(name, read))
    }

    /// Reads a field that may only be absent if `other` is there.
    pub(crate) fn either_required<T>(
        &mut self,
        name: &str,
        other: &str,
        read: impl FnOnce(&'a RawValue) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(name) && !self.has(other) {
            self.error(name, format!("is required, unless {other} is given"));
        }
        self.optional(name, read)
    }

    /// Reads a field that says something only beside `other`, which was read before.
    pub(crate) fn optional_beside<T>(
        &mut self,
        name: &str,
        other: &str,
        is_other_given: bool,
        read: impl FnOnce(&'a RawValue) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.optional(name, read);
        if value.is_some() && !is_other_given {
            self.error(name, format!("is only for {other}, which is missing"));
        }
        value
    }

    /// Refuses a field that is known but cannot be given here.
    pub(crate) fn refuse(&mut self, name: &str, message: &str) {
        if self.rest.remove(name).is_some() {
            self.error(name, message);
        }
    }

    /// Adds an error of its own kind.
    pub(crate) fn error(&mut self, name: &str, message: impl Into<String>) {
        self.errors.push(FieldError { field: name.to_owned(), message: message.into() });
    }

    /// Reports all that was wrong, fields that nobody asked for included.
    pub(crate) fn finish(mut self) -> Result<Checked, Problem> {
        let unknown = std::mem::take(&mut self.rest).into_keys();
        let unknown = unknown.map(|field| FieldError { field, message: "is not a known field".to_owned() });
        self.errors.extend(unknown);
        if self.errors.is_empty() { Ok(Checked(())) } else { Err(Problem::invalid(self.errors)) }
    }
}

fn read_as<'a, T: Deserialize<'a>>(raw: &'a RawValue, what: &str) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|_| format!("must be {what}"))
}

/// Any text.
pub(crate) fn text(raw: &RawValue) -> Result<String, String> {
    read_as(raw, "a string")
}

/// Text of at most `limit` characters.
pub(crate) fn text_up_to(limit: usize) -> impl Fn(&RawValue) -> Result<String, String> {
    move |raw| {
        let text = text(raw)?;
        if text.chars().count() > limit {
            return Err(format!("must have at most {limit} characters"));
        }
        // PostgreSQL's text cannot hold it.
        if text.contains('\0') { Err("must not contain the character U+0000".to_owned()) } else { Ok(text) }
    }
}

/// Text of 1 to `limit` characters, with something to see in it.
pub(crate) fn name_up_to(limit: usize) -> impl Fn(&RawValue) -> Result<String, String> {
    move |raw| {
        let text = text_up_to(limit)(raw)?;
        if text.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(text) }
    }
}

pub(crate) fn boolean(raw: &RawValue) -> Result<bool, String> {
    read_as(raw, "true or false")
}

/// A whole number within limits.
pub(crate) fn integer(min: i64, max: i64) -> impl Fn(&RawValue) -> Result<i64, String> {
    move |raw| {
        let wrong = || format!("must be a whole number from {min} to {max}");
        let number: i64 = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
        if (min..=max).contains(&number) { Ok(number) } else { Err(wrong()) }
    }
}

/// A point in time.
pub(crate) fn time(raw: &RawValue) -> Result<Timestamp, String> {
    let what = "a time such as 2026-01-19T10:30:00Z (RFC 3339)";
    Timestamp::parse(&read_as::<String>(raw, what)?).ok_or_else(|| format!("must be {what}"))
}

/// An id: a UUID.
pub(crate) fn id<T: FromStr>(raw: &RawValue) -> Result<T, String> {
    text(raw)?.parse().map_err(|_| "must be a UUID".to_owned())
}

/// A JSON object, as it came.
pub(crate) fn object(raw: &RawValue) -> Result<&RawValue, String> {
    if raw.get().starts_with('{') { Ok(raw) } else { Err("must be an object".to_owned()) }
}

/// An object whose values are all text, in the order given.
pub(crate) fn text_map(raw: &RawValue) -> Result<Vec<(String, String)>, String> {
    let what = "an object of header names and string values";
    let map: serde_json::Map<String, serde_json::Value> = read_as(raw, what)?;
    map.into_iter()
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => Ok((name, text)),
            _ => Err(format!("must be {what}")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let mut fields = Fields::parse(br#"{"a": 1, "b": "x", "z": true, "n": null}"#).expect("an object");
        let _ = fields.required("a", text);
        let _ = fields.optional("b", integer(1, 5));
        let _ = fields.required("c", boolean);
        let _ = fields.required("n", boolean);
        let problem = fields.finish().err().expect("wrong");
        let body = serde_json::to_value(problem.body(None)).expect("serialises");
        let named: Vec<&str> =
            body["errors"].as_array().expect("errors").iter().filter_map(|e| e["field"].as_str()).collect();
        assert_eq!(named, ["a", "b", "c", "n", "z"]);
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for body in ["", "[]", "1", "{", r#"{"a":1"#, "{\"\\ud800\":1}", "\u{feff}{}"] {
            assert!(Fields::parse(body.as_bytes()).is_err(), "{body}");
        }
        assert!(Fields::parse(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn limits_are_exact() {
        let raw = |json: &str| RawValue::from_string(json.to_owned()).expect("valid");
        assert!(text_up_to(3)(&raw("\"äöü\"")).is_ok());
        assert!(text_up_to(3)(&raw("\"abcd\"")).is_err());
        assert!(text_up_to(3)(&raw(r#""\u0000""#)).is_err());
        assert!(name_up_to(3)(&raw("\" \"")).is_err());
        assert!(integer(1, 30)(&raw("30")).is_ok());
        assert!(integer(1, 30)(&raw("1.5")).is_err());
        assert!(integer(1, 30)(&raw("99999999999999999999")).is_err());
        assert!(time(&raw("\"2026-01-19\"")).is_err());
    }
}
