//! The catalogue.

use utoipa::IntoParams;

use super::super::answers::Message;
use super::super::answers::event_types::{EventType, EventTypeList};
use super::super::bodies::{EventTypeChange, NewEventType};
use super::super::errors::Problems;
use super::Page;

/// Which type.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct Name {
    /// Its name.
    name: String,
}

/// List event types
///
/// Needs the scope `read`. All of them, unless a limit is given.
#[utoipa::path(get, path = "/api/v1/event-types/", tag = "Event types",
    params(
        ("search" = Option<String>, Query, description = "Only those whose name, group and description hold each word"),
        ("profile" = Option<String>, Query, description = "Only those of this wire format's document"),
        Page
    ),
    responses((status = 200, description = "Group by group", body = EventTypeList), Problems))]
pub(in super::super) fn list_event_types() {}

/// Create an event type
///
/// Needs the scope `manage`.
#[utoipa::path(post, path = "/api/v1/event-types/", tag = "Event types", request_body = NewEventType,
    responses((status = 201, description = "It can be subscribed and published", body = EventType), Problems))]
pub(in super::super) fn create_event_type() {}

/// Change an event type
///
/// Needs the scope `manage`. Only the tenant's own.
#[utoipa::path(patch, path = "/api/v1/event-types/{name}/", tag = "Event types", params(Name),
    request_body = EventTypeChange,
    responses((status = 200, description = "It is changed", body = EventType), Problems))]
pub(in super::super) fn update_event_type() {}

/// Delete an event type
///
/// Needs the scope `manage`. Only the tenant's own, and only if nobody subscribes to it.
#[utoipa::path(delete, path = "/api/v1/event-types/{name}/", tag = "Event types", params(Name),
    responses((status = 200, description = "It is gone", body = Message), Problems))]
pub(in super::super) fn delete_event_type() {}
