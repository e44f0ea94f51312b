//! Wire formats: what a request to a receiver looks like.
//!
//! A format is a readable file (`profiles/*.toml`), interpreted by what is here: a body template with
//! places for facts, headers, a signature scheme, conditions, and what answers mean.

mod book;
mod facts;
mod file;
mod path;
mod template;

use std::fmt;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};

use crate::event::Event;
use crate::event_type::EventTypeName;
use crate::json::{Kind, Value, ecmascript};
use crate::lifecycle::AnswerRules;
use crate::secret::Secrets;
use crate::signature::Scheme;
use crate::subscription::AttemptTimeout;
use crate::{DeliveryId, Timestamp};
pub use book::{Conflict, Profiles};
use facts::{Facts, Lookup};
pub use file::ProfileError;
use path::Path;
use template::Template;

/// The default format: Standard Webhooks.
pub const STANDARD: &str = "standard";

/// How Postrider names itself to receivers.
pub const AGENT: &str = concat!("Postrider/", env!("CARGO_PKG_VERSION"));

/// Longest reason for a misfit, in characters: names in a payload may be of any length.
const REASON_LIMIT: usize = 200;

/// A wire format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it looks like, in a sentence.
    pub summary: String,
    /// The file it was read from.
    pub source: String,
    /// SHA-256 of the file: tells its versions apart.
    pub digest: [u8; 32],
    /// How long an attempt may take, unless a subscription says otherwise.
    pub timeout: AttemptTimeout,
    /// What it makes of answers that are no success.
    pub answer_rules: AnswerRules,
    /// The catalogue of event types that belongs to it.
    pub groups: Vec<Group>,
    /// Its document's example events, at least one.
    pub examples: Vec<Example>,
    body: Template,
    writing: Writing,
    headers: Vec<(HeaderName, HeaderTemplate)>,
    scheme: Scheme,
    conditions: Vec<Condition>,
    lookup: Lookup,
}

/// Event types that are listed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Types with their descriptions.
    pub event_types: Vec<(EventTypeName, String)>,
}

/// An event to show a format with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// What happened.
    pub event_type: EventTypeName,
    /// A JSON object.
    pub payload: String,
    /// A JSON object.
    pub metadata: Option<String>,
}

/// How the body's JSON is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Writing {
    /// As it was published, without white space.
    #[default]
    AsPublished,
    /// As ECMAScript writes what it parsed.
    Ecmascript,
}

/// A header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HeaderTemplate {
    Literal(HeaderValue),
    Fact(Path),
}

/// What must be so for an event to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    /// The types it is about; empty for all.
    event_types: Vec<EventTypeName>,
    /// Must lead to something that is neither null nor empty text.
    present: Path,
}

/// What is to go out: one try of one delivery.
#[derive(Clone, Copy, Debug)]
pub struct Outbound<'a> {
    /// What happened.
    pub event: &'a Event,
    /// The callback's metadata, or the event's: a JSON object.
    pub metadata: Option<&'a str>,
    /// The same on every try.
    pub delivery_id: DeliveryId,
    /// The number of the attempt, from 1.
    pub attempt: i64,
}

/// A request, ready to go on the wire. Its `Debug` has the names of its headers, and how long it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Prepared {
    /// All headers but the subscription's static ones and the connection's.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The exact bytes.
    pub body: Vec<u8>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Prepared").field("headers", &names).field("body_bytes", &self.body.len()).finish()
    }
}

/// Why an event is not sent in a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The format sends it only under a condition that is not met; says which.
    Condition(String),
    /// The format has no place for such a payload.
    Misfit(Misfit),
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Condition(unmet) => f.write_str(unmet),
            Self::Misfit(misfit) => misfit.fmt(f),
        }
    }
}

/// What of an event does not fit a format. Names the field, never its value: that may be personal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Misfit {
    /// Which field.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Misfit {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: plain_text(&field.into()), problem: plain_text(&problem.into()) }
    }
}

