//! Reading a format's file, and finding every mistake in it before anything is sent.

use std::collections::{BTreeMap, HashSet};

use http::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use super::facts::{Alias, Lookup, Table};
use super::path::Path;
use super::template::Template;
use super::{Condition, Example, Group, HeaderTemplate, Outbound, Profile, Writing};
use crate::event::{Event, EventDraft, resource_id_of};
use crate::event_type::EventTypeName;
use crate::headers::is_reserved_by_connection;
use crate::json::{Value, compact};
use crate::lifecycle::AnswerRules;
use crate::signature::{Encoding, Hmac, KeyForm, Scheme, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use crate::subscription::AttemptTimeout;
use crate::{DeliveryId, EventId, TenantId, Timestamp};

/// Longest name, in characters.
const NAME_LIMIT: usize = 64;

/// A mistake in a format's file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ProfileError {
    /// Where, from 1.
    pub line: usize,
    /// What.
    pub message: String,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    title: String,
    summary: String,
    timeout_seconds: Option<Spanned<i64>>,
    #[serde(default)]
    retry_after: bool,
    #[serde(default)]
    gone: bool,
    #[serde(default)]
    json: Writing,
    body: Spanned<String>,
    #[serde(default)]
    headers: BTreeMap<String, Spanned<String>>,
    signature: Option<Spanned<Signature>>,
    #[serde(default)]
    tables: BTreeMap<String, TableForm>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    #[serde(default)]
    conditions: Vec<ConditionForm>,
    #[serde(default)]
    groups: Vec<GroupForm>,
    examples: Vec<ExampleForm>,
}

#[derive(Deserialize)]
#[serde(tag = "scheme", rename_all = "kebab-case", deny_unknown_fields)]
enum Signature {
    StandardWebhooks {},
    #[serde(rename = "hmac-sha256")]
    HmacSha256 {
        header: String,
        encoding: Encoding,
        #[serde(default)]
        prefix: String,
        key: KeyForm,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableForm {
    of: Spanned<String>,
    rows: Vec<Vec<toml::Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionForm {
    #[serde(default)]
    event_types: Vec<Spanned<String>>,
    present: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupForm {
    name: String,
    event_types: Vec<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExampleForm {
    event_type: Spanned<String>,
    payload: Spanned<String>,
    metadata: Option<Spanned<String>>,
}

/// Knows where in the source a mistake is.
struct Source<'a>(&'a str);

impl Source<'_> {
    fn mistake(&self, offset: usize, message: impl Into<String>) -> ProfileError {
        let before = self.0.as_bytes().get(..offset).unwrap_or_default();
        ProfileError { line: 1 + before.iter().filter(|byte| **byte == b'\n').count(), message: message.into() }
    }

    fn at<T>(&self, place: &Spanned<T>, message: impl Into<String>) -> ProfileError {
        self.mistake(place.span().start, message)
    }

    fn name(&self, text: &Spanned<String>) -> Result<EventTypeName, ProfileError> {
        let name = EventTypeName::parse(text.get_ref());
        name.ok_or_else(|| self.at(text, format!("`{}` is not the name of an event type", text.get_ref())))
    }

    fn path(&self, text: &Spanned<String>) -> Result<Path, ProfileError> {
        Path::parse(text.get_ref()).map_err(|message| self.at(text, message))
    }

    fn object(&self, text: &Spanned<String>) -> Result<String, ProfileError> {
        let value = Value::parse(text.get_ref()).map_err(|refusal| self.at(text, refusal.to_string()))?;
        if value.as_object().is_none() {
            return Err(self.at(text, "must be a JSON object"));
        }
        compact(text.get_ref()).map_err(|refusal| self.at(text, refusal.to_string()))
    }
}

impl Profile {
    /// Reads a format's file and tries it on its examples.
    ///
    /// # Errors
    /// [`ProfileError`] names the first mistake.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let source = Source(text);
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            source.mistake(at, error.message().lines().next().unwrap_or_default())
        })?;
        let body = Template::parse(file.body.get_ref()).map_err(|message| source.at(&file.body, message))?;
        let profile = Self {
            name: read_name(&source, &file.name)?,
            title: file.title,
            summary: file.summary,
            source: text.to_owned(),
            digest: Sha256::digest(text).into(),
            timeout: read_timeout(&source, file.timeout_seconds.as_ref())?,
            answer_rules: AnswerRules { retry_after: file.retry_after, gone: file.gone },
            groups: read_groups(&source, file.groups)?,
            examples: read_examples(&source, &file.examples)?,
            writing: file.json,
            headers: read_headers(&source, file.headers)?,
            scheme: read_scheme(&source, file.signature)?,
            conditions: read_conditions(&source, &file.conditions)?,
            lookup: Lookup { tables: read_tables(&source, &file.tables)?, aliases: read_aliases(&file.aliases) },
            body,
        };
        profile.check_tables(&source, &file.body)?;
        profile.check_aliases(&source, &file.body)?;
        profile.check_headers(&source, &file.body)?;
        profile.try_examples(&source, &file.examples)?;
        Ok(profile)
    }

