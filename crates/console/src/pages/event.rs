//! One event, with all its deliveries.

use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::events::counts;
use crate::fault::{Fault, Told};
use crate::form::{Form, lead_on};
use crate::layout::{self, Shown, token};
use crate::model::Event;
use crate::show::{copyable, deliveries, json as show_json, time, wrong};
use crate::visit::Visit;

/// All of it.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    show(&visit, None).await
}

async fn show(visit: &Visit, told: Option<&Told>) -> Result<Markup, Fault> {
    let event: Event = visit.get(&format!("/api/v1/events/{}", visit.id())).await?;
    let content = html! {
        h1 { (event.event_type) }
        p { "Published " (time(&event.created_at)) " · " (counts(&event.delivery_counts)) }
        (wrong(told))
        @if visit.session.may_change() {
            form.actions method="post" action=(visit.link(&format!("/events/{}/replay", event.id))) {
                (token(visit))
                button type="submit" data-confirm="Each receiver gets it again. Go on?" { "Send it again to all" }
            }
        }
        section { h2 { "Deliveries" } (deliveries(visit, &event.deliveries))
            p.more { a href=(visit.link(&format!("/events/{}/explain", event.id))) { "Why did it go to a webhook, or not?" } } }
        section { h2 { "Payload" } @match &event.payload { Some(payload) if payload.get() != "null" => (show_json(payload.get())), _ => p.empty { "It is kept no longer." } } }
        section { h2 { "Facts" }
            dl.facts {
                dt { "Id" } dd { (copyable(&event.id, "the id")) }
                @if let Some(resource) = &event.resource_id { dt { "Resource" } dd { (copyable(resource, "the resource")) } }
            }
        }
    };
    Ok(layout::live(visit, "Events", Shown::Event(&event.id), &content))
}

/// Sends it again.
pub(crate) async fn replay(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let path = format!("/api/v1/events/{}/replay", visit.id());
    let done = visit.change::<Value>(&sent, Method::POST, &path, &json!({})).await;
    let here = visit.link(&format!("/events/{}", visit.id()));
    lead_on(done, &here, async |told| show(&visit, Some(told)).await).await
}
