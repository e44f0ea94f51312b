//! `/api/v1/tenants/`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use postrider_core::profile::STANDARD;
use postrider_core::redaction::RedactedPaths;
use postrider_core::tenant::{DEFAULT_TENANT, NAME_LIMIT, PayloadRetention, Tenant};
use postrider_core::{TenantId, Timestamp};
use postrider_store::{TenantChange, TenantChanged};
use serde::Serialize;
use serde_json::json;

use super::path_id;
use super::webhooks::read_profile;
use crate::auth::{Admin, Operator};
use crate::body::JsonBody;
use crate::fields::{Fields, name_up_to, text};
use crate::json;
use crate::params::{Params, Path};
use crate::problem::Problem;
use crate::state::Api;

#[derive(Serialize)]
struct TenantJson {
    id: TenantId,
    name: String,
    default_profile: String,
    redacted_paths: RedactedPaths,
    payload_retention: String,
    created_at: Timestamp,
}

impl From<Tenant> for TenantJson {
    fn from(tenant: Tenant) -> Self {
        let Tenant { id, name, default_profile, redacted_paths, payload_retention, created_at } = tenant;
        Self { id, name, default_profile, redacted_paths, payload_retention: payload_retention.to_string(), created_at }
    }
}

/// What is hidden of payloads, and how long they are kept.
fn read_privacy(fields: &mut Fields) -> TenantChange {
    let redacted_paths = fields.optional("redacted_paths", |raw| {
        let paths: Vec<String> = serde_json::from_str(raw.get())
            .map_err(|_| "must be a list of paths, such as [\"client.name\"]".to_owned())?;
        RedactedPaths::new(paths).map_err(|refusal| refusal.to_string())
    });
    let payload_retention = fields.optional("payload_retention", |raw| {
        PayloadRetention::parse(&text(raw)?)
            .ok_or_else(|| "must be `default`, `on_success` or a duration such as `12h` or `30d`".to_owned())
    });
    TenantChange { redacted_paths, payload_retention, ..TenantChange::default() }
}

/// Makes a tenant.
pub(crate) async fn create(State(api): State<Api>, _: Admin, JsonBody(body): JsonBody) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    let name = fields.required("name", name_up_to(NAME_LIMIT));
    let profile = fields.optional("default_profile", |raw| read_profile(raw, &api.profiles));
    let privacy = read_privacy(&mut fields);
    let name = name.take(&fields.finish()?);
    let made = api.catalogue.create_tenant(&name, profile.as_deref().unwrap_or(STANDARD)).await?;
    let mut tenant = made.ok_or_else(|| Problem::conflict("There is a tenant of that name."))?;
    let is_asked = privacy.redacted_paths.is_some() || privacy.payload_retention.is_some();
    if is_asked && let TenantChanged::Done(changed) = api.catalogue.update_tenant(tenant.id, privacy).await? {
        tenant = changed;
    }
    Ok(json::answer(StatusCode::CREATED, &TenantJson::from(tenant)))
}

/// All tenants.
pub(crate) async fn list(State(api): State<Api>, _: Operator, mut params: Params) -> Result<Response, Problem> {
    let page = params.page();
    params.finish()?;
    let mut tenants = api.catalogue.tenants(page.and_one()).await?;
    let next_cursor = json::cut(&mut tenants, page, |tenant| tenant.id.uuid());
    let tenants: Vec<TenantJson> = tenants.into_iter().map(TenantJson::from).collect();
    Ok(json::list("tenants", &tenants, Some(next_cursor)))
}

/// One tenant.
pub(crate) async fn get(State(api): State<Api>, _: Operator, Path(id): Path) -> Result<Response, Problem> {
    let tenant = api.catalogue.tenant(path_id(&id)?).await?.ok_or_else(Problem::not_found)?;
    Ok(json::ok(&TenantJson::from(tenant)))
}

/// Changes what is given.
pub(crate) async fn update(
    State(api): State<Api>,
    _: Admin,
    Path(id): Path,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id = path_id(&id)?;
    let tenant = api.catalogue.tenant(id).await?.ok_or_else(Problem::not_found)?;
    let mut fields = Fields::parse(&body)?;
    let name = fields.optional("name", name_up_to(NAME_LIMIT));
    let default_profile = fields.optional("default_profile", |raw| read_profile(raw, &api.profiles));
    let privacy = read_privacy(&mut fields);
    fields.finish()?;
    if tenant.name == DEFAULT_TENANT && name.as_ref().is_some_and(|name| name != DEFAULT_TENANT) {
        return Err(Problem::conflict("The default tenant keeps its name."));
    }
    match api.catalogue.update_tenant(id, TenantChange { name, default_profile, ..privacy }).await? {
        TenantChanged::Done(tenant) => Ok(json::ok(&TenantJson::from(tenant))),
        TenantChanged::NameTaken => Err(Problem::conflict("There is a tenant of that name.")),
        TenantChanged::Missing => Err(Problem::not_found()),
    }
}

/// Deletes a tenant with its keys and subscriptions.
pub(crate) async fn delete(State(api): State<Api>, _: Admin, Path(id): Path) -> Result<Response, Problem> {
    let id = path_id(&id)?;
    let tenant = api.catalogue.tenant(id).await?.ok_or_else(Problem::not_found)?;
    if tenant.name == DEFAULT_TENANT {
        return Err(Problem::conflict("The default tenant cannot be deleted."));
    }
    if !api.catalogue.delete_tenant(id).await? {
        return Err(Problem::not_found());
    }
    api.keys.clear();
    Ok(json::ok(&json!({"message": "Tenant deleted successfully"})))
}