    /// Every table that is looked something up in must be there, and no other.
    fn check_tables(&self, source: &Source<'_>, body: &Spanned<String>) -> Result<(), ProfileError> {
        let tables = &self.lookup.tables;
        let named = |path: &Path| if let Path::Table(name) = path { Some(name.clone()) } else { None };
        let wanted: Vec<String> = self.written_paths().filter_map(named).collect();
        if let Some(name) = wanted.iter().find(|name| !tables.iter().any(|table| table.name == **name)) {
            return Err(source.at(body, format!("there is no table `{name}`")));
        }
        match tables.iter().find(|table| !wanted.contains(&table.name)) {
            Some(table) => Err(source.at(body, format!("nothing uses the table `{}`", table.name))),
            None => Ok(()),
        }
    }

    /// An alias must be of something that is read, and another name for it.
    fn check_aliases(&self, source: &Source<'_>, body: &Spanned<String>) -> Result<(), ProfileError> {
        let looked_up = self.lookup.tables.iter().map(|table| &table.of);
        let required = self.conditions.iter().map(|condition| &condition.present);
        let read: Vec<&Path> = self.written_paths().chain(looked_up).chain(required).collect();
        for alias in &self.lookup.aliases {
            let name = alias.name.join(".");
            if alias.name == alias.other {
                return Err(source.at(body, format!("the alias `{name}` stands for itself")));
            }
            if !read.iter().any(|path| matches!(path, Path::Payload(names) if *names == alias.name)) {
                return Err(source.at(body, format!("nothing reads the alias `{name}`")));
            }
        }
        Ok(())
    }

    /// What the signature sets, nobody else may.
    fn check_headers(&self, source: &Source<'_>, body: &Spanned<String>) -> Result<(), ProfileError> {
        let is_signatures = |name: &&HeaderName| match &self.scheme {
            Scheme::None => false,
            Scheme::StandardWebhooks => [WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE].contains(name),
            Scheme::Hmac(hmac) => hmac.header == **name,
        };
        match self.header_names().find(is_signatures) {
            Some(name) => Err(source.at(body, format!("the header `{name}` is the signature's"))),
            None => Ok(()),
        }
    }

    /// The paths of the body and the headers.
    fn written_paths(&self) -> impl Iterator<Item = &Path> {
        let in_headers = self.headers.iter().filter_map(|(_, template)| match template {
            HeaderTemplate::Fact(path) => Some(path),
            HeaderTemplate::Literal(_) => None,
        });
        self.body.paths().into_iter().chain(in_headers)
    }

    fn try_examples(&self, source: &Source<'_>, forms: &[ExampleForm]) -> Result<(), ProfileError> {
        for (example, form) in self.examples.iter().zip(forms) {
            let event = example.as_event();
            let outbound = Outbound {
                event: &event,
                metadata: example.metadata.as_deref(),
                delivery_id: DeliveryId::NIL,
                attempt: 1,
            };
            if let Err(unfit) = self.prepare(&outbound, None, Timestamp::from_micros(0)) {
                return Err(source.at(&form.payload, format!("the example does not fit: {unfit}")));
            }
        }
        Ok(())
    }
}

impl Example {
    /// The example as an event that nobody published.
    #[must_use]
    pub fn as_event(&self) -> Event {
        Event {
            id: EventId::NIL,
            tenant_id: TenantId::NIL,
            created_at: Timestamp::from_micros(0),
            draft: EventDraft {
                metadata: self.metadata.as_deref().map(Into::into),
                resource_id: resource_id_of(&self.payload),
                ..EventDraft::new(self.event_type.clone(), self.payload.as_str().into())
            },
        }
    }
}

fn read_name(source: &Source<'_>, name: &Spanned<String>) -> Result<String, ProfileError> {
    let text = name.get_ref();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
    if text.is_empty() || text.len() > NAME_LIMIT || !is_plain {
        let wrong = format!("`name` must be 1 to {NAME_LIMIT} lower-case letters, digits, `-` or `_`");
        return Err(source.at(name, wrong));
    }
    Ok(text.clone())
}

fn read_timeout(source: &Source<'_>, seconds: Option<&Spanned<i64>>) -> Result<AttemptTimeout, ProfileError> {
    let Some(seconds) = seconds else { return Ok(AttemptTimeout::default()) };
    let timeout = AttemptTimeout::from_seconds(*seconds.get_ref());
    timeout.ok_or_else(|| source.at(seconds, "`timeout_seconds` must be from 1 to 30"))
}

