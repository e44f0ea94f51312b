//! Wire formats.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

/// A wire format.
#[derive(ToSchema)]
#[schema(example = json!({
    "name": "credas", "title": "Credas",
    "summary": "Four fields: which process of which client has which status; unsigned.", "signature": "none",
    "timeout_seconds": 15, "heeds_retry_after": false, "gone_deactivates": false
}))]
pub(in super::super) struct Profile {
    /// Its name.
    name: String,
    /// Its name for people.
    title: String,
    /// What it looks like.
    summary: String,
    /// How it signs: `standard-webhooks`, `hmac-sha256` or `none`.
    signature: String,
    /// How long an attempt may take, unless a webhook says otherwise.
    timeout_seconds: i64,
    /// Whether `Retry-After` of a 429 or 503 puts the next try off.
    heeds_retry_after: bool,
    /// Whether a 410 ends the delivery and deactivates the webhook.
    gone_deactivates: bool,
    /// The catalogue that belongs to it, group by group. Not in lists.
    #[schema(nullable = false)]
    event_types: Option<Vec<Group>>,
    /// Its document's example events. Not in lists.
    #[schema(nullable = false)]
    examples: Option<Vec<Example>>,
    /// The file that it is read from. Not in lists.
    #[schema(nullable = false)]
    source: Option<String>,
}

/// Event types that are listed together.
#[derive(ToSchema)]
struct Group {
    /// Its name.
    group: String,
    /// The types.
    names: Vec<String>,
}

/// An event to show a format with.
#[derive(ToSchema)]
struct Example {
    /// Its type.
    event_type: String,
    /// What happened.
    #[schema(value_type = Object)]
    payload: Value,
    /// Sent with it, where the format has a place for it.
    #[schema(value_type = Option<Object>, required)]
    metadata: Option<Value>,
}

/// Wire formats.
#[derive(ToSchema)]
#[schema(example = json!({"profiles": [{
    "name": "credas", "title": "Credas",
    "summary": "Four fields: which process of which client has which status; unsigned.", "signature": "none",
    "timeout_seconds": 15, "heeds_retry_after": false, "gone_deactivates": false
}], "next_cursor": null}))]
pub(in super::super) struct ProfileList {
    /// The published ones first.
    profiles: Vec<Profile>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What would be sent.
#[derive(ToSchema)]
#[schema(example = json!({
    "profile": "casekeeper", "event_type": "verification.updated", "would_be_sent": true, "reason": null,
    "method": "POST", "headers": {"Content-Type": "application/json", "User-Agent": "Postrider/0.1.0"},
    "body": "{\"key\":\"verification.updated\",\"data\":{\"id\":\"01234567-89ab-cdef-0123-456789abcdef\"}}",
    "signed_with": null
}))]
pub(in super::super) struct Preview {
    /// The wire format.
    profile: String,
    /// The event's type.
    event_type: String,
    /// Whether the format sends such an event at all.
    would_be_sent: bool,
    /// Why not.
    #[schema(required)]
    reason: Option<String>,
    /// The method.
    method: String,
    /// The headers, signature included.
    headers: BTreeMap<String, String>,
    /// The exact body.
    body: String,
    /// The secret that signed: the given one, or one that is published and protects nothing. Null if the
    /// format does not sign, or nothing would be sent.
    #[schema(required)]
    signed_with: Option<String>,
}