/// Text for one line, of a bounded length.
fn plain_text(text: &str) -> String {
    text.chars().take(REASON_LIMIT).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

impl Profile {
    /// Builds and signs the request of one try at `now`. Without secrets it goes out unsigned.
    ///
    /// The bytes are the same on every try, but for what the format stamps per try.
    ///
    /// # Errors
    /// [`Unfit`] says why it is not to be sent.
    pub fn prepare(
        &self,
        outbound: &Outbound<'_>,
        secrets: Option<&Secrets>,
        now: Timestamp,
    ) -> Result<Prepared, Unfit> {
        let facts = Facts::new(outbound, &self.lookup);
        if let Some(reason) = self.unmet(outbound, &facts) {
            return Err(Unfit::Condition(reason));
        }
        self.build(outbound, &facts, secrets, now).map_err(Unfit::Misfit)
    }

    fn build(
        &self,
        outbound: &Outbound<'_>,
        facts: &Facts<'_>,
        secrets: Option<&Secrets>,
        now: Timestamp,
    ) -> Result<Prepared, Misfit> {
        let mut body = String::with_capacity(outbound.event.draft.payload.len() + 128);
        self.body.write(facts, &mut body)?;
        if self.writing == Writing::Ecmascript {
            body = ecmascript::normalize(&body).map_err(unwritable)?;
        }
        let body = body.into_bytes();
        let mut headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(AGENT)),
        ];
        for (name, template) in &self.headers {
            headers.push((name.clone(), template.value(facts)?));
        }
        headers.extend(self.scheme.sign(secrets, outbound.event.id, now, &body));
        Ok(Prepared { headers, body })
    }

    /// Which condition an event of this type and payload does not meet, if any.
    #[must_use]
    pub fn unmet_condition(&self, event: &Event) -> Option<String> {
        if self.conditions.is_empty() {
            return None;
        }
        let outbound = Outbound { event, metadata: None, delivery_id: DeliveryId::NIL, attempt: 1 };
        self.unmet(&outbound, &Facts::new(&outbound, &self.lookup))
    }

    fn unmet(&self, outbound: &Outbound<'_>, facts: &Facts<'_>) -> Option<String> {
        let event_type = &outbound.event.draft.event_type;
        let applies =
            |condition: &&Condition| condition.event_types.is_empty() || condition.event_types.contains(event_type);
        let is_unmet = |condition: &&Condition| {
            let found = facts.find(&condition.present).ok().flatten();
            found.is_none_or(|json| matches!(&*json, "null" | "\"\""))
        };
        let unmet = self.conditions.iter().filter(applies).find(is_unmet)?;
        Some(format!("{} is absent", unmet.present))
    }

    /// Tells this version of the format from all others.
    #[must_use]
    pub fn version(&self) -> i64 {
        let [a, b, c, d, e, f, g, h, ..] = self.digest;
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// The format's example of an event of this type: its own, or else its first, if the type is of
    /// its catalogue.
    #[must_use]
    pub fn example_of(&self, event_type: &EventTypeName) -> Option<&Example> {
        let own = self.examples.iter().find(|example| example.event_type == *event_type);
        own.or_else(|| self.examples.first().filter(|_| self.has_type(event_type)))
    }

    /// Whether a type is of its catalogue.
    #[must_use]
    pub fn has_type(&self, event_type: &EventTypeName) -> bool {
        self.groups.iter().flat_map(|group| &group.event_types).any(|(name, _)| name == event_type)
    }

    /// The types that its conditions and examples are of.
    fn types_spoken_of(&self) -> impl Iterator<Item = &EventTypeName> {
        let conditions = self.conditions.iter().flat_map(|condition| &condition.event_types);
        conditions.chain(self.examples.iter().map(|example| &example.event_type))
    }

    /// The headers that it sets besides those of its signature.
    pub fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.headers.iter().map(|(name, _)| name)
    }

    /// How it signs.
    #[must_use]
    pub const fn scheme(&self) -> &Scheme {
        &self.scheme
    }
}

impl HeaderTemplate {
    fn value(&self, facts: &Facts<'_>) -> Result<HeaderValue, Misfit> {
        let path = match self {
            Self::Literal(value) => return Ok(value.clone()),
            Self::Fact(path) => path,
        };
        let json = facts.required(path)?;
        let wrong = || Misfit::new(path.to_string(), "cannot stand in a header: it must be visible ASCII or a number");
        let value = Value::parse(&json).map_err(|_| wrong())?;
        let text = match value.kind() {
            Kind::String(text) => text,
            Kind::Number(_) => value.raw(),
            _ => return Err(wrong()),
        };
        let is_visible = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && text.trim() == text;
        HeaderValue::from_str(text).ok().filter(|_| is_visible).ok_or_else(wrong)
    }
}

fn unwritable(error: ecmascript::Unwritable) -> Misfit {
    match error {
        ecmascript::Unwritable::Refused(refusal) => Misfit::new("the body", refusal.to_string()),
        ecmascript::Unwritable::OutOfRange(path) => Misfit::new(path, "is a number beyond the range of a double"),
    }
}

#[cfg(test)]
mod tests;
