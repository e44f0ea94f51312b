//! `/api/v1/users/`, `/api/v1/portal-links/`, `/api/v1/session/`.

use utoipa::IntoParams;
use uuid::Uuid;

use super::super::answers::Message;
use super::super::answers::people::{PortalLink, Session, User, UserList};
use super::super::bodies::{NewPassword, NewPortalLink, NewSession, NewUser};
use super::super::errors::Problems;
use super::{Id, Page};

/// Add a user
///
/// Needs the scope `admin`. Operators are in no tenant; whoever else is, must be.
#[utoipa::path(post, path = "/api/v1/users/", tag = "People", request_body = NewUser,
    responses((status = 201, description = "The user", body = User), Problems))]
pub(in super::super) fn create_user() {}

/// Which users are listed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct WhichUsers {
    /// Only those of this tenant.
    tenant_id: Option<Uuid>,
}

/// List users
///
/// Needs the scope `admin`.
#[utoipa::path(get, path = "/api/v1/users/", tag = "People", params(WhichUsers, Page),
    responses((status = 200, description = "Newest first", body = UserList), Problems))]
pub(in super::super) fn list_users() {}

/// Set a user's password
///
/// Needs the scope `admin`. The user is signed out everywhere.
#[utoipa::path(patch, path = "/api/v1/users/{id}/", tag = "People", params(Id), request_body = NewPassword,
    responses((status = 200, description = "The user", body = User), Problems))]
pub(in super::super) fn update_user() {}

/// Remove a user
///
/// Needs the scope `admin`. The user is signed out everywhere.
#[utoipa::path(delete, path = "/api/v1/users/{id}/", tag = "People", params(Id),
    responses((status = 200, description = "The user is removed", body = Message), Problems))]
pub(in super::super) fn delete_user() {}

/// Make a link that signs in
///
/// Needs the scope `admin`. Whoever opens it first is signed in to the tenant's part of the console.
#[utoipa::path(post, path = "/api/v1/portal-links/", tag = "People", request_body = NewPortalLink,
    responses((status = 201, description = "The link, shown once", body = PortalLink), Problems))]
pub(in super::super) fn create_portal_link() {}

/// Revoke a portal link
///
/// Needs the scope `admin`. Whoever was signed in by it is signed out.
#[utoipa::path(delete, path = "/api/v1/portal-links/{id}/", tag = "People", params(Id),
    responses((status = 200, description = "It leads nowhere", body = Message), Problems))]
pub(in super::super) fn delete_portal_link() {}

/// Sign in
///
/// With a name and a password, or with the last part of a portal link. The answer sets a cookie.
#[utoipa::path(post, path = "/api/v1/session/", tag = "People", request_body = NewSession, security(()),
    responses((status = 201, description = "Signed in", body = Message), Problems))]
pub(in super::super) fn create_session() {}

/// Who is signed in
///
/// Works with the cookie of a session only.
#[utoipa::path(get, path = "/api/v1/session/", tag = "People", security(("session" = [])),
    responses((status = 200, description = "Who is signed in", body = Session), Problems))]
pub(in super::super) fn get_session() {}

/// Sign out
///
/// Works with the cookie of a session only, and with its token.
#[utoipa::path(delete, path = "/api/v1/session/", tag = "People", security(("session" = [])),
    responses((status = 200, description = "Signed out", body = Message), Problems))]
pub(in super::super) fn delete_session() {}
