//! Subscriptions.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A new subscription.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "event_type": "screening.completed",
    "webhook_url": "https://api.yourcompany.com/webhooks/screening",
    "secret_key": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "message": "Webhook created successfully"
}))]
pub(in super::super) struct WebhookCreated {
    /// Its id.
    id: Uuid,
    /// What it receives.
    event_type: String,
    /// Where to.
    webhook_url: String,
    /// Signs its deliveries. Shown in this answer and never again.
    secret_key: String,
    /// For people.
    message: String,
}

/// A subscription.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "event_type": "screening.completed",
    "webhook_url": "https://api.yourcompany.com/webhooks/screening", "is_active": true, "description": "",
    "filters": {}, "created_at": "2026-01-19T10:30:00.123456+00:00",
    "stats": {"total_deliveries": 150, "successful_deliveries": 148, "failed_deliveries": 2},
    "last_triggered_at": null, "filtered_events": 0, "profile": "standard", "retry_schedule": [5, 25, 125], "timeout_seconds": 15,
    "headers": {"X-Team": "********"}
}))]
pub(in super::super) struct Webhook {
    /// Its id.
    id: Uuid,
    /// What it receives.
    event_type: String,
    /// Where to.
    webhook_url: String,
    /// Whether it receives anything.
    is_active: bool,
    /// For people.
    description: String,
    /// Which events, by their payloads.
    #[schema(value_type = Object)]
    filters: Value,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last changed; not in lists.
    #[schema(format = DateTime, nullable = false)]
    updated_at: Option<String>,
    /// How its deliveries ended.
    stats: Stats,
    /// The last attempt.
    #[schema(format = DateTime, required)]
    last_triggered_at: Option<String>,
    /// Events that its filter turned away: they made no delivery.
    #[schema(minimum = 0)]
    filtered_events: i64,
    /// The wire format.
    profile: String,
    /// Seconds to wait after each failed try.
    retry_schedule: Vec<i64>,
    /// How long one attempt may take, in seconds.
    timeout_seconds: i64,
    /// Sent with each request, values masked.
    headers: BTreeMap<String, String>,
}

/// Deliveries that reached an end.
#[derive(ToSchema)]
pub(super) struct Stats {
    /// The sum of the two.
    #[schema(minimum = 0)]
    total_deliveries: i64,
    /// Delivered.
    #[schema(minimum = 0)]
    successful_deliveries: i64,
    /// Failed.
    #[schema(minimum = 0)]
    failed_deliveries: i64,
}

/// Subscriptions.
#[derive(ToSchema)]
#[schema(example = json!({"webhooks": [{
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "event_type": "screening.completed",
    "webhook_url": "https://api.yourcompany.com/webhooks/screening", "is_active": true, "description": "",
    "filters": {}, "created_at": "2026-01-19T10:30:00.123456+00:00",
    "stats": {"total_deliveries": 150, "successful_deliveries": 148, "failed_deliveries": 2},
    "last_triggered_at": null, "filtered_events": 0, "profile": "standard", "retry_schedule": [5, 25, 125], "timeout_seconds": 15,
    "headers": {"X-Team": "********"}
}]}))]
pub(in super::super) struct WebhookList {
    /// Newest first.
    webhooks: Vec<Webhook>,
    /// Asks for the next page; null at the end. Only if a page was asked for.
    next_cursor: Option<String>,
}

/// A changed subscription.
#[derive(ToSchema)]
#[schema(example = json!({"id": "01a1fe8e-0840-7102-969b-35cac5c78673", "message": "Webhook updated successfully"}))]
pub(in super::super) struct WebhookUpdated {
    /// Its id.
    id: Uuid,
    /// For people.
    message: String,
}

