//! What a `{{path}}` names.

use std::fmt;

/// A fact about the event, the delivery or what was published with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Path {
    EventId,
    EventType,
    EventCreatedAt,
    /// When it was accepted, if nobody said when it happened.
    EventOccurredAt,
    EventResourceId,
    DeliveryId,
    DeliveryAttempt,
    /// The payload, or what is at these names in it.
    Payload(Vec<String>),
    /// The same of the metadata; `{}` if there is none.
    Metadata(Vec<String>),
    /// What stands in the table of that name beside the value that it is looked up by.
    Table(String),
}

const FACTS: [(&str, Path); 7] = [
    ("event.id", Path::EventId),
    ("event.type", Path::EventType),
    ("event.created_at", Path::EventCreatedAt),
    ("event.occurred_at", Path::EventOccurredAt),
    ("event.resource_id", Path::EventResourceId),
    ("delivery.id", Path::DeliveryId),
    ("delivery.attempt", Path::DeliveryAttempt),
];

impl Path {
    /// Reads `payload.client.id` and the like.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some((_, fact)) = FACTS.into_iter().find(|(name, _)| *name == text) {
            return Ok(fact);
        }
        let mut names = text.split('.');
        let root = names.next().unwrap_or_default();
        let names: Vec<String> = names.map(str::to_owned).collect();
        if names.iter().any(|name| name.is_empty() || name.contains(['{', '}'])) {
            return Err(format!("`{text}` is no path: names stand between single dots, without braces"));
        }
        match (root, names.as_slice()) {
            ("payload", _) => Ok(Self::Payload(names)),
            ("metadata", _) => Ok(Self::Metadata(names)),
            ("table", [name]) => Ok(Self::Table(name.clone())),
            _ => {
                let facts = FACTS.map(|(name, _)| name).join(", ");
                Err(format!("`{text}` is none of {facts}, payload…, metadata…, table.NAME"))
            }
        }
    }

    /// The path between the braces, if `text` is nothing but `{{path}}`; text with braces otherwise is
    /// a mistake.
    pub(super) fn in_braces(text: &str) -> Result<Option<Self>, String> {
        if let Some(inner) = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) {
            return Self::parse(inner.trim()).map(Some);
        }
        if text.contains("{{") {
            return Err(format!("`{text}` mixes text with a path; a path stands alone, as in \"{{{{event.id}}}}\""));
        }
        Ok(None)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (root, names) = match self {
            Self::Payload(names) => ("payload", names.as_slice()),
            Self::Metadata(names) => ("metadata", names.as_slice()),
            Self::Table(name) => ("table", std::slice::from_ref(name)),
            fact => {
                let name = FACTS.iter().find(|(_, known)| known == fact).map_or("", |(name, _)| name);
                return f.write_str(name);
            }
        };
        f.write_str(root)?;
        names.iter().try_for_each(|name| write!(f, ".{name}"))
    }
}
