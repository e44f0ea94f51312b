//! One delivery: what exactly happened, and what to do now.

use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::fault::{Fault, Told};
use crate::form::{Form, lead_on};
use crate::layout::{self, Shown, token};
use crate::model::{Attempt, Delivery, DeliveryRequest};
use crate::show::{copyable, headers, millis, reason, status, time, wrong};
use crate::visit::Visit;

/// All of it.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    show(&visit, None).await
}

async fn show(visit: &Visit, told: Option<&Told>) -> Result<Markup, Fault> {
    let delivery: Delivery = visit.get(&format!("/api/v1/deliveries/{}", visit.id())).await?;
    let request: DeliveryRequest = visit.get(&format!("/api/v1/deliveries/{}/request", visit.id())).await?;
    let may_retry = visit.session.may_change() && delivery.status != "pending";
    let content = html! {
        h1 { (delivery.event_type) " " (status(&delivery.status)) }
        p.url { "to " (delivery.webhook_url) }
        p { (reason(&delivery)) }
        (wrong(told))
        @if may_retry {
            form.actions method="post" action=(visit.link(&format!("/deliveries/{}/retry", delivery.id))) {
                (token(visit)) button type="submit" { "Try again now" }
            }
        }
        section { h2 { "Attempts" }
            @if delivery.attempts.is_empty() { p.empty { "There was none." } }
            ol.timeline { @for attempt in delivery.attempts.iter().rev() { li { (attempt_shown(visit, attempt)) } } }
        }
        (sent(&request))
        section { h2 { "Facts" }
            dl.facts {
                dt { "Id" } dd { (copyable(&delivery.id, "the id")) }
                dt { "Event" } dd { a href=(visit.link(&format!("/events/{}", delivery.event_id))) { (delivery.event_id) } }
                @if let Some(webhook) = &delivery.webhook_id { dt { "Webhook" } dd { a href=(visit.link(&format!("/webhooks/{webhook}"))) { (webhook) } } }
                dt { "Wire format" } dd { (delivery.profile) }
                dt { "Created" } dd { (time(&delivery.created_at)) }
            }
        }
    };
    Ok(layout::live(visit, "Deliveries", Shown::Event(&delivery.event_id), &content))
}

/// The request as it was sent last, and how to repeat it.
fn sent(request: &DeliveryRequest) -> Markup {
    html! {
        section { h2 { "The request" }
            p.url { "POST " (request.url) }
            (headers(&request.headers))
            @match &request.body {
                Some(body) => {
                    h3 { "Body, as it is sent" } pre tabindex="0" { code { (body) } }
                    @if let Some(signed) = &request.signed_content { details { summary { "The bytes that are signed" } pre tabindex="0" { code { (signed) } } } }
                    @if let Some(curl) = &request.curl { details { summary { "As a command" }
                        p.hint { "Masked values are yours to fill in; receivers refuse a signature that is older than some minutes." }
                        pre tabindex="0" { code { (curl) } }
                        button.copy type="button" data-copy=(curl) aria-label="Copy the command" hidden { "Copy" }
                    } }
                }
                None => p.empty { "Its body is hidden from you, or no longer kept." }
            }
        }
    }
}

fn attempt_shown(visit: &Visit, attempt: &Attempt) -> Markup {
    let outcome = if attempt.outcome == "success" { "delivered" } else { "failed" };
    html! {
        p { span class={ "badge " (outcome) } { (attempt.http_status_code.map_or_else(|| attempt.outcome.clone(), |code| code.to_string())) }
            " " strong { (attempt.message) } }
        p.hint { "Attempt " (attempt.number) " · " (time(&attempt.started_at)) " · " (millis(attempt.duration_ms))
            (timings(attempt))
            @if let Some(address) = &attempt.remote_address { " · " (address) }
            @if let Some(id) = &attempt.replay_id { " · " a href=(visit.link(&format!("/replays/{id}"))) { "replayed" } } }
        details { summary { "Request and response" }
            h3 { "Request" } p.url { "POST " (attempt.webhook_url) } (headers(&attempt.request_headers))
            h3 { "Response" } (headers(&attempt.response_headers))
            @if attempt.response_body.is_empty() { p.empty { "No body." } } @else {
                @if attempt.response_body_encoding != "utf8" { p.hint { "Base64 of a body that is no text:" } }
                pre tabindex="0" { code { (attempt.response_body) } }
            }
        }
    }
}

fn timings(attempt: &Attempt) -> Markup {
    let parts = [
        ("DNS", attempt.timings.dns_ms),
        ("connect", attempt.timings.connect_ms),
        ("first byte", attempt.timings.first_byte_ms),
    ];
    html! { @for (name, time) in parts { @if let Some(time) = time { " · " (name) " " (millis(time)) } } }
}

/// Tries again.
pub(crate) async fn retry(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let path = format!("/api/v1/deliveries/{}/retry", visit.id());
    let done = visit.change::<Value>(&sent, Method::POST, &path, &json!({})).await;
    let here = visit.link(&format!("/deliveries/{}", visit.id()));
    lead_on(done, &here, async |told| show(&visit, Some(told)).await).await
}
