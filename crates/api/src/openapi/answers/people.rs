//! People: users, sessions, links that sign in.

use utoipa::ToSchema;
use uuid::Uuid;

use super::super::bodies::{RoleName, ScopeName};

/// Somebody who signs in with a password.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "name": "anna", "role": "operator-admin", "tenant_id": null,
    "created_at": "2026-01-19T10:30:00.123456+00:00"
}))]
pub(in super::super) struct User {
    /// The id.
    id: Uuid,
    /// What they sign in with.
    name: String,
    /// What they may do.
    role: RoleName,
    /// Where; null for operators.
    #[schema(required)]
    tenant_id: Option<Uuid>,
    /// When they were added.
    #[schema(format = DateTime)]
    created_at: String,
}

/// Users.
#[derive(ToSchema)]
#[schema(example = json!({"users": [{
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "name": "anna", "role": "operator-admin", "tenant_id": null,
    "created_at": "2026-01-19T10:30:00.123456+00:00"
}], "next_cursor": null}))]
pub(in super::super) struct UserList {
    /// Newest first.
    users: Vec<User>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Who is signed in.
#[derive(ToSchema)]
#[schema(example = json!({
    "name": "anna", "role": "operator-admin", "tenant_id": null, "scopes": ["admin"],
    "csrf_token": "ZMf8apy18RbyzWP-ecLKNB5R-ND4iWmbzOsgKunTwzM"
}))]
pub(in super::super) struct Session {
    /// Null for whoever came by a link.
    #[schema(required)]
    name: Option<String>,
    /// What they may do.
    role: RoleName,
    /// Where; null for operators, who name a tenant by `X-Tenant-Id`.
    #[schema(required)]
    tenant_id: Option<Uuid>,
    /// The same in the words of keys.
    scopes: Vec<ScopeName>,
    /// To be sent as `X-CSRF-Token` with each call that is not a GET.
    csrf_token: String,
}

/// A link that signs in once.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673",
    "url": "https://webhooks.example.com/portal/ppl_ZMf8apy18RbyzWP-ecLKNB5R-ND4iWmbzOsgKunTwzM",
    "tenant_id": "01a1fe8e-0840-7102-969b-35cac5c78674", "role": "tenant-admin",
    "expires_at": "2026-01-19T11:30:00.123456+00:00"
}))]
pub(in super::super) struct PortalLink {
    /// Its id, as the audit log has it.
    id: Uuid,
    /// The link. Shown when it is made and never again.
    #[schema(format = Uri)]
    url: String,
    /// Where it leads.
    tenant_id: Uuid,
    /// What whoever comes by it may do.
    role: RoleName,
    /// Until when it can be used.
    #[schema(format = DateTime)]
    expires_at: String,
}
