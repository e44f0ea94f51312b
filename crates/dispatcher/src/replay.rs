//! Lets replays go on.

use std::sync::Arc;
use std::time::Duration;

use postrider_core::World;
use postrider_store::Queue;
use tokio_util::sync::CancellationToken;

/// How often to look when none is running, or none can go on.
const IDLE: Duration = Duration::from_millis(500);

pub(crate) async fn run(queue: Arc<dyn Queue>, world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let again_at = queue.replay().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot replay; trying again soon");
            None
        });
        let idle_until = world.now() + IDLE;
        // One that is made meanwhile is not to wait for another's turn.
        let again_at = again_at.map_or(idle_until, |at| at.min(idle_until));
        tokio::select! {
            () = stop.cancelled() => {}
            () = world.clock().sleep_until(again_at) => {}
        }
    }
}
