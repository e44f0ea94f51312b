//! Tenants and keys.

use super::super::answers::Message;
use super::super::answers::tenants::{ApiKey, ApiKeyList, AuditList, Tenant, TenantList};
use super::super::bodies::{NewApiKey, NewTenant, TenantChange};
use super::super::errors::Problems;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{Id, Page};

/// Create a tenant
///
/// Needs the scope `admin`.
#[utoipa::path(post, path = "/api/v1/tenants/", tag = "Tenants", request_body = NewTenant,
    responses((status = 201, description = "It can be acted in with `X-Tenant-Id`", body = Tenant), Problems))]
pub(in super::super) fn create_tenant() {}

/// List tenants
///
/// Needs the scope `admin`.
#[utoipa::path(get, path = "/api/v1/tenants/", tag = "Tenants", params(Page),
    responses((status = 200, description = "Newest first", body = TenantList), Problems))]
pub(in super::super) fn list_tenants() {}

/// Get a tenant
///
/// Needs the scope `admin`.
#[utoipa::path(get, path = "/api/v1/tenants/{id}/", tag = "Tenants", params(Id),
    responses((status = 200, description = "As it is", body = Tenant), Problems))]
pub(in super::super) fn get_tenant() {}

/// Change a tenant
///
/// Needs the scope `admin`. The tenant `default` keeps its name.
#[utoipa::path(patch, path = "/api/v1/tenants/{id}/", tag = "Tenants", params(Id), request_body = TenantChange,
    responses((status = 200, description = "It is changed", body = Tenant), Problems))]
pub(in super::super) fn update_tenant() {}

/// Delete a tenant
///
/// Needs the scope `admin`. Its keys end, its webhooks are deleted, what is pending is discarded.
#[utoipa::path(delete, path = "/api/v1/tenants/{id}/", tag = "Tenants", params(Id),
    responses((status = 200, description = "It is gone", body = Message), Problems))]
pub(in super::super) fn delete_tenant() {}

/// Create an API key
///
/// Needs the scope `manage`. The key is in this answer and in no other.
#[utoipa::path(post, path = "/api/v1/api-keys/", tag = "API keys", request_body = NewApiKey,
    responses((status = 201, description = "It is valid from now on", body = ApiKey), Problems))]
pub(in super::super) fn create_api_key() {}

/// List API keys
///
/// Needs the scope `manage`. Without the keys themselves.
#[utoipa::path(get, path = "/api/v1/api-keys/", tag = "API keys", params(Page),
    responses((status = 200, description = "Newest first", body = ApiKeyList), Problems))]
pub(in super::super) fn list_api_keys() {}

/// Revoke an API key
///
/// Needs the scope `manage`.
#[utoipa::path(delete, path = "/api/v1/api-keys/{id}/", tag = "API keys", params(Id),
    responses((status = 200, description = "It is valid no more", body = Message), Problems))]
pub(in super::super) fn delete_api_key() {}

/// Which entries are listed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct WhichEntries {
    /// What was done, such as `webhook.updated`.
    action: Option<String>,
    /// What it was done to.
    object_id: Option<String>,
    /// Who did it.
    actor_id: Option<Uuid>,
    /// Done at or after.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Done before.
    #[param(format = DateTime)]
    until: Option<String>,
}

/// List the audit log
///
/// Needs the scope `manage`. Who changed something, sent something again, or looked at what was sent, in this tenant;
/// the same look within a minute is one entry. Entries are neither changed nor removed.
#[utoipa::path(get, path = "/api/v1/audit/", tag = "Audit", params(WhichEntries, Page),
    responses((status = 200, description = "Newest first", body = AuditList), Problems))]
pub(in super::super) fn list_audit() {}
