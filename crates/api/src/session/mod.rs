//! Who is signed in: a session in the store, named by a cookie, instead of a key.

mod forgery;
mod sign_in_limits;
mod store;

use std::time::Duration;

use axum::http::request::Parts;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use postrider_core::api_key::KeyHash;
use postrider_core::audit::Actor;
use postrider_core::role::Role;
use postrider_core::user::{PortalLink, SessionLimits, User};
use postrider_core::{PortalLinkId, TenantId, Timestamp, UserId, World};
use postrider_store::Maker;
use serde::{Deserialize, Serialize};
use tower_sessions::cookie::SameSite;
use tower_sessions::{Expiry, Session, SessionManagerLayer};

pub(crate) use forgery::{refuse_foreign_origin, refuse_forged};
pub(crate) use sign_in_limits::SignInLimits;
use store::SessionRows;

use crate::problem::Problem;
use crate::state::Api;

/// What a session knows is under this name.
const KNOWN: &str = "signed_in";
/// That somebody is there is written down so often.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// Calls that a page makes by itself bear this: nobody does anything by them.
const BY_ITSELF: &str = "x-by-itself";

/// What a session knows of who is signed in.
#[derive(Clone, Serialize, Deserialize)]
struct Known {
    who: Who,
    /// What each change must bring along; no other site can read it.
    csrf: String,
    /// In microseconds since 1970.
    since: i64,
    seen_at: i64,
}

/// Somebody by name, or by a link.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Who {
    /// With the time at which the password that was given was set, in microseconds: under another it is over.
    User {
        id: UserId,
        password_set_at: i64,
    },
    Link {
        id: PortalLinkId,
    },
}

impl Known {
    fn new(who: Who, world: &World) -> Self {
        let now = world.now().as_micros();
        let csrf = BASE64_URL_SAFE_NO_PAD.encode(world.random_bytes::<32>());
        Self { who, csrf, since: now, seen_at: now }
    }

    fn ends_at(&self) -> Timestamp {
        SessionLimits::USUAL.ends_at(Timestamp::from_micros(self.since), Timestamp::from_micros(self.seen_at))
    }
}

/// Somebody who is signed in, as they are now.
#[derive(Clone)]
pub(crate) struct SignedIn {
    pub(crate) actor: Actor,
    pub(crate) maker: Maker,
    pub(crate) role: Role,
    /// None for operators.
    pub(crate) tenant_id: Option<TenantId>,
    pub(crate) csrf: String,
}

/// Has requests bring along the session that their cookie names.
pub(crate) fn layer(api: &Api) -> SessionManagerLayer<SessionRows> {
    // Browsers take a cookie of this prefix only over TLS, for this host alone, and from nobody else.
    let (name, secure) = if api.is_dev { ("postrider", false) } else { ("__Host-postrider", true) };
    SessionManagerLayer::new(SessionRows::new(api))
        .with_name(name)
        .with_secure(secure)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnSessionEnd)
}

/// Begins a session under a new id, for the user as they were when the password was looked at.
pub(crate) async fn begin_for_user(session: &Session, user: &User, api: &Api) -> Result<(), Problem> {
    let who = Who::User { id: user.id, password_set_at: user.password_set_at.as_micros() };
    begin(session, Known::new(who, &api.world)).await
}

/// The same for whoever comes by a link.
pub(crate) async fn begin_for_link(session: &Session, link: &PortalLink, api: &Api) -> Result<(), Problem> {
    begin(session, Known::new(Who::Link { id: link.id }, &api.world)).await
}

/// It is in the store when this returns.
async fn begin(session: &Session, known: Known) -> Result<(), Problem> {
    session.cycle_id().await.map_err(unavailable)?;
    session.insert(KNOWN, known).await.map_err(unavailable)?;
    session.save().await.map_err(unavailable)
}

/// The cookie that takes the session's away: browsers heed one of that name only with all that it was given with.
pub(crate) fn no_cookie(api: &Api) -> &'static str {
    if api.is_dev {
        "postrider=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    } else {
        "__Host-postrider=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
    }
}

/// Ends the session that a request came with.
pub(crate) async fn end(session: &Session) -> Result<(), Problem> {
    session.flush().await.map_err(unavailable)
}

/// Who is signed in where the request comes from; `None` without a session, or if it is over.
pub(crate) async fn signed_in(parts: &Parts, api: &Api) -> Result<Option<SignedIn>, Problem> {
    let Some(session) = parts.extensions.get::<Session>() else { return Ok(None) };
    let Some(mut known) = session.get::<Known>(KNOWN).await.map_err(unavailable)? else { return Ok(None) };
    let Some(hash) = session.id().map(|id| store::hash(&id)) else { return Ok(None) };
    let Some(signed_in) = as_now(&known, hash, api).await? else {
        end(session).await?;
        return Ok(None);
    };
    let now = api.world.now();
    let is_late = now.since(Timestamp::from_micros(known.seen_at)) >= SEEN_EVERY;
    if is_late && !parts.headers.contains_key(BY_ITSELF) {
        known.seen_at = now.as_micros();
        SessionRows::new(api).keep(session, &known).await;
    }
    Ok(Some(signed_in))
}

/// Who it is today; `None` if they are to sign in again.
async fn as_now(known: &Known, session: KeyHash, api: &Api) -> Result<Option<SignedIn>, Problem> {
    if known.ends_at() <= api.world.now() {
        return Ok(None);
    }
    let (actor, maker, role, tenant_id) = match known.who {
        Who::User { id, password_set_at } => {
            let user = api.accounts.user(id).await?;
            let user = user.filter(|user| user.password_set_at.as_micros() == password_set_at);
            let Some(user) = user else { return Ok(None) };
            let maker = Maker::User { id, password_set_at: user.password_set_at, session };
            (Actor::User(id, user.name), maker, user.role, user.tenant_id)
        }
        Who::Link { id } => {
            let Some(link) = api.accounts.portal_link(id).await? else { return Ok(None) };
            (Actor::PortalLink(id), Maker::PortalLink { id, session }, link.role, Some(link.tenant_id))
        }
    };
    Ok(Some(SignedIn { actor, maker, role, tenant_id, csrf: known.csrf.clone() }))
}

/// What went wrong is in the store; it has told the log.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: tower_sessions::session::Error) -> Problem {
    tracing::warn!(%error, "a session cannot be read or kept");
    Problem::unavailable()
}