/// How an endpoint stands, and what waits for it.
#[derive(ToSchema)]
#[schema(example = json!({
    "webhook_id": "01a1fe8e-0840-7102-969b-35cac5c78673", "state": "open", "in_flight": 3, "in_flight_limit": 256,
    "next_probe_at": null, "queue_depth": 3, "oldest_due_at": "2026-01-19T10:30:00.123456+00:00",
    "oldest_age_seconds": 0.012, "inactive_since": null, "left_to_discard": 0, "failing_since": null, "failed_attempts": 0
}))]
pub(in super::super) struct WebhookHealth {
    /// The subscription.
    webhook_id: Uuid,
    /// `open`: it answers. `limited`: it is slow or in trouble, or has not answered yet, and little is sent at once.
    /// `probing`: it counts as dead, and one delivery is tried now and then. Null if the node that answers does
    /// not send.
    #[schema(required)]
    state: Option<LaneState>,
    /// Requests under way from that node.
    #[schema(required)]
    in_flight: Option<u32>,
    /// How many may be.
    #[schema(required)]
    in_flight_limit: Option<u32>,
    /// When a dead endpoint is tried next.
    #[schema(required, format = DateTime)]
    next_probe_at: Option<String>,
    /// Pending deliveries to the endpoint.
    queue_depth: i64,
    /// When the first of them came due, or will.
    #[schema(required, format = DateTime)]
    oldest_due_at: Option<String>,
    /// How long that is ago; 0 if it is still to come.
    oldest_age_seconds: f64,
    /// When it was deactivated, if it is inactive.
    #[schema(required, format = DateTime)]
    inactive_since: Option<String>,
    /// Deliveries that were pending when it was deactivated and are still to be discarded. They are not sent any more.
    left_to_discard: i64,
    /// When the first of its last attempts ended that all failed.
    #[schema(required, format = DateTime)]
    failing_since: Option<String>,
    /// How many these are.
    failed_attempts: i64,
}

/// How a node finds an endpoint.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "the document is all that is made of it")]
pub(in super::super) enum LaneState {
    /// It answers.
    Open,
    /// Little is sent at once.
    Limited,
    /// One delivery is tried now and then.
    Probing,
}

/// A new secret.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "secret_key": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "previous_valid_until": "2026-01-20T10:30:00.123456+00:00"
}))]
pub(in super::super) struct SecretRotated {
    /// The subscription.
    id: Uuid,
    /// Signs from now on. Shown in this answer and never again.
    secret_key: String,
    /// Until then the former signs too.
    #[schema(format = DateTime)]
    previous_valid_until: String,
}

/// How a test ended.
#[derive(ToSchema)]
#[schema(example = json!({
    "success": true, "message": "Test webhook delivered successfully", "log_id": 17, "http_status_code": 200
}))]
pub(in super::super) struct TestResult {
    /// Whether a 2xx came back.
    success: bool,
    /// What came back, for people.
    message: String,
    /// The attempt, for `GET /api/v1/logs/{log_id}/`.
    #[schema(minimum = 1)]
    log_id: i64,
    /// The status code; null if there was no answer.
    #[schema(required)]
    http_status_code: Option<u16>,
    /// The subscription whose secret and format were used.
    #[schema(nullable = false)]
    webhook_id: Option<Uuid>,
}

/// Which of the newest events pass a filter.
#[derive(ToSchema)]
#[schema(example = json!({"results": [{
    "event_id": "01a1fe8e-0840-7102-969b-35cac5c78673", "event_type": "screening.completed",
    "created_at": "2026-01-19T10:30:00.123456+00:00", "passes": false, "failing_place": "client.approval_status"
}]}))]
pub(in super::super) struct FilterResults {
    /// Newest first.
    results: Vec<FilterResult>,
}

/// Whether an event passes.
#[derive(ToSchema)]
struct FilterResult {
    /// The event.
    event_id: Uuid,
    /// Its type.
    event_type: String,
    /// When it was accepted.
    #[schema(format = DateTime)]
    created_at: String,
    /// Whether it passes; null if its payload is no longer kept.
    #[schema(required)]
    passes: Option<bool>,
    /// The place in the payload that does not.
    #[schema(required)]
    failing_place: Option<String>,
}
