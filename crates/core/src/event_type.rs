//! The names of what can happen, and the built-in catalogue of them.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Subscribes to every type. Cannot be published.
pub const ALL: &str = "all";
/// What the test endpoint sends. Cannot be published.
pub const TEST: &str = "test";

/// Longest name, in characters.
pub const NAME_LIMIT: usize = 128;

/// A well-formed name: `[A-Za-z0-9_.]+`, at most 128 characters. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTypeName(Arc<str>);

impl EventTypeName {
    /// Reads a name; `None` if it is not well-formed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
        let fits = !text.is_empty() && text.len() <= NAME_LIMIT && text.bytes().all(plain);
        fits.then(|| Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `all`.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.as_str() == ALL
    }

    /// Whether it is `all` or `test`, which are not facts and cannot be published.
    #[must_use]
    pub fn is_special(&self) -> bool {
        self.as_str() == ALL || self.as_str() == TEST
    }
}

impl fmt::Display for EventTypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for EventTypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for EventTypeName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An entry of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventType {
    /// What is published and subscribed to.
    pub name: EventTypeName,
    /// The group it is listed in.
    pub group: String,
    /// What it means.
    pub description: String,
    /// The wire format whose document names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Whether it is the tenant's own, and can be changed.
    pub custom: bool,
}

impl EventType {
    /// Whether every word of `search` is somewhere in its name, group or description, whatever the case.
    #[must_use]
    pub fn is_found_by(&self, search: &str) -> bool {
        let text = format!("{} {} {}", self.name, self.group, self.description).to_lowercase();
        search.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_finds_words_anywhere() {
        let completed = EventType {
            name: EventTypeName::parse("screening.completed").expect("well-formed"),
            group: "AML Screening Events".to_owned(),
            description: "AML screening check finished successfully".to_owned(),
            profile: None,
            custom: false,
        };
        for search in ["", "screening", "SCREENING.com", "aml finished", "  events  "] {
            assert!(completed.is_found_by(search), "{search}");
        }
        assert!(!completed.is_found_by("aml failed"));
    }

    #[test]
    fn names_are_well_formed() {
        assert!(EventTypeName::parse("verification.frontIdCardResult.created").is_some());
        for wrong in ["", "a b", "a-b", "é", &"x".repeat(129)] {
            assert_eq!(EventTypeName::parse(wrong), None, "{wrong}");
        }
    }
}
