//! Who changed, sent again or looked at what.

use maud::{Markup, html};

use crate::fault::Fault;
use crate::layout;
use crate::model::Audit;
use crate::show::{more, time};
use crate::visit::Visit;

/// What can be searched for.
const FILTERS: [(&str, &str); 4] =
    [("action", "Action"), ("object_id", "Object"), ("since", "Since"), ("until", "Until")];

/// The list.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    let names = FILTERS.map(|(name, _)| name);
    let query = visit.query(&[names.as_slice(), &["cursor"]].concat(), &[("limit", "100")]);
    let found: Audit = visit.get(&format!("/api/v1/audit?{query}")).await?;
    let path = visit.link("/audit");
    let content = html! {
        h1 { "Audit log" }
        form.search method="get" action=(path) role="search" {
            @for (name, label) in FILTERS { label { (label) input name=(name) value=(visit.parameter(name).unwrap_or_default()) autocapitalize="none"; } }
            button type="submit" { "Search" }
        }
        @if found.audit.is_empty() { p.empty { "There is nothing." } } @else {
            div.scroll { table {
                thead { tr { th { "When" } th { "Who" } th { "What" } th { "To what" } th { "From where" } } }
                tbody { @for entry in &found.audit { tr {
                    td { (time(&entry.at)) }
                    td { (entry.actor_name.as_deref().unwrap_or_default()) " " span.hint { (entry.actor.replace('_', " ")) } }
                    td { (entry.action) }
                    td { code { (entry.object_id.as_deref().unwrap_or_default()) } }
                    td { (entry.remote_address.as_deref().unwrap_or_default()) }
                } } }
            } }
            (more(&path, &visit.query(&names, &[]), found.next_cursor.as_deref()))
        }
    };
    Ok(layout::page(&visit, "Audit log", &content))
}
