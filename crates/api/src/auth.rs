//! Who asks, and what they may do.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use postrider_core::api_key::{ApiKey, KeyHash, PlainKey, Scope, Scopes};
use postrider_core::audit::Actor;
use postrider_core::tenant::DEFAULT_TENANT;
use postrider_core::{ApiKeyId, TenantId, Timestamp};
use postrider_store::Maker;

use crate::audit::Witness;
use crate::problem::Problem;
use crate::rate_limits::Told;
use crate::session::{self, SignedIn};
use crate::state::Api;

/// Somebody with a valid key, or signed in, who acts in a tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// The tenant that is acted in: the key's own, or the one an operator named.
    pub(crate) tenant_id: TenantId,
    pub(crate) scopes: Scopes,
    /// Who it is, for what they make.
    pub(crate) maker: Maker,
}

macro_rules! scoped {
    ($($(#[$doc:meta])* $name:ident, $scope:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name(pub(crate) Caller);

        impl FromRequestParts<Api> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
                caller(parts, api, &[$scope]).await.map(Self)
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
        caller(parts, api, &[Scope::Manage, Scope::Publish]).await.map(Self)
    }
}

/// The operator, in whatever tenant.
pub(crate) struct Admin(pub(crate) Caller);

impl FromRequestParts<Api> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        caller(parts, api, &[Scope::Admin]).await.map(Self)
    }
}

/// The operator or one of their people, who may know what tenants there are.
pub(crate) struct Operator;

impl FromRequestParts<Api> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let asker = asker(parts, api).await?;
        if asker.may_go_anywhere { Ok(Self) } else { Err(Problem::forbidden("This call needs the scope `admin`.")) }
    }
}

/// Somebody who is signed in.
pub(crate) struct Person(pub(crate) SignedIn);

impl FromRequestParts<Api> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let signed_in = session::signed_in(parts, api).await?;
        let signed_in = signed_in.ok_or_else(|| Problem::not_signed_in("Sign in first."))?;
        session::refuse_forged(parts, &signed_in, api)?;
        if let Some(witness) = parts.extensions.get::<Witness>() {
            witness.saw(home(signed_in.tenant_id, api).await?, signed_in.actor.clone());
        }
        Ok(Self(signed_in))
    }
}

/// Who asks, by a key or a session.
struct Asker {
    actor: Actor,
    maker: Maker,
    scopes: Scopes,
    /// Where they are at home; none for the operator's people.
    home: Option<TenantId>,
    may_go_anywhere: bool,
}

/// The caller, if the key or the role permits one of these scopes.
async fn caller(parts: &Parts, api: &Api, scopes: &[Scope]) -> Result<Caller, Problem> {
    let asker = asker(parts, api).await?;
    if !scopes.iter().any(|scope| asker.scopes.permits(*scope)) {
        let names: Vec<String> = scopes.iter().map(|scope| format!("`{}`", scope.name())).collect();
        return Err(Problem::forbidden(format!("This call needs the scope {}.", names.join(" or "))));
    }
    let tenant_id = match (parts.headers.get("x-tenant-id"), asker.home) {
        (None, at_home) => home(at_home, api).await?,
        (Some(_), _) if !asker.may_go_anywhere => {
            return Err(Problem::forbidden("Only the operator may send X-Tenant-Id."));
        }
        (Some(named), _) => named_tenant(api, named.to_str().unwrap_or_default()).await?,
    };
    if let Some(witness) = parts.extensions.get::<Witness>() {
        witness.saw(tenant_id, asker.actor);
    }
    Ok(Caller { tenant_id, scopes: asker.scopes, maker: asker.maker })
}

