//! What is known of a delivery when its request is built, looked up by path.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt::{Display, Write};

use super::path::Path;
use super::{Misfit, Outbound};
use crate::json::{Value, equal};

/// Room for an id, a time or the name of most types, in quotes.
const QUOTED_LENGTH: usize = 48;

/// What a path may be looked up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) of: Path,
    /// Both sides as JSON.
    pub(super) rows: Vec<(String, String)>,
}

/// Another name that a payload may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alias {
    pub(super) name: Vec<String>,
    pub(super) other: Vec<String>,
}

/// What a profile adds to the facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lookup {
    pub(super) tables: Vec<Table>,
    pub(super) aliases: Vec<Alias>,
}

/// The facts of one delivery. The payload is parsed only if somebody asks for a part of it.
pub(super) struct Facts<'a> {
    outbound: &'a Outbound<'a>,
    lookup: &'a Lookup,
    payload: OnceCell<Value<'a>>,
    metadata: OnceCell<Value<'a>>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(outbound: &'a Outbound<'a>, lookup: &'a Lookup) -> Self {
        Self { outbound, lookup, payload: OnceCell::new(), metadata: OnceCell::new() }
    }

    /// The JSON at a path; `None` if the payload or the metadata has nothing there.
    pub(super) fn find(&self, path: &Path) -> Result<Option<Cow<'a, str>>, Misfit> {
        let Outbound { event, delivery_id, attempt, .. } = self.outbound;
        Ok(Some(match path {
            Path::EventId => quoted(&event.id),
            Path::EventType => quoted(&event.draft.event_type),
            Path::EventCreatedAt => quoted(&event.created_at),
            Path::EventOccurredAt => quoted(&event.happened_at()),
            Path::EventResourceId => Cow::Owned(serde_json::to_string(&event.draft.resource_id).unwrap_or_default()),
            Path::DeliveryId => quoted(delivery_id),
            Path::DeliveryAttempt => Cow::Owned(attempt.to_string()),
            Path::Payload(names) if names.is_empty() => Cow::Borrowed(&*event.draft.payload),
            Path::Metadata(names) if names.is_empty() => Cow::Borrowed(self.metadata_text()),
            Path::Payload(names) => return self.find_in_payload(names),
            Path::Metadata(names) => {
                return Ok(parsed(&self.metadata, self.metadata_text(), "metadata")?.at(names).map(raw));
            }
            Path::Table(name) => return self.find_in_table(name).map(Some),
        }))
    }

    /// The JSON at a path that must lead somewhere.
    pub(super) fn required(&self, path: &Path) -> Result<Cow<'a, str>, Misfit> {
        self.find(path)?.ok_or_else(|| Misfit::new(path.to_string(), "is missing"))
    }

    fn metadata_text(&self) -> &'a str {
        self.outbound.metadata.unwrap_or("{}")
    }

    fn find_in_payload(&self, names: &[String]) -> Result<Option<Cow<'a, str>>, Misfit> {
        let payload = parsed(&self.payload, &self.outbound.event.draft.payload, "payload")?;
        let alias = self.lookup.aliases.iter().find(|alias| alias.name == names);
        let (own, other) = (payload.at(names), alias.and_then(|alias| payload.at(&alias.other)));
        if let (Some(own), Some(other), Some(alias)) = (own, other, alias)
            && !equal(own, other)
        {
            let field = Path::Payload(names.to_vec()).to_string();
            return Err(Misfit::new(field, format!("contradicts {}", Path::Payload(alias.other.clone()))));
        }
        Ok(own.or(other).map(raw))
    }

    fn find_in_table(&self, name: &str) -> Result<Cow<'a, str>, Misfit> {
        let table = self.lookup.tables.iter().find(|table| table.name == name);
        let table = table.ok_or_else(|| Misfit::new(format!("table.{name}"), "does not exist"))?;
        let json = self.required(&table.of)?;
        let key = Value::parse(&json).map_err(|refusal| Misfit::new(table.of.to_string(), refusal.to_string()))?;
        let is_key = |written: &str| Value::parse(written).is_ok_and(|written| equal(&key, &written));
        let row = table.rows.iter().find(|(written, _)| is_key(written));
        row.map(|(_, value)| Cow::Borrowed(value.as_str())).ok_or_else(|| {
            let known: Vec<&str> = table.rows.iter().map(|(written, _)| written.as_str()).collect();
            Misfit::new(table.of.to_string(), format!("must be one of {}", known.join(", ")))
        })
    }
}

/// A fact in quotes, none of which needs an escape.
fn quoted(fact: &dyn Display) -> Cow<'static, str> {
    let mut json = String::with_capacity(QUOTED_LENGTH);
    let _ = write!(json, "\"{fact}\"");
    Cow::Owned(json)
}

fn raw<'a>(value: &Value<'a>) -> Cow<'a, str> {
    Cow::Borrowed(value.raw())
}

fn parsed<'c, 'a>(cell: &'c OnceCell<Value<'a>>, text: &'a str, what: &str) -> Result<&'c Value<'a>, Misfit> {
    if let Some(known) = cell.get() {
        return Ok(known);
    }
    let value = Value::parse(text).map_err(|refusal| Misfit::new(what, refusal.to_string()))?;
    Ok(cell.get_or_init(|| value))
}
