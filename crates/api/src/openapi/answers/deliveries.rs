//! Deliveries and their attempts.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use uuid::Uuid;

/// An event on its way to an endpoint.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0841-7b3a-9d21-1b6f0a3c5e77", "event_id": "01a1fe8e-0840-7102-969b-35cac5c78673",
    "event_type": "screening.completed", "webhook_id": "01a1fe8d-ffa0-71c1-8e56-6f0a3c5e7712", "callback_id": null,
    "webhook_url": "https://api.yourcompany.com/webhooks/screening", "profile": "standard", "status": "delivered",
    "reason": null, "created_at": "2026-01-19T10:30:00.123456+00:00", "next_attempt_at": null
}))]
pub(in super::super) struct Delivery {
    /// Its id.
    id: Uuid,
    /// What it carries.
    event_id: Uuid,
    /// The event's type.
    event_type: String,
    /// To which subscription.
    #[schema(required)]
    webhook_id: Option<Uuid>,
    /// To which callback.
    #[schema(required)]
    callback_id: Option<Uuid>,
    /// Where to, as it stands now; of one that ended, where it went last.
    webhook_url: String,
    /// The wire format that it was made with, which its tries keep.
    profile: String,
    /// Where it stands.
    status: Status,
    /// Why it failed or was discarded.
    #[schema(required)]
    reason: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it is tried next, if it is pending.
    #[schema(format = DateTime, required)]
    next_attempt_at: Option<String>,
    /// What was tried, the last 50. Not in lists.
    #[schema(nullable = false)]
    attempts: Option<Vec<Attempt>>,
}

/// Where a delivery stands.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum Status {
    /// To be tried.
    Pending,
    /// A 2xx came back.
    Delivered,
    /// Every try failed, it expired, or its payload does not fit the wire format.
    Failed,
    /// Its target was deactivated or deleted, or the wire format's condition is not met.
    Discarded,
}

/// Deliveries.
#[derive(ToSchema)]
#[schema(example = json!({"deliveries": [{
    "id": "01a1fe8e-0841-7b3a-9d21-1b6f0a3c5e77", "event_id": "01a1fe8e-0840-7102-969b-35cac5c78673",
    "event_type": "screening.completed", "webhook_id": "01a1fe8d-ffa0-71c1-8e56-6f0a3c5e7712", "callback_id": null,
    "webhook_url": "https://api.yourcompany.com/webhooks/screening", "profile": "standard", "status": "delivered",
    "reason": null, "created_at": "2026-01-19T10:30:00.123456+00:00", "next_attempt_at": null
}], "next_cursor": null}))]
pub(in super::super) struct DeliveryList {
    /// Newest first.
    deliveries: Vec<Delivery>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What a delivery sends.
#[derive(ToSchema)]
#[schema(example = json!({
    "delivery_id": "01a1fe8e-0841-7b3a-9d21-1b6f0a3c5e77", "method": "POST",
    "url": "https://api.yourcompany.com/webhooks/screening",
    "headers": {"Webhook-Id": "01a1fe8e-0840-7102-969b-35cac5c78673"}, "body": "{}",
    "signed_content": "01a1fe8e-0840-7102-969b-35cac5c78673.1768818600.{}",
    "curl": "curl -sS -X POST 'https://api.yourcompany.com/webhooks/screening' --data-binary '{}'"
}))]
pub(in super::super) struct DeliveryRequest {
    /// Which.
    delivery_id: Uuid,
    /// Always `POST`.
    method: String,
    /// Where it went last, or will go.
    url: String,
    /// What was sent last; secret values are masked.
    headers: BTreeMap<String, String>,
    /// The bytes of the body.
    #[schema(required)]
    body: Option<String>,
    /// The bytes that are signed; null also where nothing is.
    #[schema(required)]
    signed_content: Option<String>,
    /// A command that sends it again, with the headers as they are shown.
    #[schema(required)]
    curl: Option<String>,
}

/// One request and what came back.
#[derive(ToSchema)]
#[schema(example = json!({
    "log_id": 17, "delivery_id": "01a1fe8e-0841-7b3a-9d21-1b6f0a3c5e77", "number": 1,
    "started_at": "2026-01-19T10:30:00.125+00:00", "duration_ms": 41.7, "outcome": "success", "http_status_code": 200,
    "message": "HTTP 200: OK", "webhook_url": "https://api.yourcompany.com/webhooks/screening",
    "request_headers": {"Webhook-Id": "01a1fe8e-0840-7102-969b-35cac5c78673"},
    "response_headers": {"Content-Length": "2"}, "response_body": "ok", "response_body_encoding": "utf8",
    "remote_address": "192.0.2.1:443",
    "timings": {"dns_ms": 1.2, "connect_ms": 20.4, "first_byte_ms": 41.2, "total_ms": 41.7}, "replay_id": null
}))]
pub(in super::super) struct Attempt {
    /// Its number in the log.
    #[schema(minimum = 1)]
    log_id: i64,
    /// What it tried to deliver; null for a test.
    #[schema(required)]
    delivery_id: Option<Uuid>,
    /// 1 is the first of its delivery.
    #[schema(minimum = 1)]
    number: i64,
    /// When it began.
    #[schema(format = DateTime)]
    started_at: String,
    /// How long it took, in milliseconds.
    #[schema(minimum = 0)]
    duration_ms: f64,
    /// How it ended: `success`, `http_error`, `timeout`, `address_error`, `connection_error`, `tls_error`,
    /// `protocol_error` or `internal_error`.
    outcome: String,
    /// The status code; null if there was no answer.
    #[schema(required)]
    http_status_code: Option<u16>,
    /// What came back, for people.
    message: String,
    /// Where it went.
    webhook_url: String,
    /// What was sent; secret values are masked.
    request_headers: BTreeMap<String, String>,
    /// The head of the answer.
    response_headers: BTreeMap<String, String>,
    /// The start of the answer's body, up to 16 KiB.
    response_body: String,
    /// How the body is shown: `utf8` or `base64`.
    response_body_encoding: String,
    /// The address and port it went to.
    #[schema(required)]
    remote_address: Option<String>,
    /// Where the time went.
    timings: Timings,
    /// The replay that it was made for.
    #[schema(required)]
    replay_id: Option<Uuid>,
}

/// In milliseconds.
#[derive(ToSchema)]
struct Timings {
    /// Resolving the name.
    #[schema(required)]
    dns_ms: Option<f64>,
    /// TCP and TLS; null on a connection that was used again.
    #[schema(required)]
    connect_ms: Option<f64>,
    /// From the start to the head of the answer.
    #[schema(required)]
    first_byte_ms: Option<f64>,
    /// From the start to the end.
    total_ms: f64,
}
