//! `postrider migrate`.

use postrider_core::World;

use postrider_store::Purpose;

use super::{open_for, settings_of};
use crate::cli::StoreArgs;

/// Opening brings the schema up to date. With a master key, the database is sealed with it from then on.
pub(crate) async fn run(args: StoreArgs, world: World) -> Result<(), String> {
    let has_key = settings_of(&args)?.keys.master.is_some();
    let stores = open_for(Purpose::Migrate, &args, &world).await?;
    if has_key {
        stores.catalogue.check_vault().await.map_err(|error| format!("POSTRIDER_MASTER_KEY: {error}"))?;
    }
    stores.queue.close().await;
    say!("The database is up to date.");
    Ok(())
}
