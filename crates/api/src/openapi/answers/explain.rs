//! Why an event did or did not go to a webhook.

use utoipa::ToSchema;
use uuid::Uuid;

use super::deliveries::Delivery;

/// What speaks for and against a delivery.
#[derive(ToSchema)]
#[schema(example = json!({
    "event_id": "01a1fe8e-0840-7102-969b-35cac5c78673", "webhook_id": "01a1fe8d-ffa0-71c1-8e56-6f0a3c5e7712",
    "verdict": "not_sent",
    "explanation": "No delivery was made: the filter turns it away at `client.approval_status`.",
    "checks": [{
        "check": "filters", "passed": false, "detail": "the filter turns it away at `client.approval_status`"
    }],
    "delivery": null
}))]
pub(in super::super) struct Explanation {
    /// The event.
    event_id: Uuid,
    /// The webhook.
    webhook_id: Uuid,
    /// The delivery's status; `not_sent` if there is none.
    verdict: String,
    /// The answer in a sentence.
    explanation: String,
    /// What was checked, in the order in which it decides.
    checks: Vec<Check>,
    /// The delivery with its attempts.
    #[schema(required)]
    delivery: Option<Delivery>,
}

/// One thing that had to be so.
#[derive(ToSchema)]
struct Check {
    /// What was checked: `created`, `not_deleted`, `event_type`, `active`, `profile_condition` or `filters`.
    check: String,
    /// Whether it was so; null if that can no longer be told.
    #[schema(required)]
    passed: Option<bool>,
    /// What was found.
    detail: String,
}
