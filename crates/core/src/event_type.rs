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

/// At most three names that somebody who typed `wrong` may have meant, the nearest first. None for
/// what is longer than any name: comparing takes time that grows with both lengths.
pub fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if wrong.len() > NAME_LIMIT {
        return Vec::new();
    }
    let wrong = wrong.to_lowercase();
    let mut scored: Vec<(f64, &str)> = known
        .map(|name| (strsim::jaro_winkler(&wrong, &name.to_lowercase()), name))
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, name)| name).collect()
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

    #[test]
    fn a_mistyped_name_has_suggestions() {
        let names = || ["case.opened", "case.resolved", "screening.completed", "batch.failed"].into_iter();
        assert_eq!(nearest("screening.complete", names()).first(), Some(&"screening.completed"));
        assert_eq!(nearest("Case.Resolved", names()).first(), Some(&"case.resolved"));
        assert!(nearest("zzz", names()).is_empty());
        let too_long = format!("screening.completed{}", "d".repeat(NAME_LIMIT));
        assert!(nearest(&too_long, names()).is_empty());
    }
}
