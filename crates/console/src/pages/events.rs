//! All events of a tenant, to be searched.

use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::fault::Fault;
use crate::layout::{self, Shown};
use crate::model::{ByStatus, Events};
use crate::show::{more, none_so_far, time};
use crate::visit::{Visit, segment};

/// What can be searched for.
const FILTERS: [&str; 5] = ["event_type", "resource_id", "status", "since", "until"];

/// The list; or the event of an id, if one is searched for.
pub(crate) async fn page(visit: Visit) -> Result<Response, Fault> {
    if let Some(id) = visit.parameter("id") {
        return Ok(Redirect::to(&visit.link(&format!("/events/{}", segment(id.trim())))).into_response());
    }
    let query = visit.query(&[FILTERS.as_slice(), &["webhook_id", "cursor"]].concat(), &[("limit", "50")]);
    let found: Events = visit.get(&format!("/api/v1/events?{query}")).await?;
    let kept = visit.query(&[FILTERS.as_slice(), &["webhook_id"]].concat(), &[]);
    let path = visit.link("/events");
    let content = html! {
        h1 { "Events" }
        (search(&visit, &path))
        @if found.events.is_empty() {
            @if found.next_cursor.is_some() { (none_so_far()) } @else { p.empty { "There are none." } }
        } @else {
            div.scroll { table {
                thead { tr { th { "Event type" } th { "Resource" } th { "Published" } th { "Deliveries" } th { "" } } }
                tbody { @for event in &found.events { tr {
                    td { (event.event_type) }
                    td { (event.resource_id.as_deref().unwrap_or_default()) }
                    td { (time(&event.created_at)) }
                    td { (counts(&event.delivery_counts)) }
                    td { a href={ (path) "/" (event.id) } { "Details" span.hidden { " of " (event.id) } } }
                } } }
            } }
        }
        (more(&path, &kept, found.next_cursor.as_deref()))
    };
    Ok(layout::live(&visit, "Events", Shown::Deliveries, &content).into_response())
}

fn search(visit: &Visit, path: &str) -> Markup {
    html! {
        form.search method="get" action=(path) role="search" {
            @for (name, label) in [("id", "Event id"), ("event_type", "Type"), ("resource_id", "Resource"), ("since", "Since"), ("until", "Until")] {
                label { (label) input name=(name) value=(visit.parameter(name).unwrap_or_default()) autocapitalize="none"; }
            }
            (statuses(visit))
            button type="submit" { "Search" }
        }
    }
}

/// A choice of how deliveries stand.
pub(super) fn statuses(visit: &Visit) -> Markup {
    let chosen = visit.parameter("status").unwrap_or_default();
    html! {
        label { "Status" select name="status" {
            option value="" { "any" }
            @for name in ["undelivered", "pending", "delivered", "failed", "discarded"] { option value=(name) selected[name == chosen] { (name) } }
        } }
    }
}

/// How an event's deliveries stand.
pub(super) fn counts(counts: &ByStatus) -> Markup {
    let all = [
        ("delivered", counts.delivered),
        ("pending", counts.pending),
        ("failed", counts.failed),
        ("discarded", counts.discarded),
    ];
    html! {
        @for (name, count) in all { @if count > 0 { span class={ "badge " (name) } { (count) " " (name) } " " } }
        @if all.iter().all(|(_, count)| *count == 0) { span.hint { "nobody subscribed" } }
    }
}
