//! What clients get.
#![expect(dead_code, reason = "described here, written elsewhere")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::bodies::ScopeName;

/// What was done.
#[derive(ToSchema)]
#[schema(example = json!({"message": "Webhook deleted successfully"}))]
pub(super) struct Message {
    /// For people.
    message: String,
}

/// A new subscription.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "event_type": "screening.completed",
    "webhook_url": "https://api.yourcompany.com/webhooks/screening",
    "secret_key": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "message": "Webhook created successfully"
}))]
pub(super) struct WebhookCreated {
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
    "last_triggered_at": null, "profile": "standard", "retry_schedule": [5, 25, 125], "timeout_seconds": 15,
    "headers": {"X-Team": "********"}
}))]
pub(super) struct Webhook {
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
struct Stats {
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
    "last_triggered_at": null, "profile": "standard", "retry_schedule": [5, 25, 125], "timeout_seconds": 15,
    "headers": {"X-Team": "********"}
}]}))]
pub(super) struct WebhookList {
    /// Newest first.
    webhooks: Vec<Webhook>,
    /// Asks for the next page; null at the end. Only if a page was asked for.
    next_cursor: Option<String>,
}

/// A changed subscription.
#[derive(ToSchema)]
#[schema(example = json!({"id": "01a1fe8e-0840-7102-969b-35cac5c78673", "message": "Webhook updated successfully"}))]
pub(super) struct WebhookUpdated {
    /// Its id.
    id: Uuid,
    /// For people.
    message: String,
}

/// A new secret.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "secret_key": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "previous_valid_until": "2026-01-20T10:30:00.123456+00:00"
}))]
pub(super) struct SecretRotated {
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
pub(super) struct TestResult {
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

/// An accepted event: it and its deliveries are durable.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "event_type": "screening.completed",
    "created_at": "2026-01-19T10:30:00.123456+00:00", "deliveries": 2, "duplicate": false
}))]
pub(super) struct Receipt {
    /// Its id, the `webhook-id` of its deliveries.
    id: Uuid,
    /// Its type.
    event_type: String,
    /// When it was accepted.
    #[schema(format = DateTime)]
    created_at: String,
    /// How many subscriptions get it.
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
pub(super) struct Receipts {
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
        #[schema(value_type = super::errors::ProblemBody)]
        error: Value,
    },
}

/// An event.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "event_type": "screening.completed", "resource_id": "scr-1",
    "idempotency_key": "scr-1-completed", "created_at": "2026-01-19T10:30:00.123456+00:00", "occurred_at": null,
    "expires_at": null, "metadata": null,
    "delivery_counts": {"pending": 0, "delivered": 1, "failed": 0, "discarded": 0}, "deliveries": []
}))]
pub(super) struct Event {
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
    "expires_at": null, "metadata": null,
    "delivery_counts": {"pending": 0, "delivered": 1, "failed": 0, "discarded": 0}, "deliveries": []
}], "next_cursor": null}))]
pub(super) struct EventList {
    /// Newest first.
    events: Vec<Event>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// How many deliveries were opened.
#[derive(ToSchema)]
#[schema(example = json!({"event_id": "01a1fe8e-0840-7102-969b-35cac5c78673", "deliveries": 2}))]
pub(super) struct Replayed {
    /// The event.
    event_id: Uuid,
    /// How many.
    #[schema(minimum = 0)]
    deliveries: i64,
}

/// An event on its way to an endpoint.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0841-7b3a-9d21-1b6f0a3c5e77", "event_id": "01a1fe8e-0840-7102-969b-35cac5c78673",
    "event_type": "screening.completed", "webhook_id": "01a1fe8d-ffa0-71c1-8e56-6f0a3c5e7712", "callback_id": null,
    "webhook_url": "https://api.yourcompany.com/webhooks/screening", "profile": "standard", "status": "delivered",
    "reason": null, "created_at": "2026-01-19T10:30:00.123456+00:00", "next_attempt_at": null
}))]
pub(super) struct Delivery {
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
    /// Where to, as it stands now.
    webhook_url: String,
    /// The wire format.
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
    /// Every try failed, or it expired.
    Failed,
    /// Its subscription was deactivated or deleted.
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
pub(super) struct DeliveryList {
    /// Newest first.
    deliveries: Vec<Delivery>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
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
    "timings": {"dns_ms": 1.2, "connect_ms": 20.4, "first_byte_ms": 41.2, "total_ms": 41.7}
}))]
pub(super) struct Attempt {
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

/// An event type.
#[derive(ToSchema)]
#[schema(example = json!({
    "name": "screening.completed", "group": "AML Screening Events",
    "description": "AML screening check finished successfully", "custom": false
}))]
pub(super) struct EventType {
    /// Its name.
    name: String,
    /// The group it is listed in.
    group: String,
    /// What it means.
    description: String,
    /// Whether it is the tenant's own.
    custom: bool,
}

/// The catalogue.
#[derive(ToSchema)]
#[schema(example = json!({"event_types": [{
    "name": "screening.completed", "group": "AML Screening Events",
    "description": "AML screening check finished successfully", "custom": false
}], "next_cursor": null}))]
pub(super) struct EventTypeList {
    /// Group by group.
    event_types: Vec<EventType>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A tenant.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "name": "acme", "created_at": "2026-01-19T10:30:00.123456+00:00"
}))]
pub(super) struct Tenant {
    /// Its id, for the header `X-Tenant-Id`.
    id: Uuid,
    /// Its name.
    name: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// Tenants.
#[derive(ToSchema)]
#[schema(example = json!({"tenants": [{
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "name": "acme", "created_at": "2026-01-19T10:30:00.123456+00:00"
}], "next_cursor": null}))]
pub(super) struct TenantList {
    /// Newest first.
    tenants: Vec<Tenant>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A key.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "name": "backend", "scopes": ["read", "publish"],
    "key": "prk_ZMf8apy18RbyzWP-ecLKNB5R-ND4iWmbzOsgKunTwzM",
    "created_at": "2026-01-19T10:30:00.123456+00:00", "expires_at": null
}))]
pub(super) struct ApiKey {
    /// Its id.
    id: Uuid,
    /// What people call it.
    name: String,
    /// What it permits.
    scopes: Vec<ScopeName>,
    /// The key itself. Shown when it is made and never again.
    #[schema(nullable = false)]
    key: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends.
    #[schema(format = DateTime, required)]
    expires_at: Option<String>,
}

/// Keys.
#[derive(ToSchema)]
#[schema(example = json!({"api_keys": [{
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "name": "backend", "scopes": ["read", "publish"],
    "created_at": "2026-01-19T10:30:00.123456+00:00", "expires_at": null
}], "next_cursor": null}))]
pub(super) struct ApiKeyList {
    /// Newest first.
    api_keys: Vec<ApiKey>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// All is well.
#[derive(ToSchema)]
#[schema(example = json!({"status": "ok"}))]
pub(super) struct Health {
    /// For people.
    status: String,
}
