//! `postrider migrate`.

use postrider_core::World;

use super::open_beside;
use crate::cli::StoreArgs;

/// Opening brings the schema up to date.
pub(crate) async fn run(args: StoreArgs, world: World) -> Result<(), String> {
    let stores = open_beside(&args, &world).await?;
    stores.queue.close().await;
    println!("The database is up to date.");
    Ok(())
}
