//! `/api/v1/filters/test/`.

use axum::extract::State;
use axum::response::Response;
use postrider_core::cursor::Page;
use postrider_core::event_type;
use postrider_core::filter::Filter;
use postrider_core::json::Value;
use postrider_core::{EventId, Timestamp};
use postrider_store::EventFilter;
use serde::Serialize;
use serde_json::json;

use super::events::known_type;
use super::webhooks::read_filters;
use crate::auth::Manage;
use crate::body::JsonBody;
use crate::fields::Fields;
use crate::json;
use crate::problem::Problem;
use crate::state::Api;

/// Events that a filter is tried on.
const TRIED: u32 = 20;

/// Whether an event passes.
#[derive(Serialize)]
struct TrialJson {
    event_id: EventId,
    event_type: String,
    created_at: Timestamp,
    /// Null if its payload is no longer kept.
    passes: Option<bool>,
    failing_place: Option<String>,
}

/// Tries a filter on the newest events.
pub(crate) async fn test(
    State(api): State<Api>,
    Manage(caller): Manage,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let catalogue = api.catalogue.newest_snapshot(caller.tenant_id).await?.ok_or_else(Problem::not_found)?;
    let mut fields = Fields::parse(&body)?;
    let filters = fields.required("filters", read_filters);
    let event_type = fields.optional("event_type", |raw| known_type(raw, &catalogue));
    let filters = filters.take(&fields.finish()?);
    let event_type = event_type.map(|name| name.to_string()).filter(|name| name != event_type::ALL);
    let newest = EventFilter { event_type, ..EventFilter::default() };
    let found = api.journal.events(caller.tenant_id, &newest, Page { before: None, limit: TRIED }).await?;
    let mut results = Vec::with_capacity(found.items.len());
    for event in found.items {
        let payload = api.journal.event(caller.tenant_id, event.id).await?.and_then(|event| event.payload);
        let failing_place = payload.as_deref().map(|payload| judge(&filters, payload));
        results.push(TrialJson {
            event_id: event.id,
            event_type: event.event_type,
            created_at: event.created_at,
            passes: failing_place.as_ref().map(Option::is_none),
            failing_place: failing_place.flatten(),
        });
    }
    Ok(json::ok(&json!({"results": results})))
}

/// Where the payload does not pass.
fn judge(filters: &Filter, payload: &str) -> Option<String> {
    let payload = Value::parse(payload).ok()?;
    filters.failing_place(&payload)
}
