//! Who asks, and what they may do.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use postrider_core::TenantId;
use postrider_core::api_key::{ApiKey, PlainKey, Scope, Scopes};

use crate::problem::Problem;
use crate::state::Api;

/// Somebody with a valid key, acting in a tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// The tenant that is acted in: the key's own, or the one an operator named.
    pub(crate) tenant_id: TenantId,
    pub(crate) scopes: Scopes,
}

macro_rules! scoped {
    ($($(#[$doc:meta])* $name:ident, $scope:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name(pub(crate) Caller);

        impl FromRequestParts<Api> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
                caller(&parts.headers, api, &[$scope]).await.map(Self)
            }
        }
    )*};
}

scoped! {
    /// A caller who may look.
    Read, Scope::Read;
    /// A caller who may publish.
    Publish, Scope::Publish;
    /// A caller who may change subscriptions.
    Manage, Scope::Manage;
}

/// A caller who may change subscriptions, or publish.
pub(crate) struct ManageOrPublish(pub(crate) Caller);

impl FromRequestParts<Api> for ManageOrPublish {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        caller(&parts.headers, api, &[Scope::Manage, Scope::Publish]).await.map(Self)
    }
}

/// The operator, in whatever tenant.
pub(crate) struct Admin;

impl FromRequestParts<Api> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        caller(&parts.headers, api, &[Scope::Admin]).await.map(|_| Self)
    }
}

/// The caller, if the key has one of these scopes.
async fn caller(headers: &HeaderMap, api: &Api, scopes: &[Scope]) -> Result<Caller, Problem> {
    let key = valid_key(headers, api).await?;
    if !scopes.iter().any(|scope| key.scopes.permits(*scope)) {
        let names: Vec<String> = scopes.iter().map(|scope| format!("`{}`", scope.name())).collect();
        return Err(Problem::forbidden(format!("This call needs the scope {}.", names.join(" or "))));
    }
    let tenant_id = match headers.get("x-tenant-id") {
        None => key.tenant_id,
        Some(_) if !key.scopes.permits(Scope::Admin) => {
            return Err(Problem::forbidden("Only a key with the scope `admin` may send X-Tenant-Id."));
        }
        Some(named) => named_tenant(api, named.to_str().unwrap_or_default()).await?,
    };
    Ok(Caller { tenant_id, scopes: key.scopes })
}

async fn named_tenant(api: &Api, id: &str) -> Result<TenantId, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let known = api.catalogue.snapshot(id).await?;
    known.map(|catalogue| catalogue.tenant_id()).ok_or_else(Problem::not_found)
}

async fn valid_key(headers: &HeaderMap, api: &Api) -> Result<ApiKey, Problem> {
    let given = given_key(headers).ok_or_else(Problem::unauthorized)?;
    let hash = PlainKey::given(given).hash();
    let now = api.world.now();
    let key = match api.keys.get(&hash, now) {
        Some(key) => key,
        None => {
            let key = api.catalogue.api_key_by_hash(&hash).await?.ok_or_else(Problem::unauthorized)?;
            api.keys.put(hash, key.clone(), now);
            key
        }
    };
    if key.is_valid_at(now) { Ok(key) } else { Err(Problem::unauthorized()) }
}

/// `Authorization: Bearer KEY` or `X-API-Key: KEY`.
fn given_key(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get("x-api-key") {
        return value.to_str().ok();
    }
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
