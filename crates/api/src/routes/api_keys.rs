//! `/api/v1/api-keys/`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use postrider_core::api_key::{ApiKey, PlainKey, Scope, Scopes};
use postrider_core::tenant::NAME_LIMIT;
use postrider_core::{ApiKeyId, Timestamp};
use postrider_store::NewApiKey;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::path_id;
use crate::auth::Manage;
use crate::body::JsonBody;
use crate::fields::{Fields, name_up_to, time};
use crate::json;
use crate::params::{Params, Path};
use crate::problem::Problem;
use crate::state::Api;

#[derive(Serialize)]
struct KeyJson<'a> {
    id: ApiKeyId,
    name: &'a str,
    scopes: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

impl<'a> KeyJson<'a> {
    fn new(api_key: &'a ApiKey, key: Option<&'a str>) -> Self {
        Self {
            id: api_key.id,
            name: &api_key.name,
            scopes: api_key.scopes.iter().map(Scope::name).collect(),
            key,
            created_at: api_key.created_at,
            expires_at: api_key.expires_at,
            last_used_at: api_key.last_used_at,
        }
    }
}

/// Makes a key that permits no more than the caller's own.
pub(crate) async fn create(
    State(api): State<Api>,
    Manage(caller): Manage,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    let name = fields.required("name", name_up_to(NAME_LIMIT));
    let scopes = fields.required("scopes", read_scopes);
    let expires_at = fields.optional("expires_at", time);
    if expires_at.is_some_and(|end| end <= api.world.now()) {
        fields.error("expires_at", "must be in the future");
    }
    let checked = fields.finish()?;
    let (name, scopes) = (name.take(&checked), scopes.take(&checked));
    if !caller.scopes.covers(scopes) {
        return Err(Problem::forbidden("A key can only make keys with scopes that it has itself."));
    }
    let key = PlainKey::generate(&api.world);
    let new =
        NewApiKey { maker: caller.maker, tenant_id: caller.tenant_id, name, scopes, expires_at, hash: key.hash() };
    let made = api.catalogue.create_api_key(new).await.map_err(|error| Problem::of_credential(error, caller.maker))?;
    Ok(json::answer(StatusCode::CREATED, &KeyJson::new(&made, Some(key.reveal()))))
}

fn read_scopes(raw: &RawValue) -> Result<Scopes, String> {
    let known = || Scope::ALL.map(Scope::name).join(", ");
    let wrong = || format!("must be a list of one or more of {}", known());
    let names: Vec<String> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    let scopes: Option<Scopes> = names.iter().map(|name| Scope::named(name)).collect();
    scopes.filter(|scopes| !scopes.is_empty()).ok_or_else(wrong)
}

/// The tenant's keys, without the keys themselves.
pub(crate) async fn list(
    State(api): State<Api>,
    Manage(caller): Manage,
    mut params: Params,
) -> Result<Response, Problem> {
    let page = params.page();
    params.finish()?;
    let mut keys = api.catalogue.api_keys(caller.tenant_id, page.and_one()).await?;
    let next_cursor = json::cut(&mut keys, page, |key| key.id.uuid());
    let keys: Vec<KeyJson> = keys.iter().map(|key| KeyJson::new(key, None)).collect();
    Ok(json::list("api_keys", &keys, Some(next_cursor)))
}

/// Ends a key for good.
pub(crate) async fn delete(
    State(api): State<Api>,
    Manage(caller): Manage,
    Path(id): Path,
) -> Result<Response, Problem> {
    if !api.catalogue.revoke_api_key(caller.tenant_id, path_id(&id)?).await? {
        return Err(Problem::not_found());
    }
    api.keys.clear();
    Ok(json::ok(&json!({"message": "API key revoked"})))
}