fn read_groups(source: &Source<'_>, forms: Vec<GroupForm>) -> Result<Vec<Group>, ProfileError> {
    let read = |form: GroupForm| {
        let named = |pair: Vec<Spanned<String>>| match pair.as_slice() {
            [name, description] => Ok((source.name(name)?, description.get_ref().clone())),
            [first, ..] => Err(source.at(first, "`event_types` must be pairs of a name and a description")),
            [] => Err(source.mistake(0, "`event_types` has an empty pair")),
        };
        let place = form.event_types.first().and_then(|pair| pair.first()).map_or(0, |name| name.span().start);
        let event_types: Vec<(EventTypeName, String)> =
            form.event_types.into_iter().map(named).collect::<Result<_, _>>()?;
        let names: HashSet<&EventTypeName> = event_types.iter().map(|(name, _)| name).collect();
        if names.len() < event_types.len() {
            return Err(source.mistake(place, format!("the group `{}` has a type twice", form.name)));
        }
        Ok(Group { name: form.name, event_types })
    };
    forms.into_iter().map(read).collect()
}

fn read_examples(source: &Source<'_>, forms: &[ExampleForm]) -> Result<Vec<Example>, ProfileError> {
    if forms.is_empty() {
        return Err(source.mistake(0, "`examples` must have at least one event"));
    }
    let read = |form: &ExampleForm| {
        Ok(Example {
            event_type: source.name(&form.event_type)?,
            payload: source.object(&form.payload)?,
            metadata: form.metadata.as_ref().map(|metadata| source.object(metadata)).transpose()?,
        })
    };
    forms.iter().map(read).collect()
}

fn read_headers(
    source: &Source<'_>,
    forms: BTreeMap<String, Spanned<String>>,
) -> Result<Vec<(HeaderName, HeaderTemplate)>, ProfileError> {
    let mut headers: Vec<(HeaderName, HeaderTemplate)> = Vec::new();
    for (name, text) in forms {
        let header = header_name(&name).map_err(|message| source.at(&text, message))?;
        if headers.iter().any(|(other, _)| *other == header) {
            return Err(source.at(&text, format!("the header `{name}` is given twice")));
        }
        let path = Path::in_braces(text.get_ref()).map_err(|message| source.at(&text, message))?;
        let template = match path {
            Some(path) => HeaderTemplate::Fact(path),
            None => {
                let literal = HeaderValue::from_str(text.get_ref());
                HeaderTemplate::Literal(literal.map_err(|_| source.at(&text, "is no header value"))?)
            }
        };
        headers.push((header, template));
    }
    Ok(headers)
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not a header name"))?;
    if is_reserved_by_connection(&header) {
        return Err(format!("the header `{name}` is set by the connection"));
    }
    Ok(header)
}

fn read_scheme(source: &Source<'_>, form: Option<Spanned<Signature>>) -> Result<Scheme, ProfileError> {
    let Some(form) = form else { return Ok(Scheme::None) };
    let at = form.span().start;
    Ok(match form.into_inner() {
        Signature::StandardWebhooks {} => Scheme::StandardWebhooks,
        Signature::HmacSha256 { header, encoding, prefix, key } => {
            let header = header_name(&header).map_err(|message| source.mistake(at, message))?;
            if !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(source.mistake(at, "`prefix` must be visible ASCII"));
            }
            Scheme::Hmac(Hmac { header, encoding, prefix, key })
        }
    })
}

fn read_conditions(source: &Source<'_>, forms: &[ConditionForm]) -> Result<Vec<Condition>, ProfileError> {
    let read = |form: &ConditionForm| {
        let event_types = form.event_types.iter().map(|name| source.name(name)).collect::<Result<_, _>>()?;
        match source.path(&form.present)? {
            present @ Path::Payload(_) => Ok(Condition { event_types, present }),
            _ => Err(source.at(&form.present, "`present` must be a path in the payload")),
        }
    };
    forms.iter().map(read).collect()
}

fn read_tables(source: &Source<'_>, forms: &BTreeMap<String, TableForm>) -> Result<Vec<Table>, ProfileError> {
    let read = |(name, form): (&String, &TableForm)| {
        let of = source.path(&form.of)?;
        if matches!(of, Path::Table(_)) {
            return Err(source.at(&form.of, "a table cannot be looked up by a table"));
        }
        let json = |value: &toml::Value| {
            let is_plain = matches!(
                value,
                toml::Value::String(_) | toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_)
            );
            let json = serde_json::to_string(value).ok().filter(|_| is_plain);
            json.ok_or_else(|| source.at(&form.of, "`rows` must be pairs of texts, numbers or booleans"))
        };
        let rows: Vec<(String, String)> = form
            .rows
            .iter()
            .map(|row| match row.as_slice() {
                [key, value] => Ok((json(key)?, json(value)?)),
                _ => Err(source.at(&form.of, "`rows` must be pairs")),
            })
            .collect::<Result<_, _>>()?;
        let is_twice = |(at, (key, _)): (usize, &(String, String))| rows[..at].iter().any(|(other, _)| other == key);
        if rows.iter().enumerate().any(is_twice) {
            return Err(source.at(&form.of, "`rows` has a left side twice"));
        }
        Ok(Table { name: name.clone(), of, rows })
    };
    forms.iter().map(read).collect()
}

fn read_aliases(forms: &BTreeMap<String, String>) -> Vec<Alias> {
    let names = |path: &str| path.split('.').map(str::to_owned).collect();
    forms.iter().map(|(name, other)| Alias { name: names(name), other: names(other) }).collect()
}
