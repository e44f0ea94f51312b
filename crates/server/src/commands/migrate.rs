//! `postrider migrate`.

use postrider_core::World;

use postrider_store::Purpose;

use super::open_for;
use crate::cli::StoreArgs;

/// Opening brings the schema up to date.
pub(crate) async fn run(args: StoreArgs, world: World) -> Result<(), String> {
    let stores = open_for(Purpose::Create, &args, &world).await?;
    stores.queue.close().await;
    say!("The database is up to date.");
    Ok(())
}
