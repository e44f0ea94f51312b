//! `postrider keys`.

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use postrider_core::api_key::{ApiKey, PlainKey, Scope, Scopes};
use postrider_core::cursor::{MAX_LIMIT, Page};
use postrider_core::tenant::Tenant;
use postrider_core::{ApiKeyId, World};
use postrider_store::{Maker, NewApiKey, Stores};
use serde_json::json;

use super::{note, open_tenant, plain};
use crate::cli::{KeysArgs, KeysCommand};

pub(crate) async fn run(args: KeysArgs, world: World) -> Result<(), String> {
    match args.command {
        KeysCommand::Create { of, name, scopes, expires_in } => {
            let scopes: Scopes = scopes.into_iter().collect();
            let expires_at = expires_in.map(|wait| world.now() + wait);
            let (stores, tenant) = open_tenant(&of, &world).await?;
            let key = PlainKey::generate(&world);
            let maker = Maker::Installation;
            let new = NewApiKey { maker, tenant_id: tenant.id, name, scopes, expires_at, hash: key.hash() };
            let made = stores.catalogue.create_api_key(new).await.map_err(|error| error.to_string())?;
            note(&stores, &world, "api_key.created", tenant.id, Some(made.id.uuid())).await?;
            show_created(&made, &key, of.json);
        }
        KeysCommand::List { of } => {
            let (stores, tenant) = open_tenant(&of, &world).await?;
            show_all(&all_keys(&stores, &tenant).await?, of.json);
        }
        KeysCommand::Revoke { of, id } => {
            let id: ApiKeyId = id.parse().map_err(|_| format!("{id}: is not the id of a key"))?;
            let (stores, tenant) = open_tenant(&of, &world).await?;
            if !stores.catalogue.revoke_api_key(tenant.id, id).await.map_err(plain)? {
                return Err(format!("{id}: the tenant `{}` has no such key", tenant.name));
            }
            note(&stores, &world, "api_key.revoked", tenant.id, Some(id.uuid())).await?;
            if of.json {
                say!("{}", json!({"id": id, "revoked": true}));
            } else {
                say!("Revoked {id}.");
            }
        }
    }
    Ok(())
}

async fn all_keys(stores: &Stores, tenant: &Tenant) -> Result<Vec<ApiKey>, String> {
    let mut keys: Vec<ApiKey> = Vec::new();
    loop {
        let page = Page { before: keys.last().map(|key| key.id.uuid()), limit: MAX_LIMIT };
        let more = stores.catalogue.api_keys(tenant.id, page).await.map_err(plain)?;
        if more.is_empty() {
            return Ok(keys);
        }
        keys.extend(more);
    }
}

fn scope_names(key: &ApiKey) -> Vec<&'static str> {
    key.scopes.iter().map(Scope::name).collect()
}

fn as_json(key: &ApiKey) -> serde_json::Value {
    json!({
        "id": key.id,
        "name": key.name,
        "scopes": scope_names(key),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
    })
}

fn show_created(made: &ApiKey, key: &PlainKey, as_data: bool) {
    if as_data {
        let mut shown = as_json(made);
        shown["key"] = json!(key.reveal());
        say!("{shown}");
    } else {
        say!("{}", key.reveal());
        eprintln!("Key {} ({}). It is not shown again.", made.id, scope_names(made).join(", "));
    }
}

fn show_all(keys: &[ApiKey], as_data: bool) {
    if as_data {
        say!("{}", json!({"api_keys": keys.iter().map(as_json).collect::<Vec<_>>()}));
        return;
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["id", "name", "scopes", "created", "expires", "last used"]);
    for key in keys {
        let expires = key.expires_at.map_or_else(|| "never".to_owned(), |end| end.to_string());
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        let (id, created) = (key.id.to_string(), key.created_at.to_string());
        table.add_row([id, key.name.clone(), scope_names(key).join(", "), created, expires, used]);
    }
    say!("{table}");
}
