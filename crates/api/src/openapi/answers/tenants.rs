//! Tenants and keys.

use utoipa::ToSchema;
use uuid::Uuid;

use super::super::bodies::ScopeName;

/// A tenant.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "name": "acme", "default_profile": "standard",
    "created_at": "2026-01-19T10:30:00.123456+00:00"
}))]
pub(in super::super) struct Tenant {
    /// Its id, for the header `X-Tenant-Id`.
    id: Uuid,
    /// Its name.
    name: String,
    /// The wire format of what does not name one.
    default_profile: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// Tenants.
#[derive(ToSchema)]
#[schema(example = json!({"tenants": [{
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "name": "acme", "default_profile": "standard",
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
