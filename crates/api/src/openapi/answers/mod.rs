//! What clients get: a file for each group of calls, and here what all of them use.
#![expect(dead_code, reason = "described here, written elsewhere")]

pub(super) mod callbacks;
pub(super) mod deliveries;
pub(super) mod event_types;
pub(super) mod events;
pub(super) mod explain;
pub(super) mod people;
pub(super) mod profiles;
pub(super) mod replays;
pub(super) mod stats;
pub(super) mod tenants;
pub(super) mod webhooks;

use utoipa::ToSchema;

/// What was done.
#[derive(ToSchema)]
#[schema(example = json!({"message": "Webhook deleted successfully"}))]
pub(super) struct Message {
    /// For people.
    message: String,
}

/// All is well.
#[derive(ToSchema)]
#[schema(example = json!({"status": "ok"}))]
pub(super) struct Health {
    /// For people.
    status: String,
}
