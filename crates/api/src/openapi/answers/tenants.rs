//! Tenants and keys.

use utoipa::ToSchema;
use uuid::Uuid;

use super::super::bodies::ScopeName;

/// A tenant.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "name": "acme", "default_profile": "standard",
    "redacted_paths": ["client.name"], "payload_retention": "on_success",
    "created_at": "2026-01-19T10:30:00.123456+00:00"
}))]
pub(in super::super) struct Tenant {
    /// Its id, for the header `X-Tenant-Id`.
    id: Uuid,
    /// Its name.
    name: String,
    /// The wire format of what does not name one.
    default_profile: String,
    /// Places in payloads that are shown only to keys with the scope `payloads`.
    redacted_paths: Vec<String>,
    /// How long payloads of ended events are kept: `default`, `on_success` or a duration.
    payload_retention: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// Tenants.
#[derive(ToSchema)]
#[schema(example = json!({"tenants": [{
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "name": "acme", "default_profile": "standard",
    "redacted_paths": ["client.name"], "payload_retention": "on_success",
    "created_at": "2026-01-19T10:30:00.123456+00:00"
}], "next_cursor": null}))]
pub(in super::super) struct TenantList {
    /// Newest first.
    tenants: Vec<Tenant>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A key.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "name": "backend", "scopes": ["read", "publish"],
    "key": "prk_ZMf8apy18RbyzWP-ecLKNB5R-ND4iWmbzOsgKunTwzM",
    "created_at": "2026-01-19T10:30:00.123456+00:00", "expires_at": null, "last_used_at": null
}))]
pub(in super::super) struct ApiKey {
    /// Its id.
    id: Uuid,
    /// What people call it.
    name: String,
    /// What it permits.
    scopes: Vec<ScopeName>,
    /// The key itself. Shown when it is made and never again.
    #[schema(nullable = false)]
    key: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends.
    #[schema(format = DateTime, required)]
    expires_at: Option<String>,
    /// When it was last used, to a minute.
    #[schema(format = DateTime, required)]
    last_used_at: Option<String>,
}

/// Keys.
#[derive(ToSchema)]
#[schema(example = json!({"api_keys": [{
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "name": "backend", "scopes": ["read", "publish"],
    "created_at": "2026-01-19T10:30:00.123456+00:00", "expires_at": null, "last_used_at": null
}], "next_cursor": null}))]
pub(in super::super) struct ApiKeyList {
    /// Newest first.
    api_keys: Vec<ApiKey>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What was done in a tenant.
#[derive(ToSchema)]
#[schema(example = json!({"audit": [{
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "at": "2026-01-19T10:30:00.123456+00:00", "actor": "api_key",
    "actor_id": "01a1fe8e-0840-7102-969b-35cac5c78674", "actor_name": "backend", "action": "webhook.updated",
    "object_id": "01a1fe8e-0840-7102-969b-35cac5c78675", "request_id": "01a1fe8e-0840-7102-969b-35cac5c78676",
    "remote_address": "192.0.2.7"
}], "next_cursor": null}))]
pub(in super::super) struct AuditList {
    /// Newest first.
    audit: Vec<AuditEntry>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// One thing that was done.
#[derive(ToSchema)]
pub(in super::super) struct AuditEntry {
    /// Its id.
    id: Uuid,
    /// When it was done.
    #[schema(format = DateTime)]
    at: String,
    /// Who did it: somebody with an `api_key`, a `user` who signed in, who came by a `portal_link`, or at the
    /// `command_line` of the machine.
    actor: String,
    /// The key, the user or the link.
    #[schema(required)]
    actor_id: Option<Uuid>,
    /// What it was called then.
    #[schema(required)]
    actor_name: Option<String>,
    /// What was done, such as `webhook.updated`, `delivery.retried` or `event.viewed`.
    action: String,
    /// What it was done to: an id, or a name where those are the ids.
    #[schema(required)]
    object_id: Option<String>,
    /// The `X-Request-Id` of the answer.
    #[schema(required)]
    request_id: Option<String>,
    /// Where the request came from.
    #[schema(required)]
    remote_address: Option<String>,
}
