//! The calls: a file for each group. Nothing here runs; the macros read it.
#![expect(dead_code, reason = "the macros read it")]

pub(super) mod callbacks;
pub(super) mod deliveries;
pub(super) mod event_types;
pub(super) mod events;
pub(super) mod operations;
pub(super) mod people;
pub(super) mod profiles;
pub(super) mod replays;
pub(super) mod stats;
pub(super) mod tenants;
pub(super) mod webhooks;

use utoipa::IntoParams;
use uuid::Uuid;

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Most items.
    #[param(minimum = 1, maximum = 250, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of an earlier answer.
    cursor: Option<String>,
}

/// What is listed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only this type.
    event_type: Option<String>,
    /// Only what went to this subscription.
    webhook_id: Option<Uuid>,
    /// Only what went to this callback.
    callback_id: Option<Uuid>,
    /// Only with a delivery in this status; `undelivered` is all but `delivered`.
    #[param(pattern = "^(pending|delivered|failed|discarded|undelivered)$")]
    status: Option<String>,
    /// Only from then on.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Only before then.
    #[param(format = DateTime)]
    until: Option<String>,
}

/// What is meant.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct Id {
    /// Its id.
    id: Uuid,
}
