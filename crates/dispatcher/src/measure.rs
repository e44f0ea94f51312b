//! What is counted and measured here.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use postrider_core::Timestamp;
use postrider_core::attempt::AttemptOutcome;
use postrider_core::lanes::LaneState;
use postrider_store::Backlog;

const ATTEMPTS: &str = "postrider_attempts_total";
const SECONDS: &str = "postrider_attempt_seconds";
const FIRST: &str = "postrider_first_attempt_delay_seconds";
const DEPTH: &str = "postrider_queue_depth";
const OLDEST: &str = "postrider_oldest_due_age_seconds";
const LANES: &str = "postrider_lanes_waiting";
const IN_FLIGHT: &str = "postrider_in_flight";

/// Describes the metrics, and begins those at zero whose labels are known.
pub fn describe_dispatcher_metrics() {
    describe_counter!(ATTEMPTS, "Requests to receivers, by outcome.");
    describe_histogram!(SECONDS, "Seconds that one request to a receiver took.");
    describe_histogram!(FIRST, "Seconds from an event's accept to the first attempt of a delivery.");
    describe_gauge!(DEPTH, "Pending deliveries in the database, by how this node finds their endpoints.");
    describe_gauge!(OLDEST, "Seconds since the longest due delivery came due, by how this node finds their endpoints.");
    describe_gauge!(LANES, "Endpoints with pending deliveries, by how this node finds them.");
    describe_gauge!(IN_FLIGHT, "Slots in use on this node: requests under way and about to be.");
    for outcome in AttemptOutcome::ALL {
        counter!(ATTEMPTS, "outcome" => outcome.name()).increment(0);
    }
    gauge!(IN_FLIGHT).set(0.0);
    LaneState::ALL.into_iter().for_each(|state| backlog(state, &Class::default()));
}

pub(crate) fn attempted(outcome: AttemptOutcome, took: Duration) {
    counter!(ATTEMPTS, "outcome" => outcome.name()).increment(1);
    histogram!(SECONDS).record(took);
}

pub(crate) fn first_attempt(delay: Duration) {
    histogram!(FIRST).record(delay);
}

/// What waits in lanes of one state.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Class {
    lanes: i64,
    pending: i64,
    oldest: Duration,
}

impl Class {
    pub(crate) fn of(backlogs: impl Iterator<Item = Backlog>, now: Timestamp) -> Self {
        backlogs.fold(Self::default(), |class, backlog| Self {
            lanes: class.lanes + 1,
            pending: class.pending + backlog.pending,
            oldest: class.oldest.max(backlog.oldest_due_at.map_or(Duration::ZERO, |due| now.since(due))),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn backlog(state: LaneState, class: &Class) {
    gauge!(LANES, "lane" => state.name()).set(class.lanes as f64);
    gauge!(DEPTH, "lane" => state.name()).set(class.pending as f64);
    gauge!(OLDEST, "lane" => state.name()).set(class.oldest.as_secs_f64());
}

#[expect(clippy::cast_precision_loss, reason = "slots are few")]
pub(crate) fn in_flight(slots: usize) {
    gauge!(IN_FLIGHT).set(slots as f64);
}
