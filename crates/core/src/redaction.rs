//! Hiding fields of payloads from those who may look, but not at personal data.

use std::fmt::Write;

use serde::Serialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What stands in the place of a hidden value.
pub const REDACTED: &str = "[redacted]";

/// Most paths of a tenant.
pub const MAX_PATHS: usize = 100;
/// Longest path, in characters.
pub const MAX_PATH_LENGTH: usize = 256;

/// Places in payloads that are hidden: names joined by dots, from the payload's root, such as `client.name`. A list on the
/// way stands for each of its elements. A name with a dot in it cannot be named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RedactedPaths(Vec<String>);

/// Why paths cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathsRefusal {
    /// More than [`MAX_PATHS`].
    #[error("can hold at most {MAX_PATHS} paths")]
    TooMany,
    /// One leads nowhere.
    #[error(
        "`{0}` is no path: give names joined by dots, such as `client.name`, of at most {MAX_PATH_LENGTH} characters"
    )]
    Unusable(String),
}

impl RedactedPaths {
    /// Checks paths.
    ///
    /// # Errors
    /// [`PathsRefusal`] says which is wrong.
    pub fn new(paths: Vec<String>) -> Result<Self, PathsRefusal> {
        if paths.len() > MAX_PATHS {
            return Err(PathsRefusal::TooMany);
        }
        let is_usable = |path: &String| path.len() <= MAX_PATH_LENGTH && path.split('.').all(|name| !name.is_empty());
        match paths.iter().find(|path| !is_usable(path)) {
            Some(wrong) => Err(PathsRefusal::Unusable(wrong.clone())),
            None => Ok(Self(paths)),
        }
    }

    /// As they were given.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Whether nothing is hidden.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The document with what is to be hidden replaced by [`REDACTED`]; the rest as it was written. What cannot be
    /// read is hidden as a whole.
    #[must_use]
    pub fn apply(&self, document: &str) -> String {
        let paths: Vec<Vec<&str>> = self.0.iter().map(|path| path.split('.').collect()).collect();
        let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
        let mut out = String::with_capacity(document.len());
        match write_redacted(document, &paths, &mut out) {
            Ok(()) => out,
            Err(_) => format!("\"{REDACTED}\""),
        }
    }
}

/// Writes a value in which these paths, relative to it, are hidden.
fn write_redacted(raw: &str, paths: &[&[&str]], out: &mut String) -> serde_json::Result<()> {
    match raw.trim_start().as_bytes().first() {
        _ if paths.is_empty() => out.push_str(raw),
        Some(b'{') => {
            let members = serde_json::Deserializer::from_str(raw).deserialize_map(Members)?;
            out.push('{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                out.push_str(&serde_json::to_string(&name)?);
                out.push(':');
                write_member(&name, value.get(), paths, out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw)?;
            out.push('[');
            for (at, element) in elements.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_redacted(element.get(), paths, out)?;
            }
            out.push(']');
        }
        _ => out.push_str(raw),
    }
    Ok(())
}

fn write_member(name: &str, value: &str, paths: &[&[&str]], out: &mut String) -> serde_json::Result<()> {
    let below: Vec<&[&str]> = paths
        .iter()
        .filter_map(|path| path.split_first())
        .filter(|(first, _)| **first == name)
        .map(|(_, rest)| rest)
        .collect();
    if below.iter().any(|rest| rest.is_empty()) {
        // Writing to a string does not fail.
        let _ = write!(out, "\"{REDACTED}\"");
        return Ok(());
    }
    write_redacted(value, &below, out)
}

/// The members of an object in order, duplicates included.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn paths(list: &[&str]) -> RedactedPaths {
        RedactedPaths::new(list.iter().map(|&path| path.to_owned()).collect()).expect("usable")
    }

    #[rstest]
    #[case(&["client.name"], r#"{"client":{"name":"Ann","id":1.10},"n":1e3}"#, r#"{"client":{"name":"[redacted]","id":1.10},"n":1e3}"#)]
    #[case(&["client"], r#"{"client":{"name":"Ann"},"b":[]}"#, r#"{"client":"[redacted]","b":[]}"#)]
    #[case(&["hits.name", "hits.dob"], r#"{"hits":[{"name":"A","dob":"x","s":1},{"s":2},3]}"#, r#"{"hits":[{"name":"[redacted]","dob":"[redacted]","s":1},{"s":2},3]}"#)]
    #[case(&["a"], r#"{"a":1,"a":2}"#, r#"{"a":"[redacted]","a":"[redacted]"}"#)]
    #[case(&["a.b"], r#"{"a":"text"}"#, r#"{"a":"text"}"#)]
    #[case(&["é\""], r#"{"\u00e9\"":1,"b":"\u0000"}"#, r#"{"é\"":"[redacted]","b":"\u0000"}"#)]
    #[case(&["a"], "null", "null")]
    #[case(&["a"], "{broken", "\"[redacted]\"")]
    #[case(&[], r#"{"a":  1}"#, r#"{"a":  1}"#)]
    fn hides_what_is_named_and_nothing_else(#[case] list: &[&str], #[case] document: &str, #[case] shown: &str) {
        assert_eq!(paths(list).apply(document), shown);
    }

    #[test]
    fn refuses_what_is_no_path() {
        for wrong in ["", ".", "a..b", "a.", &"x".repeat(MAX_PATH_LENGTH + 1)] {
            assert_eq!(RedactedPaths::new(vec![wrong.to_owned()]), Err(PathsRefusal::Unusable(wrong.to_owned())));
        }
        assert_eq!(RedactedPaths::new(vec!["a".to_owned(); MAX_PATHS + 1]), Err(PathsRefusal::TooMany));
    }
}
