//! What is counted and measured here.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_histogram, histogram};
use postrider_core::delivery::{DiscardReason, FailReason};
use postrider_core::lifecycle::Decision;

use crate::error::StoreError;
use crate::sql::Work;

const ACCEPTED: &str = "postrider_events_accepted_total";
const FILTERED: &str = "postrider_events_filtered_total";
const ENDED: &str = "postrider_deliveries_ended_total";
const ROWS: &str = "postrider_commit_rows";
const SECONDS: &str = "postrider_commit_seconds";
const LATE: &str = "postrider_lease_losses_total";
const ERRORS: &str = "postrider_store_errors_total";
const DAMAGED: &str = "postrider_damaged_rows_total";
const PASSED_OVER: &str = "postrider_bulk_work_passed_over_total";

/// Those whose rows are passed over when they cannot be read.
const TABLES: [&str; 16] = [
    "api_keys",
    "attempts",
    "audit",
    "callback_secrets",
    "callbacks",
    "deliveries",
    "event_types",
    "events",
    "failing",
    "nodes",
    "replays",
    "rollup_marks",
    "rollups",
    "subscriptions",
    "tenants",
    "users",
];

/// What a commit was of.
#[derive(Clone, Copy)]
pub(crate) enum Rows {
    Events,
    Outcomes,
}

impl Rows {
    const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Outcomes => "outcomes",
        }
    }
}

/// Describes the metrics, and begins those at zero whose labels are known.
pub fn describe_store_metrics() {
    describe_counter!(ACCEPTED, "Events accepted: they and their deliveries are durable.");
    describe_counter!(FILTERED, "Events that a subscription's filter turned away, once for each subscription.");
    describe_counter!(ENDED, "Deliveries that reached an end, by state and reason.");
    describe_histogram!(ROWS, "Events or outcomes written by one commit.");
    describe_histogram!(SECONDS, "Seconds that one commit took.");
    describe_counter!(LATE, "Outcomes that came after somebody else had settled the delivery.");
    describe_counter!(ERRORS, "Statements that the database did not carry out, by kind.");
    describe_counter!(PASSED_OVER, "Tenants and rows that bulk work passed over because of an error, by work.");
    describe_counter!(DAMAGED, "Rows that could not be read and were passed over, by table.");
    for table in TABLES {
        counter!(DAMAGED, "table" => table).increment(0);
    }
    for work in Work::NAMES {
        counter!(PASSED_OVER, "work" => work).increment(0);
    }
    counter!(ACCEPTED).increment(0);
    counter!(FILTERED).increment(0);
    counter!(LATE).increment(0);
    let failed = FailReason::NAMES.map(|reason| ("failed", reason));
    let discarded = DiscardReason::NAMES.map(|reason| ("discarded", reason));
    for (state, reason) in [("delivered", "")].into_iter().chain(failed).chain(discarded) {
        counter!(ENDED, "state" => state, "reason" => reason).increment(0);
    }
    for kind in ["unavailable", "contended", "refused", "damaged"] {
        counter!(ERRORS, "kind" => kind).increment(0);
    }
}

pub(crate) fn passed_over(work: &'static str) {
    counter!(PASSED_OVER, "work" => work).increment(1);
}

pub(crate) fn accepted(events: usize) {
    counter!(ACCEPTED).increment(events as u64);
}

pub(crate) fn turned_away(times: usize) {
    counter!(FILTERED).increment(times as u64);
}

/// Most that end: counted by the batch.
pub(crate) fn delivered(deliveries: u64) {
    if deliveries > 0 {
        ended("delivered", "", deliveries);
    }
}

/// A delivery that changed and was not delivered; a retry is no end.
pub(crate) fn settled(decision: &Decision) {
    match decision {
        Decision::Failed(reason) => ended("failed", reason.name(), 1),
        Decision::Discarded(reason) => ended("discarded", reason.name(), 1),
        Decision::Delivered | Decision::Retry(_) => {}
    }
}

/// A row of `table` that cannot be read.
pub(crate) fn damaged(table: &'static str) {
    counter!(DAMAGED, "table" => table).increment(1);
}

pub(crate) fn discarded(reason: &DiscardReason, deliveries: u64) {
    ended("discarded", reason.name(), deliveries);
}

fn ended(state: &'static str, reason: &'static str, deliveries: u64) {
    counter!(ENDED, "state" => state, "reason" => reason).increment(deliveries);
}

pub(crate) fn settled_late() {
    counter!(LATE).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "batches are bounded")]
pub(crate) fn committed(of: Rows, rows: usize) {
    if rows > 0 {
        histogram!(ROWS, "of" => of.name()).record(rows as f64);
    }
}

pub(crate) fn commit_took(time: Duration) {
    histogram!(SECONDS).record(time);
}

pub(crate) fn failed(error: &StoreError) {
    let kind = match error {
        StoreError::Unavailable(_) => "unavailable",
        StoreError::Contended(_) => "contended",
        StoreError::Refused(_) => "refused",
        StoreError::Damaged(_) | StoreError::Vault(_) | StoreError::Unusable(_) => "damaged",
    };
    counter!(ERRORS, "kind" => kind).increment(1);
}
