//! What clients send.
#![expect(dead_code, reason = "described here, read field by field elsewhere")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

/// A subscription to be made.
#[derive(ToSchema)]
#[schema(example = json!({
    "event_type": "screening.completed", "webhook_url": "https://api.yourcompany.com/webhooks/screening",
    "description": "Production screening webhook"
}))]
pub(super) struct NewWebhook {
    /// A type of the catalogue, or `all`.
    #[schema(max_length = 128, pattern = "^[A-Za-z0-9_.]+$")]
    event_type: String,
    /// Where to: `https`, a public host, port 443, 80 or from 1024 on; no user, no fragment.
    #[schema(format = Uri, max_length = 2048)]
    webhook_url: String,
    #[serde(flatten)]
    settings: WebhookSettings,
}

/// What can be chosen at creation and changed later.
#[derive(ToSchema)]
pub(super) struct WebhookSettings {
    /// Whether it receives anything.
    #[schema(default = true)]
    is_active: Option<bool>,
    /// For people.
    #[schema(max_length = 1024, default = "")]
    description: Option<String>,
    /// Which events, by their payloads. Only `{}` for now.
    #[schema(default = json!({}), value_type = Object)]
    filters: Option<Value>,
    /// The wire format.
    #[schema(default = "standard", pattern = "^standard$")]
    profile: Option<String>,
    /// Seconds to wait after each failed try.
    #[schema(max_items = 20, default = json!([5, 25, 125]), example = json!([5, 25, 125]))]
    retry_schedule: Option<Vec<Seconds>>,
    /// How long one attempt may take in all, in seconds.
    #[schema(minimum = 1, maximum = 30, default = 15)]
    timeout_seconds: Option<i64>,
    /// Sent with each request; names are tokens, values visible ASCII of at most 2,048 characters. Hop-by-hop headers,
    /// those of the wire format and some others are refused. Answers mask the values.
    #[schema(default = json!({}), example = json!({"X-Team": "aml"}))]
    headers: Option<BTreeMap<String, String>>,
}

/// A wait, in whole seconds.
#[derive(ToSchema)]
#[schema(minimum = 1, maximum = 86400)]
pub(super) struct Seconds(i64);

/// A change of a subscription; what is absent stays.
#[derive(ToSchema)]
#[schema(example = json!({"is_active": false}))]
pub(super) struct WebhookChange {
    /// Where to from now on, pending deliveries too.
    #[schema(format = Uri, max_length = 2048)]
    webhook_url: Option<String>,
    #[serde(flatten)]
    settings: WebhookSettings,
}

/// A rotation of a secret.
#[derive(ToSchema)]
#[schema(example = json!({"overlap_seconds": 86400}))]
pub(super) struct RotateSecret {
    /// How long the former secret signs beside the new one, in seconds. With 0 only the new one signs.
    #[schema(minimum = 0, maximum = 604800, default = 86400)]
    overlap_seconds: Option<i64>,
}

/// A test of an endpoint: one of the two is needed.
#[derive(ToSchema)]
#[schema(example = json!({"webhook_url": "https://api.yourcompany.com/webhooks/screening"}))]
pub(super) struct TestWebhook {
    /// Where to. If it is a subscription's, that one's secret and format are used.
    #[schema(format = Uri, max_length = 2048)]
    webhook_url: Option<String>,
    /// The subscription whose URL, secret and format are used.
    webhook_id: Option<uuid::Uuid>,
}

/// An event to be published.
#[derive(ToSchema)]
#[schema(example = json!({
    "event_type": "screening.completed", "payload": {"id": "scr-1", "result": "clear"},
    "idempotency_key": "scr-1-completed"
}))]
pub(super) struct NewEvent {
    /// A type of the catalogue, but for `all` and `test`.
    #[schema(max_length = 128, pattern = "^[A-Za-z0-9_.]+$")]
    event_type: String,
    /// What happened; at most 128 levels deep. Delivered as it is: numbers and the order of keys stay.
    #[schema(value_type = Object)]
    payload: Value,
    /// The same again answers with the first answer. Kept for 24 hours at least. May also be the header `Idempotency-Key`.
    #[schema(min_length = 1, max_length = 255)]
    idempotency_key: Option<String>,
    /// When it happened.
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
    /// Tries after this time end the delivery `failed (expired)`.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// What it is about. Absent: `payload.id`, if that is a string.
    #[schema(min_length = 1, max_length = 255)]
    resource_id: Option<String>,
    /// Kept and shown with the event.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// Events to be published together; each stands for itself.
#[derive(ToSchema)]
#[schema(example = json!({"events": [{"event_type": "screening.completed", "payload": {"id": "scr-1"}}]}))]
pub(super) struct NewEvents {
    /// The events.
    #[schema(min_items = 1, max_items = 1000)]
    events: Vec<NewEvent>,
}

/// Which deliveries of an event to open again.
#[derive(ToSchema)]
#[schema(example = json!({}))]
pub(super) struct Replay {
    /// Only that to this subscription; made if there was none.
    webhook_id: Option<uuid::Uuid>,
}

/// Nothing to say.
#[derive(ToSchema)]
#[schema(example = json!({}))]
pub(super) struct Nothing {}

/// An event type of one's own.
#[derive(ToSchema)]
#[schema(example = json!({"name": "our.type", "group": "Ours", "description": "Something of ours happened"}))]
pub(super) struct NewEventType {
    /// Its name, which cannot be changed.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9_.]+$")]
    name: String,
    /// The group it is listed in.
    #[schema(min_length = 1, max_length = 128, default = "Custom")]
    group: Option<String>,
    /// What it means.
    #[schema(max_length = 1024, default = "")]
    description: Option<String>,
}

/// A change of an event type; what is absent stays.
#[derive(ToSchema)]
#[schema(example = json!({"description": "Something else of ours happened"}))]
pub(super) struct EventTypeChange {
    /// The group it is listed in.
    #[schema(min_length = 1, max_length = 128)]
    group: Option<String>,
    /// What it means.
    #[schema(max_length = 1024)]
    description: Option<String>,
}

/// A tenant to be made.
#[derive(ToSchema)]
#[schema(example = json!({"name": "acme"}))]
pub(super) struct NewTenant {
    /// Its name, which nobody else has.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
}

/// A key to be made.
#[derive(ToSchema)]
#[schema(example = json!({"name": "backend", "scopes": ["publish", "read"]}))]
pub(super) struct NewApiKey {
    /// What people call it.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// What it permits; no more than the key that makes it.
    #[schema(min_items = 1)]
    scopes: Vec<ScopeName>,
    /// When it ends; in the future.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// What a key permits: `read`; `publish` events; `manage` subscriptions, `read` included; `admin`: everything, in all
/// tenants.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum ScopeName {
    /// Look.
    Read,
    /// Publish events.
    Publish,
    /// Change subscriptions.
    Manage,
    /// Everything.
    Admin,
}
