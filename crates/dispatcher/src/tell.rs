//! Has the sender told of its installation.

use std::sync::Arc;
use std::time::Duration;

use postrider_core::World;
use postrider_store::Queue;
use tokio_util::sync::CancellationToken;

/// How long to rest when there was nothing to tell.
const IDLE: Duration = Duration::from_secs(1);

pub(crate) async fn run(queue: Arc<dyn Queue>, world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let has_more = queue.tell().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot tell the sender; trying again soon");
            false
        });
        if !has_more {
            tokio::select! {
                () = stop.cancelled() => {}
                () = world.clock().sleep_until(world.now() + IDLE) => {}
            }
        }
    }
}
