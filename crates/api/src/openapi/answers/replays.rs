//! Replays.

use utoipa::ToSchema;
use uuid::Uuid;

use super::super::bodies::ReplayStatus;

/// What happened in a period, being sent again.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0841-7b3a-9d21-1b6f0a3c5e80", "webhook_id": "01a1fe8d-ffa0-71c1-8e56-6f0a3c5e7712", "event_type": null,
    "status": "undelivered", "since": "2026-01-18T00:00:00.000000+00:00", "until": "2026-01-19T00:00:00.000000+00:00",
    "rate_limit": 100, "state": "running", "count": 1200, "count_is_exact": true, "replayed": 300, "skipped": 0,
    "progress": 0.25, "created_at": "2026-01-19T10:30:00.123456+00:00", "updated_at": "2026-01-19T10:30:03.123456+00:00",
    "finished_at": null
}))]
pub(in super::super) struct Replay {
    /// Its id; the attempts made for it name it.
    id: Uuid,
    /// Only to this subscription.
    #[schema(required)]
    webhook_id: Option<Uuid>,
    /// Only events of this type.
    #[schema(required)]
    event_type: Option<String>,
    /// How the deliveries ended that are meant.
    status: ReplayStatus,
    /// Of events that were accepted at or after.
    #[schema(format = DateTime)]
    since: String,
    /// And before.
    #[schema(format = DateTime)]
    until: String,
    /// Deliveries opened in a second, at most.
    rate_limit: u32,
    /// Where it stands.
    state: ReplayStateName,
    /// How many were meant when it was made.
    count: i64,
    /// Whether these were all; if not, the search was given up after so many.
    count_is_exact: bool,
    /// Deliveries that were opened again, or made.
    replayed: i64,
    /// Those that could not be: target gone or inactive, payload no longer kept, or already open.
    skipped: i64,
    /// From 0 to 1.
    progress: f64,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it went on last.
    #[schema(format = DateTime)]
    updated_at: String,
    /// When it ended.
    #[schema(format = DateTime, required)]
    finished_at: Option<String>,
    /// The first of what is meant; shown when it is made.
    #[schema(nullable = false)]
    sample: Option<Vec<ReplaySample>>,
}

/// Where a replay stands.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum ReplayStateName {
    /// Deliveries are opened.
    Running,
    /// None are, until it is resumed.
    Paused,
    /// All were.
    Finished,
    /// No more will be; those that were opened stay so.
    Canceled,
}

/// One of what a replay means.
#[derive(ToSchema)]
struct ReplaySample {
    /// The event.
    event_id: Uuid,
    /// Its type.
    event_type: String,
    /// When it was accepted.
    #[schema(format = DateTime)]
    created_at: String,
    /// Its delivery; null if none was made.
    #[schema(required)]
    delivery_id: Option<Uuid>,
    /// How that ended, or `missed`.
    status: ReplayStatus,
}

/// What a replay would send again.
#[derive(ToSchema)]
#[schema(example = json!({"count": 1, "count_is_exact": true, "sample": [{
    "event_id": "01a1fe8e-0840-7102-969b-35cac5c78673", "event_type": "screening.completed",
    "created_at": "2026-01-18T10:30:00.123456+00:00", "delivery_id": "01a1fe8e-0841-7b3a-9d21-1b6f0a3c5e77",
    "status": "failed"
}]}))]
pub(in super::super) struct ReplayPreview {
    /// How many deliveries.
    count: i64,
    /// Whether these are all.
    count_is_exact: bool,
    /// The first of them.
    sample: Vec<ReplaySample>,
}

/// Replays.
#[derive(ToSchema)]
#[schema(example = json!({"replays": [], "next_cursor": null}))]
pub(in super::super) struct ReplayList {
    /// Newest first.
    replays: Vec<Replay>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}
