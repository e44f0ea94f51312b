//! The catalogue.

use utoipa::ToSchema;

/// An event type.
#[derive(ToSchema)]
#[schema(example = json!({
    "name": "screening.completed", "group": "AML Screening Events",
    "description": "AML screening check finished successfully", "profile": "standard", "custom": false
}))]
pub(in super::super) struct EventType {
    /// Its name.
    name: String,
    /// The group it is listed in.
    group: String,
    /// What it means.
    description: String,
    /// The wire format whose document names it; not of the tenant's own.
    #[schema(nullable = false)]
    profile: Option<String>,
    /// Whether it is the tenant's own.
    custom: bool,
}

/// The catalogue.
#[derive(ToSchema)]
#[schema(example = json!({"event_types": [{
    "name": "screening.completed", "group": "AML Screening Events",
    "description": "AML screening check finished successfully", "profile": "standard", "custom": false
}], "next_cursor": null}))]
pub(in super::super) struct EventTypeList {
    /// Group by group.
    event_types: Vec<EventType>,
    /// Asks for the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}
