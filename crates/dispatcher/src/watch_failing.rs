//! Has subscriptions looked after that fail.

use std::sync::Arc;
use std::time::Duration;

use postrider_core::World;
use postrider_store::Queue;
use tokio_util::sync::CancellationToken;

/// How often. Far less than any patience.
const EVERY: Duration = Duration::from_secs(30);

pub(crate) async fn run(queue: Arc<dyn Queue>, patience: Duration, world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = queue.look_after_failing(patience).await {
            tracing::warn!(%error, "cannot look after webhooks that fail; trying again soon");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = world.clock().sleep_until(world.now() + EVERY) => {}
        }
    }
}
