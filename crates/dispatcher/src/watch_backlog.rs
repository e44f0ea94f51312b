//! Measures, now and then, what waits.

use std::sync::Arc;
use std::time::Duration;

use postrider_core::World;
use postrider_core::lanes::{LaneState, Lanes};
use postrider_store::Queue;
use tokio_util::sync::CancellationToken;

use crate::measure::{self, Class};

/// Counting reads an index over all that is pending.
const EVERY: Duration = Duration::from_secs(10);

pub(crate) async fn run(queue: Arc<dyn Queue>, lanes: Lanes, world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        measure::in_flight(lanes.in_flight());
        match queue.backlogs().await {
            Ok(backlogs) => {
                let (now, not_open) = (world.now(), lanes.not_open(world.now()));
                for state in LaneState::ALL {
                    let is_in = |lane| not_open.get(lane).copied().unwrap_or(LaneState::Open) == state;
                    let own = backlogs.iter().filter(|(lane, _)| is_in(lane)).map(|(_, backlog)| *backlog);
                    measure::backlog(state, &Class::of(own, now));
                }
            }
            Err(error) => tracing::warn!(%error, "cannot count what is pending"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = world.clock().sleep_until(world.now() + EVERY) => {}
        }
    }
}
