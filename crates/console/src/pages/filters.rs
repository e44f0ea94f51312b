//! A filter, tried on the newest events before it is set.

use axum::http::Method;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Serialize;
use serde_json::value::RawValue;

use super::webhooks::read_json;
use crate::fault::{Fault, Told};
use crate::form::Form;
use crate::layout::{self, token};
use crate::model::Trials;
use crate::show::{time, wrong};
use crate::visit::Visit;

#[derive(Serialize)]
struct Trial {
    filters: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
}

/// Which of the newest events pass.
pub(crate) async fn page(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let filters = read_json(&sent.text("filters")).or_else(|| read_json("{}"));
    let trial = Trial { filters, event_type: sent.given("event_type") };
    match visit.change::<Trials>(&sent, Method::POST, "/api/v1/filters/test", &trial).await {
        Ok(tried) => Ok(show(&visit, &sent, Some(&tried), None).into_response()),
        Err(fault) => {
            let told = fault.correctable()?;
            Ok(told.on(show(&visit, &sent, None, Some(&told))))
        }
    }
}

fn show(visit: &Visit, sent: &Form, tried: Option<&Trials>, told: Option<&Told>) -> Markup {
    let content = html! {
        h1 { "Try a filter" }
        (wrong(told))
        form.stack method="post" action=(visit.link("/filters")) { (token(visit))
            label { "Event type" input name="event_type" value=(sent.text("event_type")) autocapitalize="none"; }
            label { "Filters" textarea name="filters" rows="6" spellcheck="false" { (sent.text("filters")) } }
            button type="submit" { "Try it on the newest events" }
        }
        @if let Some(tried) = tried { section { h2 { "The newest events" } (results(visit, tried)) } }
    };
    layout::page(visit, "Webhooks", &content)
}

fn results(visit: &Visit, tried: &Trials) -> Markup {
    html! {
        @if tried.results.is_empty() { p.empty { "There are none of this type." } } @else {
            div.scroll { table {
                thead { tr { th { "Passes" } th { "Event type" } th { "Published" } th { "Turned away at" } th { "" } } }
                tbody { @for trial in &tried.results { tr {
                    td { @match trial.passes {
                        Some(true) => span.badge.delivered { "yes" },
                        Some(false) => span.badge.failed { "no" },
                        None => span.badge { "not kept" },
                    } }
                    td { (trial.event_type) } td { (time(&trial.created_at)) }
                    td { @if let Some(place) = &trial.failing_place { code { (place) } } }
                    td { a href=(visit.link(&format!("/events/{}", trial.event_id))) { "Event" span.hidden { " " (trial.event_id) } } }
                } } }
            } }
        }
    }
}
