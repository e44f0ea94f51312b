//! All deliveries of a tenant, to be searched.

use maud::{Markup, html};

use super::events::statuses;
use crate::fault::Fault;
use crate::layout::{self, Shown};
use crate::model::Deliveries;
use crate::show::{deliveries, more, none_so_far};
use crate::visit::Visit;

/// What can be searched for.
const FILTERS: [&str; 6] = ["status", "event_type", "webhook_id", "event_id", "since", "until"];

/// The list.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    let query = visit.query(&[FILTERS.as_slice(), &["cursor"]].concat(), &[("limit", "50")]);
    let found: Deliveries = visit.get(&format!("/api/v1/deliveries?{query}")).await?;
    let path = visit.link("/deliveries");
    let fields = [
        ("event_type", "Type"),
        ("webhook_id", "Webhook"),
        ("event_id", "Event"),
        ("since", "Since"),
        ("until", "Until"),
    ];
    let content = html! {
        h1 { "Deliveries" }
        form.search method="get" action=(path) role="search" {
            (statuses(&visit))
            @for (name, label) in fields {
                label { (label) input name=(name) value=(visit.parameter(name).unwrap_or_default()) autocapitalize="none"; }
            }
            button type="submit" { "Search" }
        }
        @if found.deliveries.is_empty() && found.next_cursor.is_some() { (none_so_far()) } @else { (deliveries(&visit, &found.deliveries)) }
        (more(&path, &visit.query(&FILTERS, &[]), found.next_cursor.as_deref()))
    };
    Ok(layout::live(&visit, "Deliveries", Shown::Deliveries, &content))
}
