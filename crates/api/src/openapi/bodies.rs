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
    /// Which events, by their payloads: an object that mirrors the payload. A plain value means equal, an object of
    /// operators all of them: `$eq $neq $gt $gte $lt $lte $in $nin $exist $startsWith $endsWith`, and `$or $and $not`.
    /// At most 16 KiB and 16 levels.
    #[schema(default = json!({}), value_type = Object,
        example = json!({"client": {"approval_status": "approved"}, "score": {"$gte": 0.5}}))]
    filters: Option<Value>,
    /// The wire format: a name of `GET /api/v1/profiles/`. Absent: the tenant's default, which is `standard` at first.
    #[schema(example = "anycheck")]
    profile: Option<String>,
    /// Seconds to wait after each failed try.
    #[schema(max_items = 20, default = json!([5, 25, 125]), example = json!([5, 25, 125]))]
    retry_schedule: Option<Vec<Seconds>>,
    /// How long one attempt may take in all, in seconds. Null, or absent when it is made: as the wire format says.
    #[schema(minimum = 1, maximum = 30)]
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
    /// Kept and shown with the event; sent with it, where the format has a place for it.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// Where this one event goes besides the subscriptions.
    #[schema(format = Uri, max_length = 2048)]
    webhook_url: Option<String>,
    /// The wire format of what goes there. Absent: the tenant's default.
    #[schema(example = "anycheck")]
    profile: Option<String>,
}

/// A callback to be made.
#[derive(ToSchema)]
#[schema(example = json!({
    "resource_id": "ver-1", "webhook_url": "https://your-app.com/webhooks/anycheck", "profile": "anycheck",
    "metadata": {"order_id": "order-456"}
}))]
pub(super) struct NewCallback {
    /// What it is about: events published with this `resource_id` go to it.
    #[schema(min_length = 1, max_length = 255)]
    resource_id: String,
    /// Where to: `https`, a public host, port 443, 80 or from 1024 on; no user, no fragment.
    #[schema(format = Uri, max_length = 2048)]
    webhook_url: String,
    /// Sent with each event, where the format has a place for it; at most 16 KiB.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// The wire format. Absent: the tenant's default.
    #[schema(example = "anycheck")]
    profile: Option<String>,
    /// The only types it receives. Absent: all.
    #[schema(min_items = 1, max_items = 100)]
    event_types: Option<Vec<String>>,
}

/// A rotation of what signs callbacks.
#[derive(ToSchema)]
#[schema(example = json!({"profile": "anycheck"}))]
pub(super) struct RotateCallbackSecret {
    /// The wire format.
    #[schema(example = "anycheck")]
    profile: String,
    /// How long the former secret signs beside the new one, in seconds, where the format has room for both.
    #[schema(minimum = 0, maximum = 604800, default = 86400)]
    overlap_seconds: Option<i64>,
}

/// An event to be rendered; what is absent comes from the format's example.
#[derive(ToSchema)]
#[schema(example = json!({}))]
pub(super) struct NewPreview {
    /// A type of the catalogue.
    #[schema(max_length = 128, pattern = "^[A-Za-z0-9_.]+$")]
    event_type: Option<String>,
    /// What happened.
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
    /// Sent with it, where the format has a place for it.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// What it is about.
    #[schema(min_length = 1, max_length = 255)]
    resource_id: Option<String>,
    /// When it happened.
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
    /// Signs it: `whsec_` and base64. Absent: one that is published and protects nothing.
    #[schema(pattern = "^whsec_[A-Za-z0-9+/]{4,}={0,2}$")]
    secret_key: Option<String>,
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
    /// The wire format of what does not name one.
    #[schema(default = "standard")]
    default_profile: Option<String>,
    /// Places in payloads that are shown only to keys with the scope `payloads`: names joined by dots, such as
    /// `client.name`. For all others a value there reads `[redacted]`, and so do the bodies that receivers answered with.
    #[schema(max_items = 100)]
    redacted_paths: Option<Vec<String>>,
    /// How long the payloads of ended events are kept: `default` is as the installation says, `on_success` until all who
    /// were to have it do, or a duration such as `12h`.
    #[schema(example = "on_success")]
    payload_retention: Option<String>,
}

