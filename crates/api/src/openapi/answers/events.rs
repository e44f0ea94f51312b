//! Events.

use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::deliveries::Delivery;

/// An accepted event: it and its deliveries are durable.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "event_type": "screening.completed",
    "created_at": "2026-01-19T10:30:00.123456+00:00", "deliveries": 2, "duplicate": false
}))]
pub(in super::super) struct Receipt {
    /// Its id, the `webhook-id` of its deliveries.
    id: Uuid,
    /// Its type.
    event_type: String,
    /// When it was accepted.
    #[schema(format = DateTime)]
    created_at: String,
    /// How many deliveries it makes: a subscription, a callback or a one-off URL each.
    #[schema(minimum = 0)]
    deliveries: i64,
    /// Whether this is the answer to an earlier publish with the same key.
    duplicate: bool,
}

/// What became of each event, in order.
#[derive(ToSchema)]
#[schema(example = json!({"results": [{
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "event_type": "screening.completed",
    "created_at": "2026-01-19T10:30:00.123456+00:00", "deliveries": 2, "duplicate": false
}]}))]
pub(in super::super) struct Receipts {
    /// A receipt, or the problem.
    results: Vec<ReceiptOrProblem>,
}

/// One of many.
#[derive(ToSchema)]
#[serde(untagged)]
enum ReceiptOrProblem {
    /// It was accepted.
    Receipt(Receipt),
    /// It was not.
    Problem {
        /// Why.
        #[schema(value_type = super::super::errors::ProblemBody)]
        error: Value,
    },
}

/// An event.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "event_type": "screening.completed", "resource_id": "scr-1",
    "idempotency_key": "scr-1-completed", "created_at": "2026-01-19T10:30:00.123456+00:00", "occurred_at": null,
    "expires_at": null, "metadata": null, "webhook_url": null, "profile": null,
    "delivery_counts": {"pending": 0, "delivered": 1, "failed": 0, "discarded": 0}, "deliveries": []
}))]
pub(in super::super) struct Event {
    /// Its id.
    id: Uuid,
    /// Its type.
    event_type: String,
    /// What it is about.
    #[schema(required)]
    resource_id: Option<String>,
    /// Its key.
    #[schema(required)]
    idempotency_key: Option<String>,
    /// When it was accepted.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it happened.
    #[schema(format = DateTime, required)]
    occurred_at: Option<String>,
    /// When it loses its worth.
    #[schema(format = DateTime, required)]
    expires_at: Option<String>,
    /// As published.
    #[schema(value_type = Option<Object>, required)]
    metadata: Option<Value>,
    /// Where it went besides the subscriptions.
    #[schema(required)]
    webhook_url: Option<String>,
    /// The wire format of what went there.
    #[schema(required)]
    profile: Option<String>,
    /// As published; null after payload retention. Not in lists.
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
    /// All its deliveries by status.
    delivery_counts: Counts,
    /// The first of its deliveries; with their attempts, but for lists.
    deliveries: Vec<Delivery>,
    /// How many more there are: `GET /api/v1/deliveries/?event_id=` lists them. Absent if there are none.
    #[schema(nullable = false)]
    deliveries_omitted: Option<i64>,
}

/// Deliveries by status.
#[derive(ToSchema)]
struct Counts {
    /// To be tried.
    #[schema(minimum = 0)]
    pending: i64,
    /// Ended well.
    #[schema(minimum = 0)]
    delivered: i64,
    /// Ended badly.
    #[schema(minimum = 0)]
    failed: i64,
    /// Not to be tried.
    #[schema(minimum = 0)]
    discarded: i64,
}

/// Events.
#[derive(ToSchema)]
#[schema(example = json!({"events": [{
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "event_type": "screening.completed", "resource_id": "scr-1",
    "idempotency_key": "scr-1-completed", "created_at": "2026-01-19T10:30:00.123456+00:00", "occurred_at": null,
    "expires_at": null, "metadata": null, "webhook_url": null, "profile": null,
    "delivery_counts": {"pending": 0, "delivered": 1, "failed": 0, "discarded": 0}, "deliveries": []
}], "next_cursor": null}))]
pub(in super::super) struct EventList {
    /// Newest first.
    events: Vec<Event>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// How many deliveries were opened.
#[derive(ToSchema)]
#[schema(example = json!({"event_id": "01a1fe8e-0840-7102-969b-35cac5c78673", "deliveries": 2}))]
pub(in super::super) struct Replayed {
    /// The event.
    event_id: Uuid,
    /// How many.
    #[schema(minimum = 0)]
    deliveries: i64,
}
