//! `/api/v1/users/`.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use postrider_core::password::{HashedPassword, Password};
use postrider_core::role::Role;
use postrider_core::user::{USER_NAME_LIMIT, User, is_user_name};
use postrider_core::{TenantId, Timestamp, UserId};
use postrider_store::{CredentialError, NewUser};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::path_id;
use crate::audit::Witness;
use crate::auth::Admin;
use crate::body::JsonBody;
use crate::fields::{Fields, id, text};
use crate::json;
use crate::params::{Params, Path};
use crate::problem::Problem;
use crate::state::Api;

#[derive(Serialize)]
struct UserJson {
    id: UserId,
    name: String,
    role: &'static str,
    tenant_id: Option<TenantId>,
    created_at: Timestamp,
}

impl From<User> for UserJson {
    fn from(user: User) -> Self {
        let User { id, name, role, tenant_id, created_at, .. } = user;
        Self { id, name, role: role.name(), tenant_id, created_at }
    }
}

pub(super) fn read_role(raw: &RawValue) -> Result<Role, String> {
    let names = Role::ALL.map(Role::name).join(", ");
    Role::named(&text(raw)?).ok_or_else(|| format!("must be one of {names}"))
}

fn read_name(raw: &RawValue) -> Result<String, String> {
    let wrong = || format!("must have 1 to {USER_NAME_LIMIT} letters, digits or any of `._-+@`");
    Some(text(raw)?).filter(|name| is_user_name(name)).ok_or_else(wrong)
}

fn read_password(raw: &RawValue) -> Result<Password, String> {
    Password::new(&text(raw)?)
}

async fn hash(password: Password, api: &Api) -> Result<HashedPassword, Problem> {
    let _turn = api.sign_ins.turn().await?;
    let world = api.world.clone();
    tokio::task::spawn_blocking(move || password.hash(&world)).await.map_err(|_| Problem::internal())
}

/// Adds a user: an operator, or somebody of a tenant.
pub(crate) async fn create(
    State(api): State<Api>,
    Admin(caller): Admin,
    Extension(witness): Extension<Witness>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    let name = fields.required("name", read_name);
    let password = fields.required("password", read_password);
    let role = fields.required("role", read_role);
    let tenant_id: Option<TenantId> = fields.optional("tenant_id", id);
    let checked = fields.finish()?;
    let (name, password, role) = (name.take(&checked), password.take(&checked), role.take(&checked));
    match tenant_id {
        Some(_) if role.is_operators() => {
            return Err(Problem::invalid_field("tenant_id", "operators are in no tenant"));
        }
        None if !role.is_operators() => return Err(Problem::invalid_field("tenant_id", "is required for this role")),
        Some(tenant) if api.catalogue.tenant(tenant).await?.is_none() => {
            return Err(Problem::invalid_field("tenant_id", "there is no such tenant"));
        }
        _ => {}
    }
    witness.concerns(tenant_id);
    let new = NewUser { maker: caller.maker, name, role, tenant_id, password: hash(password, &api).await? };
    let made = api.accounts.create_user(new).await.map_err(|error| match error {
        CredentialError::Taken => Problem::conflict("There is a user of that name."),
        other => Problem::of_credential(other, caller.maker),
    })?;
    Ok(json::answer(StatusCode::CREATED, &UserJson::from(made)))
}

/// All users, or those of a tenant.
pub(crate) async fn list(State(api): State<Api>, _: Admin, mut params: Params) -> Result<Response, Problem> {
    let tenant_id = params.id("tenant_id");
    let page = params.page();
    params.finish()?;
    let mut users = api.accounts.users(tenant_id, page.and_one()).await?;
    let next_cursor = json::cut(&mut users, page, |user| user.id.uuid());
    let users: Vec<UserJson> = users.into_iter().map(UserJson::from).collect();
    Ok(json::list("users", &users, Some(next_cursor)))
}

/// Sets a password. What the user is signed in with is over.
pub(crate) async fn update(
    State(api): State<Api>,
    Admin(caller): Admin,
    Extension(witness): Extension<Witness>,
    Path(id): Path,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id = path_id(&id)?;
    let mut fields = Fields::parse(&body)?;
    let password = fields.required("password", read_password);
    let password = password.take(&fields.finish()?);
    let user = api.accounts.user(id).await?.ok_or_else(Problem::not_found)?;
    witness.concerns(user.tenant_id);
    let is_set = api.accounts.set_password(id, &hash(password, &api).await?, caller.maker).await;
    if !is_set.map_err(|error| Problem::of_credential(error, caller.maker))? {
        return Err(Problem::not_found());
    }
    Ok(json::ok(&UserJson::from(user)))
}

/// Removes a user, who is signed in no longer.
pub(crate) async fn delete(
    State(api): State<Api>,
    _: Admin,
    Extension(witness): Extension<Witness>,
    Path(id): Path,
) -> Result<Response, Problem> {
    let user = api.accounts.user(path_id(&id)?).await?.ok_or_else(Problem::not_found)?;
    witness.concerns(user.tenant_id);
    if !api.accounts.delete_user(user.id).await? {
        return Err(Problem::not_found());
    }
    Ok(json::ok(&json!({"message": "User removed"})))
}
