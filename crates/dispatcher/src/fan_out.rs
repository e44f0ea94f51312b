//! Makes the deliveries of events with very many targets, chunk by chunk.

use std::sync::Arc;
use std::time::Duration;

use postrider_core::World;
use postrider_store::{HandOver, Queue};
use tokio_util::sync::CancellationToken;

/// How often to look when there was nothing.
const IDLE: Duration = Duration::from_millis(500);

pub(crate) async fn run(queue: Arc<dyn Queue>, hand_over: HandOver, world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let made = queue.fan_out().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot fan out; trying again soon");
            None
        });
        made.iter().flatten().for_each(|lane| hand_over.wake(*lane));
        if made.is_none() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = world.clock().sleep_until(world.now() + IDLE) => {}
            }
        }
    }
}
