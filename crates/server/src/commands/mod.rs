//! The commands: a file each.

pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod config;
pub(crate) mod keys;
pub(crate) mod listen;
pub(crate) mod migrate;
pub(crate) mod move_database;
pub(crate) mod rotate_master_key;
pub(crate) mod serve;
mod shown;
pub(crate) mod trigger;
pub(crate) mod users;
pub(crate) mod verify;

use postrider_core::audit::{Actor, AuditEntry};
use postrider_core::tenant::{DEFAULT_TENANT, Tenant};
use postrider_core::vault::{MasterKey, Vault};
use postrider_core::{TenantId, World};
use postrider_store::{HandOver, Purpose, StoreError, StoreOptions, Stores};
use tokio::signal::unix::{Signal, SignalKind, signal};
use uuid::Uuid;

use crate::cli::{ServeOptions, StoreArgs, TenantArgs};
use crate::config::Settings;
use crate::node::default_tenant;

/// The settings of a command that touches the store.
fn settings_of(args: &StoreArgs) -> Result<Settings, String> {
    let options = ServeOptions { store: args.clone(), ..ServeOptions::default() };
    Settings::load(&options).map_err(|error| error.to_string())
}

/// Opens the store beside whoever serves it, without touching deliveries or secrets.
async fn open_for(purpose: Purpose, args: &StoreArgs, world: &World) -> Result<Stores, String> {
    let settings = settings_of(args)?;
    let master_key = settings.keys.master.unwrap_or_else(MasterKey::development);
    let options = StoreOptions {
        database_url: settings.database.url,
        durability: settings.database.durability,
        purpose,
        world: world.clone(),
        vault: Vault::new(master_key, settings.keys.master_previous, world.clone()),
        hand_over: HandOver::closed(),
        profiles: settings.server.profiles,
    };
    Stores::open(options).await.map_err(|error| error.to_string())
}

/// Opens the store and finds the tenant that is meant.
async fn open_tenant(of: &TenantArgs, world: &World) -> Result<(Stores, Tenant), String> {
    let stores = open_for(Purpose::Visit, &of.store, world).await?;
    if of.tenant == DEFAULT_TENANT {
        let tenant = default_tenant(&*stores.catalogue).await.map_err(plain)?;
        return Ok((stores, tenant));
    }
    let named = stores.catalogue.tenant_named(&of.tenant).await.map_err(plain)?;
    let tenant = named.ok_or_else(|| format!("--tenant: there is no tenant `{}`", of.tenant))?;
    Ok((stores, tenant))
}

/// Writes down in the audit log what was done here.
async fn note(
    stores: &Stores,
    world: &World,
    action: &str,
    tenant_id: TenantId,
    id: Option<Uuid>,
) -> Result<(), String> {
    let at = world.now();
    let entry = AuditEntry {
        id: world.new_id_at(at),
        tenant_id,
        at,
        actor: Actor::CommandLine,
        action: action.to_owned(),
        object_id: id.map(|id| id.to_string()),
        request_id: None,
        remote_address: None,
    };
    stores.journal.audit(&entry).await.map_err(plain)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn plain(error: StoreError) -> String {
    error.to_string()
}

/// SIGTERM and SIGINT, and SIGHUP for who listens to it: to listen undoes what `nohup` does.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Option<Signal>,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: None,
        })
    }

    /// For a command of a terminal, which ends with it.
    fn listen_at_terminal() -> Result<Self, String> {
        let hang_up = signal(SignalKind::hangup()).map_err(|error| format!("cannot listen for signals: {error}"))?;
        Ok(Self { hang_up: Some(hang_up), ..Self::listen()? })
    }

    async fn next(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = hang_up => {}
        }
    }
}
