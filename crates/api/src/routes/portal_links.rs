//! `/api/v1/portal-links/`.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use postrider_core::TenantId;
use postrider_core::api_key::PlainKey;
use postrider_core::user::PortalLink;
use serde_json::json;
use serde_json::value::RawValue;

use super::path_id;
use super::users::read_role;
use crate::audit::Witness;
use crate::auth::Admin;
use crate::body::JsonBody;
use crate::fields::{Fields, id};
use crate::json;
use crate::params::Path;
use crate::problem::Problem;
use crate::state::Api;

/// How long a link can be used, if nothing else is said.
const USUAL: Duration = Duration::from_secs(60 * 60);
/// The longest.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Makes a URL that signs a tenant's user in, once.
pub(crate) async fn create(
    State(api): State<Api>,
    Admin(caller): Admin,
    Extension(witness): Extension<Witness>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    let tenant_id = fields.required("tenant_id", id::<TenantId>);
    let role = fields.required("role", |raw| {
        let refused = || "must be tenant-admin or tenant-viewer".to_owned();
        read_role(raw).ok().filter(|role| !role.is_operators()).ok_or_else(refused)
    });
    let expires_in = fields.optional("expires_in", read_expiry).unwrap_or(USUAL);
    let checked = fields.finish()?;
    let (tenant_id, role) = (tenant_id.take(&checked), role.take(&checked));
    if api.catalogue.tenant(tenant_id).await?.is_none() {
        return Err(Problem::invalid_field("tenant_id", "there is no such tenant"));
    }
    witness.concerns(Some(tenant_id));
    let now = api.world.now();
    let token = PlainKey::generate_with("ppl_", &api.world);
    let link = PortalLink { id: api.world.new_id_at(now), tenant_id, role, expires_at: now + expires_in };
    let put = api.accounts.put_portal_link(&link, &token.hash(), caller.maker).await;
    put.map_err(|error| Problem::of_credential(error, caller.maker))?;
    let body = json!({
        "id": link.id, "url": format!("{}/portal/{}", here(&api, &headers), token.reveal()),
        "tenant_id": tenant_id, "role": role, "expires_at": link.expires_at,
    });
    Ok(json::answer(StatusCode::CREATED, &body))
}

/// Ends a link, and what was begun by it.
pub(crate) async fn delete(
    State(api): State<Api>,
    _: Admin,
    Extension(witness): Extension<Witness>,
    Path(id): Path,
) -> Result<Response, Problem> {
    let link = api.accounts.portal_link(path_id(&id)?).await?.ok_or_else(Problem::not_found)?;
    witness.concerns(Some(link.tenant_id));
    if !api.accounts.delete_portal_link(link.id).await? {
        return Err(Problem::not_found());
    }
    Ok(json::ok(&json!({"message": "Portal link revoked"})))
}

fn read_expiry(raw: &RawValue) -> Result<Duration, String> {
    let seconds: Option<u64> = serde_json::from_str(raw.get()).ok();
    let time = seconds.map(Duration::from_secs).filter(|time| (Duration::from_secs(60)..=LONGEST).contains(time));
    time.ok_or_else(|| format!("must be a number of seconds from 60 to {}", LONGEST.as_secs()))
}

/// Where browsers find this installation.
fn here(api: &Api, headers: &HeaderMap) -> String {
    api.public_url.clone().unwrap_or_else(|| {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        format!("{}://{host}", if api.is_dev { "http" } else { "https" })
    })
}