/// Whoever gives a key is judged by it alone.
async fn asker(parts: &Parts, api: &Api) -> Result<Asker, Problem> {
    if given_key(&parts.headers).is_none()
        && let Some(signed_in) = session::signed_in(parts, api).await?
    {
        session::refuse_forged(parts, &signed_in, api)?;
        let SignedIn { actor, maker, role, tenant_id, .. } = signed_in;
        let scopes = role.scopes();
        return Ok(Asker { actor, maker, scopes, home: tenant_id, may_go_anywhere: role.is_operators() });
    }
    let ApiKey { id, tenant_id, name, scopes, .. } = valid_key(parts, api).await?;
    take_one_request(parts, api, id)?;
    let may_go_anywhere = scopes.permits(Scope::Admin);
    let (actor, maker) = (Actor::ApiKey(id, name), Maker::ApiKey(id));
    Ok(Asker { actor, maker, scopes, home: Some(tenant_id), may_go_anywhere })
}

/// Counts the request against its key's limit, if there is one.
fn take_one_request(parts: &Parts, api: &Api, key_id: ApiKeyId) -> Result<(), Problem> {
    let Some(left) = api.rate_limits.take(key_id, api.world.now()) else { return Ok(()) };
    if let Some(told) = parts.extensions.get::<Told>() {
        told.left(left);
    }
    left.wait.map_or(Ok(()), |wait| Err(Problem::too_many("This key has made too many requests.", wait)))
}

/// Where somebody acts who names no tenant: the operator's people, in the default one.
pub(crate) async fn home(of: Option<TenantId>, api: &Api) -> Result<TenantId, Problem> {
    if let Some(own) = of {
        return Ok(own);
    }
    let tenant = api.catalogue.tenant_named(DEFAULT_TENANT).await?.ok_or_else(Problem::not_found)?;
    Ok(tenant.id)
}

async fn named_tenant(api: &Api, id: &str) -> Result<TenantId, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let known = api.catalogue.snapshot(id).await?;
    known.map(|catalogue| catalogue.tenant_id()).ok_or_else(Problem::not_found)
}

async fn valid_key(parts: &Parts, api: &Api) -> Result<ApiKey, Problem> {
    let given = given_key(&parts.headers).ok_or_else(Problem::unauthorized)?;
    let hash = PlainKey::given(given).hash();
    let now = api.world.now();
    match api.keys.get(&hash, now) {
        Some(key) if key.is_valid_at(now) => Ok(key),
        _ => look_up(hash, peer(&parts.extensions).unwrap_or(Ipv4Addr::UNSPECIFIED.into()), api, now).await,
    }
}

/// The key of that hash. An address that gave many that nobody has must wait, unless this one was valid before.
async fn look_up(hash: KeyHash, from: IpAddr, api: &Api, now: Timestamp) -> Result<ApiKey, Problem> {
    if api.failed_keys.knows(&hash, now) {
        return Err(Problem::unauthorized());
    }
    if let Some(wait) = api.failed_keys.wait(from, now)
        && !api.keys.knows(&hash)
    {
        return Err(Problem::too_many("Too many keys that nobody has came from this address.", wait));
    }
    let found = api.catalogue.api_key_by_hash(&hash).await?.filter(|key| key.is_valid_at(now));
    let Some(key) = found else {
        api.keys.forget(&hash);
        api.failed_keys.note(from, hash, now);
        return Err(Problem::unauthorized());
    };
    if api.keys.put(hash, key.clone(), now) {
        // Nobody is turned away because this cannot be written down.
        let noted = api.catalogue.note_use(key.tenant_id, key.id).await;
        drop(noted.inspect_err(|error| tracing::warn!(%error, "a key's use is not noted")));
    }
    Ok(key)
}

/// Where the request came from, for handlers.
pub(crate) struct Peer(pub(crate) Option<IpAddr>);

impl FromRequestParts<Api> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Infallible> {
        Ok(Self(peer(&parts.extensions)))
    }
}

/// Where the request came from. A proxy in front stands for all behind it.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip())
}

/// `Authorization: Bearer KEY` or `X-API-Key: KEY`.
fn given_key(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get("x-api-key") {
        return value.to_str().ok();
    }
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
