//! `postrider demo`.

use postrider_core::World;

pub(crate) async fn run(_world: World) -> Result<(), String> {
    Ok(())
}
