//! Events: accepted facts.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::event_type::EventTypeName;
use crate::json::last_member;
use crate::target_url::TargetUrl;
use crate::trace_context::TraceContext;
use crate::{EventId, TenantId, Timestamp};

/// Longest `resource_id` and `idempotency_key`, in characters.
pub const KEY_LIMIT: usize = 255;

/// Largest `metadata`, in bytes.
pub const METADATA_LIMIT: usize = 16 * 1024;

/// What somebody asks to publish; checked, not yet accepted. Its `Debug` has nothing of the payload or the metadata.
#[derive(Clone)]
pub struct EventDraft {
    /// What happened.
    pub event_type: EventTypeName,
    /// A JSON object without white space between its tokens, otherwise as it came.
    pub payload: Arc<str>,
    /// When it happened, if the publisher says so.
    pub occurred_at: Option<Timestamp>,
    /// After this, no try is made.
    pub expires_at: Option<Timestamp>,
    /// What it is about. Taken from `payload.id` if not given.
    pub resource_id: Option<String>,
    /// The publisher's own data: a JSON object.
    pub metadata: Option<Arc<str>>,
    /// Makes publishing safe to repeat.
    pub idempotency_key: Option<String>,
    /// Where this one event goes besides the subscriptions.
    pub one_off: Option<OneOff>,
    /// Where it was published, if that is traced.
    pub trace_context: Option<TraceContext>,
}

impl fmt::Debug for EventDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("EventDraft");
        shown.field("event_type", &self.event_type).field("payload_bytes", &self.payload.len()).finish_non_exhaustive()
    }
}

/// A URL for one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOff {
    /// Where to.
    pub url: TargetUrl,
    /// The wire format's name. In a draft, `None` is the tenant's default, whatever that is when the
    /// event is accepted; an event names one.
    pub profile: Option<String>,
}

impl EventDraft {
    /// A draft with nothing but a type and a payload.
    #[must_use]
    pub const fn new(event_type: EventTypeName, payload: Arc<str>) -> Self {
        Self {
            event_type,
            payload,
            occurred_at: None,
            expires_at: None,
            resource_id: None,
            metadata: None,
            idempotency_key: None,
            one_off: None,
            trace_context: None,
        }
    }

    /// SHA-256 over all that was asked: the same key with another hash is a conflict.
    #[must_use]
    pub fn request_hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut field = |bytes: Option<&[u8]>| {
            let length = bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX));
            hash.update(length.to_be_bytes());
            hash.update(bytes.unwrap_or_default());
        };
        let time = |at: Option<Timestamp>| at.map(|at| at.as_micros().to_be_bytes());
        field(Some(self.event_type.as_str().as_bytes()));
        field(Some(self.payload.as_bytes()));
        field(time(self.occurred_at).as_ref().map(<[u8; 8]>::as_slice));
        field(time(self.expires_at).as_ref().map(<[u8; 8]>::as_slice));
        field(self.resource_id.as_deref().map(str::as_bytes));
        field(self.metadata.as_deref().map(str::as_bytes));
        field(self.one_off.as_ref().map(|one_off| one_off.url.as_str().as_bytes()));
        field(self.one_off.as_ref().and_then(|one_off| one_off.profile.as_deref()).map(str::as_bytes));
        hash.finalize().into()
    }
}

/// An accepted fact. Never changes.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id; `webhook-id` in the standard format.
    pub id: EventId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// What was published.
    pub draft: EventDraft,
}

impl Event {
    /// When it happened: as the publisher says, or when it was accepted.
    #[must_use]
    pub fn happened_at(&self) -> Timestamp {
        self.draft.occurred_at.unwrap_or(self.created_at)
    }
}

/// `payload.id` of a compacted payload, if it is a usable string. Of duplicates, the last counts.
#[must_use]
pub fn resource_id_of(payload: &str) -> Option<String> {
    let text: String = serde_json::from_str(last_member(payload, "id")?).ok()?;
    // PostgreSQL's text cannot hold U+0000.
    let is_usable = !text.is_empty() && text.chars().count() <= KEY_LIMIT && !text.contains('\0');
    is_usable.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> EventDraft {
        let event_type = EventTypeName::parse("case.opened").expect("well-formed");
        EventDraft { idempotency_key: Some("k".to_owned()), ..EventDraft::new(event_type, r#"{"id":"a"}"#.into()) }
    }

    #[test]
    fn what_is_personal_is_not_shown_to_developers() {
        let payload = r#"{"name":"sentinel"}"#;
        let shown = format!("{:?}", EventDraft { payload: payload.into(), metadata: Some(payload.into()), ..draft() });
        assert!(shown.contains("case.opened") && !shown.contains("sentinel"), "{shown}");
    }

    fn one_off(profile: Option<&str>) -> OneOff {
        let url = TargetUrl::from_stored("https://example.com/a").expect("valid");
        OneOff { url, profile: profile.map(str::to_owned) }
    }

    #[test]
    fn the_hash_tells_requests_apart() {
        let changes: [fn(&mut EventDraft); 8] = [
            |d| d.event_type = EventTypeName::parse("case.resolved").expect("well-formed"),
            |d| d.payload = r#"{"id":"b"}"#.into(),
            |d| d.occurred_at = Some(Timestamp::from_micros(1)),
            |d| d.expires_at = Some(Timestamp::from_micros(1)),
            |d| d.resource_id = Some(String::new()),
            |d| d.metadata = Some("{}".into()),
            |d| d.one_off = Some(one_off(None)),
            |d| d.one_off = Some(one_off(Some("aplyid"))),
        ];
        let mut hashes = std::collections::HashSet::from([draft().request_hash()]);
        for change in changes {
            let mut changed = draft();
            change(&mut changed);
            assert!(hashes.insert(changed.request_hash()), "{changed:?}");
        }
        let other_key = EventDraft { idempotency_key: None, ..draft() };
        assert_eq!(other_key.request_hash(), draft().request_hash());
    }

    #[test]
    fn the_resource_is_the_payloads_id_if_it_is_a_string() {
        assert_eq!(resource_id_of(r#"{"a":1,"id":"x\u0041"}"#).as_deref(), Some("xA"));
        assert_eq!(resource_id_of(r#"{"id":7,"i\u0064":"x","a":{"id":"y"}}"#).as_deref(), Some("x"), "the last counts");
        for payload in
            [r#"{"id":"a\u0000"}"#, r#"{"id":7}"#, r#"{"id":null}"#, r#"{"id":""}"#, "{}", r#"{"x":{"id":"y"}}"#]
        {
            assert_eq!(resource_id_of(payload), None, "{payload}");
        }
    }
}
