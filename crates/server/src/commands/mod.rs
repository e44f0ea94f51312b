//! The commands: a file each.

pub(crate) mod backup;
pub(crate) mod keys;
pub(crate) mod migrate;
pub(crate) mod move_database;
pub(crate) mod serve;

use postrider_core::World;
use postrider_core::vault::{MasterKey, Vault};
use postrider_store::{HandOver, Purpose, StoreOptions, Stores};

use crate::cli::{ServeOptions, StoreArgs};
use crate::config::Settings;

/// Opens the store beside whoever serves it, without touching deliveries or secrets.
async fn open_for(purpose: Purpose, args: &StoreArgs, world: &World) -> Result<Stores, String> {
    let options = ServeOptions { store: args.clone(), ..ServeOptions::default() };
    let settings = Settings::load(&options).map_err(|error| error.to_string())?;
    let master_key = settings.master_key.unwrap_or_else(MasterKey::development);
    let options = StoreOptions {
        database_url: settings.database_url,
        purpose,
        world: world.clone(),
        vault: Vault::new(master_key, settings.master_key_previous, world.clone()),
        hand_over: HandOver::closed(),
        profiles: settings.profiles,
    };
    Stores::open(options).await.map_err(|error| error.to_string())
}
