//! `postrider rotate-master-key`.

use postrider_core::World;
use postrider_store::Purpose;
use serde_json::json;

use super::{note, open_for, plain, settings_of};
use crate::cli::RotateArgs;
use crate::node::default_tenant;

/// Seals anew with the current master key what the one before had sealed, row by row, while others serve.
pub(crate) async fn run(args: RotateArgs, world: World) -> Result<(), String> {
    let settings = settings_of(&args.store)?;
    if settings.keys.master.is_none() {
        return Err("POSTRIDER_MASTER_KEY: must be the new key".to_owned());
    }
    if settings.keys.master_previous.is_none() {
        return Err("POSTRIDER_MASTER_KEY_PREVIOUS: must be the key that is replaced".to_owned());
    }
    let stores = open_for(Purpose::Visit, &args.store, &world).await?;
    stores.catalogue.check_vault().await.map_err(plain)?;
    let sealed = stores.catalogue.reseal().await.map_err(plain)?;
    let tenant = default_tenant(&*stores.catalogue).await.map_err(plain)?;
    note(&stores, &world, "master_key.rotated", tenant.id, None).await?;
    if args.json {
        say!("{}", json!({"sealed_anew": sealed}));
    } else {
        say!(
            "Sealed {sealed} rows anew. Nothing needs the key before any more, once all servers have the new one as POSTRIDER_MASTER_KEY."
        );
    }
    Ok(())
}
