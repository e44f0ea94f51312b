//! Events.

use super::super::answers::events::{Event, EventList, Receipt, Receipts, Replayed};
use super::super::answers::explain::Explanation;
use super::super::bodies::{NewEvent, NewEvents, Replay};
use super::super::errors::Problems;
use super::{Id, Page, Which};

/// Publish an event
///
/// Needs the scope `publish`. Answered when the event and all its deliveries are on disk.
#[utoipa::path(post, path = "/api/v1/events/", tag = "Events", request_body = NewEvent,
    params(("Idempotency-Key" = Option<String>, Header, description = "In place of `idempotency_key`: printable ASCII",
        min_length = 1, max_length = 255)),
    responses(
        (status = 202, description = "It is durable", body = Receipt),
        (status = 200, description = "It was published before, with the same key", body = Receipt),
        Problems
    ))]
pub(in super::super) fn publish_event() {}

/// Publish many events
///
/// Needs the scope `publish`. Each stands for itself; answers are in order.
#[utoipa::path(post, path = "/api/v1/events/batch/", tag = "Events", request_body = NewEvents,
    responses((status = 202, description = "What became of each", body = Receipts), Problems))]
pub(in super::super) fn publish_events() {}

/// List events
///
/// Needs the scope `read`.
#[utoipa::path(get, path = "/api/v1/events/", tag = "Events",
    params(Which, ("resource_id" = Option<String>, Query, description = "Only about this"), Page),
    responses((status = 200, description = "Newest first", body = EventList), Problems))]
pub(in super::super) fn list_events() {}

/// Get an event
///
/// Needs the scope `read`. With its deliveries and each of their attempts.
#[utoipa::path(get, path = "/api/v1/events/{id}/", tag = "Events", params(Id),
    responses((status = 200, description = "What became of it", body = Event), Problems))]
pub(in super::super) fn get_event() {}

/// Explain an event
///
/// Needs the scope `read`. Why the event did or did not go to a webhook.
#[utoipa::path(get, path = "/api/v1/events/{id}/explain/", tag = "Events",
    params(Id, ("webhook_id" = uuid::Uuid, Query, description = "The webhook; also one that was deleted")),
    responses((status = 200, description = "What speaks for and against it", body = Explanation), Problems))]
pub(in super::super) fn explain_event() {}

/// Replay an event
///
/// Needs the scope `manage`. Opens its ended deliveries again; or the one to a subscription, which is made if there was
/// none.
#[utoipa::path(post, path = "/api/v1/events/{id}/replay/", tag = "Events", params(Id), request_body = Replay,
    responses((status = 202, description = "They are pending again", body = Replayed), Problems))]
pub(in super::super) fn replay_event() {}
