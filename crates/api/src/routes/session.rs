//! `/api/v1/session/`: signing in and out.

use axum::Extension;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use postrider_core::TenantId;
use postrider_core::api_key::{KeyHash, PlainKey, Scope};
use postrider_core::audit::Actor;
use postrider_core::password::{HashedPassword, Password};
use postrider_core::user::{PortalLink, is_user_name};
use serde::Serialize;
use serde_json::json;
use tower_sessions::Session;

use crate::audit::Witness;
use crate::auth::{Peer, Person, home};
use crate::body::JsonBody;
use crate::fields::{Fields, text};
use crate::json;
use crate::problem::Problem;
use crate::session::{self, SignedIn};
use crate::state::Api;

#[derive(Serialize)]
struct SessionJson {
    /// Null for whoever came by a link.
    name: Option<String>,
    role: &'static str,
    tenant_id: Option<TenantId>,
    scopes: Vec<&'static str>,
    csrf_token: String,
}

impl From<SignedIn> for SessionJson {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            name: signed_in.actor.name().map(str::to_owned),
            role: signed_in.role.name(),
            tenant_id: signed_in.tenant_id,
            scopes: signed_in.role.scopes().iter().map(Scope::name).collect(),
            csrf_token: signed_in.csrf,
        }
    }
}

/// Signs in with a name and a password, or with the token of a portal link.
pub(crate) async fn create(
    State(api): State<Api>,
    Extension(session): Extension<Session>,
    peer: Peer,
    witness: Option<Extension<Witness>>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    session::refuse_foreign_origin(&headers, &api)?;
    let from = peer.0;
    let mut fields = Fields::parse(&body)?;
    if let Some(token) = fields.optional("portal_token", text) {
        fields.finish()?;
        api.sign_ins.take(None, from, api.world.now())?;
        let link = enter(&session, &PlainKey::given(&token).hash(), &api).await?;
        saw(witness, Some(link.tenant_id), Actor::PortalLink(link.id), &api).await?;
    } else {
        let name = fields.required("name", text);
        let password = fields.required("password", text);
        let checked = fields.finish()?;
        let (name, password) = (name.take(&checked), Password::given(&password.take(&checked)));
        api.sign_ins.take(Some(&name), from, api.world.now())?;
        let found = if is_user_name(&name) { api.accounts.user_named(&name).await? } else { None };
        let (user, hashed) = found.unzip();
        let is_right = is_password(password, hashed, &api).await?;
        let user = user.filter(|_| is_right);
        let user = user.ok_or_else(|| Problem::not_signed_in("The name or the password is wrong."))?;
        session::begin_for_user(&session, &user, &api).await?;
        saw(witness, user.tenant_id, Actor::User(user.id, user.name), &api).await?;
    }
    Ok(json::answer(StatusCode::CREATED, &json!({"message": "Signed in"})))
}

/// What is done by operators is noted in the default tenant.
async fn saw(
    witness: Option<Extension<Witness>>,
    tenant_id: Option<TenantId>,
    actor: Actor,
    api: &Api,
) -> Result<(), Problem> {
    let tenant_id = home(tenant_id, api).await?;
    if let Some(Extension(witness)) = witness {
        witness.saw(tenant_id, actor);
    }
    Ok(())
}

/// Begins a session by a link, and uses the link up: in this order, so that what goes wrong leaves it as it was.
async fn enter(session: &Session, hash: &KeyHash, api: &Api) -> Result<PortalLink, Problem> {
    let refused = || Problem::not_signed_in("This link was used, or its time is over.");
    let link = api.accounts.unused_portal_link(hash).await?.ok_or_else(refused)?;
    session::begin_for_link(session, &link, api).await?;
    if api.accounts.take_portal_link(hash).await?.is_none() {
        session::end(session).await?;
        return Err(refused());
    }
    Ok(link)
}

/// Looks at one password at a time, away from what delivers.
async fn is_password(password: Password, hashed: Option<HashedPassword>, api: &Api) -> Result<bool, Problem> {
    let _turn = api.sign_ins.turn().await?;
    let looked = tokio::task::spawn_blocking(move || password.is(hashed.as_ref())).await;
    looked.map_err(|_| Problem::internal())
}

/// Who is signed in.
pub(crate) async fn get(Person(signed_in): Person) -> Response {
    json::ok(&SessionJson::from(signed_in))
}

/// Signs out.
pub(crate) async fn delete(
    State(api): State<Api>,
    Extension(session): Extension<Session>,
    _: Person,
) -> Result<Response, Problem> {
    session::end(&session).await?;
    let mut answer = json::ok(&json!({"message": "Signed out"}));
    answer.headers_mut().append(SET_COOKIE, HeaderValue::from_static(session::no_cookie(&api)));
    Ok(answer)
}
