//! What is counted and measured here.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
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

/// What is measured of each attempt: looked up once, for that takes longer than to count. Nobody measures before.
static OF_ATTEMPTS: OnceLock<OfAttempts> = OnceLock::new();

struct OfAttempts {
    by_outcome: [Counter; AttemptOutcome::ALL.len()],
    seconds: Histogram,
    first: Histogram,
}

impl OfAttempts {
    fn look_up() -> Self {
        Self {
            by_outcome: AttemptOutcome::ALL.map(|outcome| counter!(ATTEMPTS, "outcome" => outcome.name())),
            seconds: histogram!(SECONDS),
            first: histogram!(FIRST),
        }
    }
}

/// Describes the metrics, and begins those at zero whose labels are known.
pub fn describe_dispatcher_metrics() {
    describe_counter!(ATTEMPTS, "Requests to receivers, by outcome.");
    describe_histogram!(SECONDS, "Seconds that one request to a receiver took.");
    describe_histogram!(FIRST, "Seconds from an event's accept to the first attempt of a delivery.");
    describe_gauge!(DEPTH, "Pending deliveries in the database, by how this node finds their endpoints.");
    describe_gauge!(OLDEST, "Seconds since the longest due delivery came due, by how this node finds their endpoints.");
    describe_gauge!(LANES, "Endpoints with pending deliveries, by how this node finds them.");
    describe_gauge!(IN_FLIGHT, "Slots in use on this node: requests under way and about to be.");
    let of_attempts = OF_ATTEMPTS.get_or_init(OfAttempts::look_up);
    of_attempts.by_outcome.iter().for_each(|attempts| attempts.increment(0));
    gauge!(IN_FLIGHT).set(0.0);
    LaneState::ALL.into_iter().for_each(|state| backlog(state, &Class::default()));
}

pub(crate) fn attempted(outcome: AttemptOutcome, took: Duration) {
    let Some(of_attempts) = OF_ATTEMPTS.get() else { return };
    let counters = AttemptOutcome::ALL.iter().zip(&of_attempts.by_outcome);
    counters.filter(|(counted, _)| **counted == outcome).for_each(|(_, attempts)| attempts.increment(1));
    of_attempts.seconds.record(took);
}

pub(crate) fn first_attempt(delay: Duration) {
    OF_ATTEMPTS.get().iter().for_each(|of_attempts| of_attempts.first.record(delay));
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
