//! Removes what retention no longer keeps, in small steps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_core::World;
use postrider_store::{Queue, Retention};
use tokio_util::sync::CancellationToken;

/// How long to rest when there was nothing to remove.
const IDLE: Duration = Duration::from_secs(60);
/// So many times as long as a step took, to rest before the next, so that deliveries always come first.
const RESTS: u32 = 5;
/// The shortest rest between steps.
const LEAST: Duration = Duration::from_millis(10);

pub(crate) async fn run(queue: Arc<dyn Queue>, retention: Retention, world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let removed = queue.prune(retention).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot prune; trying again later");
            false
        });
        let rest = if removed { (begun.elapsed() * RESTS).max(LEAST) } else { IDLE };
        tokio::select! {
            () = stop.cancelled() => {}
            () = world.clock().sleep_until(world.now() + rest) => {}
        }
    }
}
