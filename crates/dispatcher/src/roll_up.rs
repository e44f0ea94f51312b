//! Has what was written down counted for statistics.

use std::sync::Arc;
use std::time::Duration;

use postrider_core::World;
use postrider_store::Queue;
use tokio_util::sync::CancellationToken;

/// How long to rest when all was counted, or another node counts.
const IDLE: Duration = Duration::from_secs(2);
/// How long to rest between steps, so that deliveries always come first.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) async fn run(queue: Arc<dyn Queue>, world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let has_more = queue.roll_up().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot count for statistics; trying again soon");
            false
        });
        let rest = if has_more { PAUSE } else { IDLE };
        tokio::select! {
            () = stop.cancelled() => {}
            () = world.clock().sleep_until(world.now() + rest) => {}
        }
    }
}
