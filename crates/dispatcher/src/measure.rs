//! What is counted and measured here.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use postrider_core::Timestamp;
use postrider_core::attempt::AttemptOutcome;
use postrider_store::Backlog;

const ATTEMPTS: &str = "postrider_attempts_total";
const SECONDS: &str = "postrider_attempt_seconds";
const FIRST: &str = "postrider_first_attempt_delay_seconds";
const DEPTH: &str = "postrider_queue_depth";
const OLDEST: &str = "postrider_oldest_due_age_seconds";
const IN_FLIGHT: &str = "postrider_in_flight";

/// Describes the metrics, and begins those at zero whose labels are known.
pub fn describe_dispatcher_metrics() {
    describe_counter!(ATTEMPTS, "Requests to receivers, by outcome.");
    describe_histogram!(SECONDS, "Seconds that one request to a receiver took.");
    describe_histogram!(FIRST, "Seconds from an event's accept to the first attempt of a delivery.");
    describe_gauge!(DEPTH, "Pending deliveries in the database; the same on every node.");
    describe_gauge!(OLDEST, "Seconds since the longest due delivery came due; the same on every node.");
    describe_gauge!(IN_FLIGHT, "Slots in use on this node: requests under way and about to be.");
    for outcome in AttemptOutcome::ALL {
        counter!(ATTEMPTS, "outcome" => outcome.name()).increment(0);
    }
    for name in [DEPTH, OLDEST, IN_FLIGHT] {
        gauge!(name).set(0.0);
    }
}

pub(crate) fn attempted(outcome: AttemptOutcome, took: Duration) {
    counter!(ATTEMPTS, "outcome" => outcome.name()).increment(1);
    histogram!(SECONDS).record(took);
}

pub(crate) fn first_attempt(delay: Duration) {
    histogram!(FIRST).record(delay);
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn backlog(backlog: Backlog, now: Timestamp) {
    gauge!(DEPTH).set(backlog.pending as f64);
    gauge!(OLDEST).set(backlog.oldest_due_at.map_or(0.0, |due| now.since(due).as_secs_f64()));
}

#[expect(clippy::cast_precision_loss, reason = "slots are few")]
pub(crate) fn in_flight(slots: usize) {
    gauge!(IN_FLIGHT).set(slots as f64);
}
