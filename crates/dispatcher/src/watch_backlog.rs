//! Measures, now and then, what waits.

use std::sync::Arc;
use std::time::Duration;

use postrider_core::World;
use postrider_core::lanes::Lanes;
use postrider_store::Queue;
use tokio_util::sync::CancellationToken;

use crate::measure;

/// Counting reads an index over all that is pending.
const EVERY: Duration = Duration::from_secs(10);

pub(crate) async fn run(queue: Arc<dyn Queue>, lanes: Lanes, world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        measure::in_flight(lanes.in_flight());
        match queue.backlog().await {
            Ok(backlog) => measure::backlog(backlog, world.now()),
            Err(error) => tracing::warn!(%error, "cannot count what is pending"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = world.clock().sleep_until(world.now() + EVERY) => {}
        }
    }
}
