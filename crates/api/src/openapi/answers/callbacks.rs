//! Callbacks.

use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::webhooks::Stats;

/// A new callback.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "resource_id": "ver-1",
    "webhook_url": "https://your-app.com/webhooks/anycheck", "profile": "anycheck",
    "created_at": "2026-01-19T10:30:00.123456+00:00"
}))]
pub(in super::super) struct CallbackCreated {
    /// Its id.
    id: Uuid,
    /// What it is about.
    resource_id: String,
    /// Where to.
    webhook_url: String,
    /// The wire format.
    profile: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// A callback.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "resource_id": "ver-1",
    "webhook_url": "https://your-app.com/webhooks/anycheck", "profile": "anycheck",
    "created_at": "2026-01-19T10:30:00.123456+00:00", "metadata": {"order_id": "order-456"}, "event_types": null,
    "stats": {"total_deliveries": 1, "successful_deliveries": 1, "failed_deliveries": 0},
    "last_triggered_at": "2026-01-19T10:35:00.123456+00:00"
}))]
pub(in super::super) struct Callback {
    /// Its id.
    id: Uuid,
    /// What it is about.
    resource_id: String,
    /// Where to.
    webhook_url: String,
    /// The wire format.
    profile: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// Sent with each event, where the format has a place for it.
    #[schema(value_type = Option<Object>, required)]
    metadata: Option<Value>,
    /// The only types it receives; all if null.
    #[schema(required)]
    event_types: Option<Vec<String>>,
    /// How its deliveries ended.
    stats: Stats,
    /// The last attempt.
    #[schema(format = DateTime, required)]
    last_triggered_at: Option<String>,
}

/// Callbacks.
#[derive(ToSchema)]
#[schema(example = json!({"callbacks": [{
    "id": "01a1fe8e-0840-7102-969b-35cac5c78673", "resource_id": "ver-1",
    "webhook_url": "https://your-app.com/webhooks/anycheck", "profile": "anycheck",
    "created_at": "2026-01-19T10:30:00.123456+00:00", "metadata": {"order_id": "order-456"}, "event_types": null,
    "stats": {"total_deliveries": 1, "successful_deliveries": 1, "failed_deliveries": 0},
    "last_triggered_at": "2026-01-19T10:35:00.123456+00:00"
}], "next_cursor": null}))]
pub(in super::super) struct CallbackList {
    /// Newest first.
    callbacks: Vec<Callback>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What signs a tenant's callbacks and one-off events in one format.
#[derive(ToSchema)]
#[schema(example = json!({
    "profile": "anycheck", "secret_key": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "previous_valid_until": null
}))]
pub(in super::super) struct CallbackSecret {
    /// The wire format.
    profile: String,
    /// Signs from now on. Shown in this answer and never again.
    secret_key: String,
    /// Until then the former signs too, where the format has room for both; null if there was none.
    #[schema(format = DateTime, required)]
    previous_valid_until: Option<String>,
}