/// A change of a tenant; what is absent stays.
#[derive(ToSchema)]
#[schema(example = json!({"default_profile": "casekeeper"}))]
pub(super) struct TenantChange {
    /// Its name, which nobody else has.
    #[schema(min_length = 1, max_length = 128)]
    name: Option<String>,
    /// The wire format of what does not name one.
    #[schema(example = "anycheck")]
    default_profile: Option<String>,
    /// Places in payloads that are shown only to keys with the scope `payloads`: names joined by dots, such as
    /// `client.name`. For all others a value there reads `[redacted]`, and so do the bodies that receivers answered with.
    #[schema(max_items = 100)]
    redacted_paths: Option<Vec<String>>,
    /// How long the payloads of ended events are kept: `default` is as the installation says, `on_success` until all who
    /// were to have it do, or a duration such as `12h`.
    #[schema(example = "on_success")]
    payload_retention: Option<String>,
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

/// What a key permits: `read`; `publish` events; `manage` subscriptions, `read` included; `payloads`: to see what a tenant
/// hides of them too; `admin`: everything, in all tenants.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum ScopeName {
    /// Look.
    Read,
    /// Publish events.
    Publish,
    /// Change subscriptions.
    Manage,
    /// See what a tenant hides of its payloads too.
    Payloads,
    /// Everything.
    Admin,
}

/// What people may do: `operator-admin`: everything, in every tenant; `operator`: look and act in every tenant, but for
/// what is hidden, tenants and users; `tenant-admin`: everything of the tenant's own; `tenant-viewer`: look, but for
/// what is hidden.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(super) enum RoleName {
    /// Everything, everywhere.
    OperatorAdmin,
    /// Look and act everywhere.
    Operator,
    /// Everything of one tenant.
    TenantAdmin,
    /// Look at one tenant.
    TenantViewer,
}

/// A user to be added.
#[derive(ToSchema)]
#[schema(example = json!({"name": "anna", "password": "correct horse battery staple", "role": "operator-admin"}))]
pub(super) struct NewUser {
    /// What they sign in with; no other user's.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._+@-]+$")]
    name: String,
    /// Kept as an Argon2id hash.
    #[schema(min_length = 12, max_length = 256)]
    password: String,
    /// What they may do.
    role: RoleName,
    /// Where; for a tenant's roles, and only for them.
    tenant_id: Option<uuid::Uuid>,
}

/// A password to be set.
#[derive(ToSchema)]
#[schema(example = json!({"password": "correct horse battery staple"}))]
pub(super) struct NewPassword {
    /// Kept as an Argon2id hash.
    #[schema(min_length = 12, max_length = 256)]
    password: String,
}

/// A link to be made.
#[derive(ToSchema)]
#[schema(example = json!({"tenant_id": "01a1fe8e-0840-7102-969b-35cac5c78674", "role": "tenant-admin", "expires_in": 3600}))]
pub(super) struct NewPortalLink {
    /// Where it leads.
    tenant_id: uuid::Uuid,
    /// `tenant-admin` or `tenant-viewer`.
    role: RoleName,
    /// How long it can be used, in seconds.
    #[schema(minimum = 60, maximum = 604800, default = 3600)]
    expires_in: Option<i64>,
}

/// Who signs in: `name` and `password`, or `portal_token`.
#[derive(ToSchema)]
#[schema(example = json!({"name": "anna", "password": "correct horse battery staple"}))]
pub(super) struct NewSession {
    /// What they sign in with.
    name: Option<String>,
    /// The password.
    password: Option<String>,
    /// The last part of a portal link.
    portal_token: Option<String>,
}

/// How the deliveries ended that a replay means.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum ReplayStatus {
    /// Failed or discarded and, if a webhook is named, missed.
    Undelivered,
    /// Failed.
    Failed,
    /// Discarded.
    Discarded,
    /// Delivered.
    Delivered,
    /// Never made: the webhook was there and inactive, and its type and filter of then let the event pass. Events from before it
    /// existed are replayed to it one by one.
    Missed,
}

/// A replay to be made.
#[derive(ToSchema)]
#[schema(example = json!({"since": "2026-01-18T00:00:00Z", "until": "2026-01-19T00:00:00Z", "dry_run": true}))]
pub(super) struct NewReplay {
    /// Only to this subscription.
    webhook_id: Option<uuid::Uuid>,
    /// Only events of this type.
    #[schema(min_length = 1, max_length = 128)]
    event_type: Option<String>,
    /// How the deliveries ended; `missed` needs a `webhook_id`.
    #[schema(default = "undelivered")]
    status: Option<ReplayStatus>,
    /// Of events that were accepted at or after.
    #[schema(format = DateTime)]
    since: String,
    /// And before; now, if it is absent or later.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Deliveries opened in a second, at most.
    #[schema(minimum = 1, maximum = 1000, default = 100)]
    rate_limit: Option<u32>,
    /// Only says how many there are, and shows some.
    #[schema(default = false)]
    dry_run: Option<bool>,
}

/// A filter to be tried.
#[derive(ToSchema)]
#[schema(example = json!({"filters": {"client": {"approval_status": "approved"}}, "event_type": "screening.completed"}))]
pub(super) struct FilterTrial {
    /// A filter, as webhooks have it.
    #[schema(value_type = Object)]
    filters: serde_json::Value,
    /// Only on events of this type.
    event_type: Option<String>,
}
