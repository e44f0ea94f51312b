//! Does the bulk work that calls left to be done: what is pending is discarded, or goes into another lane.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_core::World;
use postrider_store::Queue;
use tokio_util::sync::CancellationToken;

/// How long to rest when there was nothing to do.
const IDLE: Duration = Duration::from_secs(1);

pub(crate) async fn run(queue: Arc<dyn Queue>, world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let has_more = queue.do_bulk_work().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot go on with bulk work; trying again soon");
            false
        });
        // As long as the page took: half of the time is others'.
        let rest = if has_more { begun.elapsed() } else { IDLE };
        tokio::select! {
            () = stop.cancelled() => {}
            () = world.clock().sleep_until(world.now() + rest) => {}
        }
    }
}
