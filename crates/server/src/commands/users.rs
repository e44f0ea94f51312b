//! `postrider users`.

use std::io::Read;

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use postrider_core::cursor::{MAX_LIMIT, Page};
use postrider_core::password::{MAX_PASSWORD, Password};
use postrider_core::tenant::DEFAULT_TENANT;
use postrider_core::user::User;
use postrider_core::{TenantId, World};
use postrider_store::{CredentialError, Maker, NewUser, Purpose, Stores};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{note, open_for, plain};
use crate::cli::{PasswordArgs, UsersArgs, UsersCommand};
use crate::node::default_tenant;

pub(crate) async fn run(args: UsersArgs, world: World) -> Result<(), String> {
    match args.command {
        UsersCommand::Add { store, name, role, tenant, password, json } => {
            let password = GivenPassword::of(&password, &world)?;
            let stores = open_for(Purpose::Visit, &store, &world).await?;
            let tenant_id = match (&tenant, role.is_operators()) {
                (Some(_), true) => return Err(format!("--tenant: whoever is {} is in no tenant", role.name())),
                (None, true) => None,
                (tenant, false) => Some(tenant_named(&stores, tenant.as_deref().unwrap_or(DEFAULT_TENANT)).await?),
            };
            let (maker, hashed) = (Maker::Installation, password.checked()?.hash(&world));
            let new = NewUser { maker, name: name.clone(), role, tenant_id, password: hashed };
            let made = stores.accounts.create_user(new).await.map_err(|error| match error {
                CredentialError::Taken => format!("--name: there is a user `{name}`"),
                other => other.to_string(),
            })?;
            note_of(&stores, &world, "user.created", &made).await?;
            password.show(as_json(&made), json, &format!("Added {name}, {}.", made.role.name()));
        }
        UsersCommand::List { store, json } => {
            let stores = open_for(Purpose::Visit, &store, &world).await?;
            show_all(&all_users(&stores).await?, json);
        }
        UsersCommand::SetPassword { store, name, password, json } => {
            let password = GivenPassword::of(&password, &world)?;
            let stores = open_for(Purpose::Visit, &store, &world).await?;
            let user = user_named(&stores, &name).await?;
            let hashed = password.checked()?.hash(&world);
            let is_set = stores.accounts.set_password(user.id, &hashed, Maker::Installation).await;
            is_set.map_err(|error| error.to_string())?;
            note_of(&stores, &world, "user.password_set", &user).await?;
            password.show(as_json(&user), json, &format!("{name} is signed in nowhere any more."));
        }
        UsersCommand::Remove { store, name, json } => {
            let stores = open_for(Purpose::Visit, &store, &world).await?;
            let user = user_named(&stores, &name).await?;
            stores.accounts.delete_user(user.id).await.map_err(plain)?;
            note_of(&stores, &world, "user.deleted", &user).await?;
            if json { say!("{}", json!({"id": user.id, "removed": true})) } else { say!("Removed {name}.") }
        }
    }
    Ok(())
}

/// A password that was typed in, or one made here, which is shown.
struct GivenPassword {
    text: Zeroizing<String>,
    is_made: bool,
}

impl GivenPassword {
    fn of(args: &PasswordArgs, world: &World) -> Result<Self, String> {
        if !args.password_stdin {
            return Ok(Self { text: Zeroizing::new(made_password(world)), is_made: true });
        }
        let mut text = Zeroizing::new(String::new());
        let limit = 4 * MAX_PASSWORD as u64 + 2;
        let read = std::io::stdin().take(limit).read_to_string(&mut text);
        read.map_err(|error| format!("--password-stdin: cannot read it: {error}"))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line).to_owned();
        Ok(Self { text: Zeroizing::new(line), is_made: false })
    }

    fn checked(&self) -> Result<Password, String> {
        Password::new(&self.text).map_err(|wrong| format!("--password-stdin: the password {wrong}"))
    }

    fn show(&self, mut user: Value, as_data: bool, message: &str) {
        if as_data {
            if self.is_made {
                user["password"] = json!(self.text.as_str());
            }
            say!("{user}");
            return;
        }
        if self.is_made {
            say!("{}", self.text.as_str());
            eprintln!("{message} The password is not shown again.");
        } else {
            say!("{message}");
        }
    }
}

/// 20 letters and digits in groups of five, none of which looks like another: some 99 bits.
fn made_password(world: &World) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes = Zeroizing::new(world.random_bytes::<20>());
    let letters: Vec<char> = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

async fn tenant_named(stores: &Stores, name: &str) -> Result<TenantId, String> {
    let named = stores.catalogue.tenant_named(name).await.map_err(plain)?;
    named.map(|tenant| tenant.id).ok_or_else(|| format!("--tenant: there is no tenant `{name}`"))
}

async fn user_named(stores: &Stores, name: &str) -> Result<User, String> {
    let named = stores.accounts.user_named(name).await.map_err(plain)?;
    named.map(|(user, _)| user).ok_or_else(|| format!("{name}: there is no such user"))
}

/// What is done to operators is noted in the default tenant.
async fn note_of(stores: &Stores, world: &World, action: &str, user: &User) -> Result<(), String> {
    let tenant_id = match user.tenant_id {
        Some(id) => id,
        None => default_tenant(&*stores.catalogue).await.map_err(plain)?.id,
    };
    note(stores, world, action, tenant_id, Some(user.id.uuid())).await
}

async fn all_users(stores: &Stores) -> Result<Vec<User>, String> {
    let mut users: Vec<User> = Vec::new();
    loop {
        let page = Page { before: users.last().map(|user| user.id.uuid()), limit: MAX_LIMIT };
        let more = stores.accounts.users(None, page).await.map_err(plain)?;
        if more.is_empty() {
            return Ok(users);
        }
        users.extend(more);
    }
}

fn as_json(user: &User) -> Value {
    json!({
        "id": user.id,
        "name": user.name,
        "role": user.role,
        "tenant_id": user.tenant_id,
        "created_at": user.created_at,
    })
}

fn show_all(users: &[User], as_data: bool) {
    if as_data {
        say!("{}", json!({"users": users.iter().map(as_json).collect::<Vec<_>>()}));
        return;
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["name", "role", "tenant", "created"]);
    for user in users {
        let tenant = user.tenant_id.map_or_else(String::new, |id| id.to_string());
        table.add_row([user.name.clone(), user.role.name().to_owned(), tenant, user.created_at.to_string()]);
    }
    say!("{table}");
}
