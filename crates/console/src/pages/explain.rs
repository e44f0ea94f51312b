//! Why an event did, or did not, go to a webhook.

use maud::{Markup, html};

use crate::fault::Fault;
use crate::layout;
use crate::model::{Explanation, Webhooks};
use crate::show::{deliveries, status};
use crate::visit::{Visit, segment};

/// What speaks for it and against it.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    let Some(webhook) = visit.parameter("webhook_id") else { return question(&visit).await };
    let webhook = segment(&webhook);
    let explained: Explanation =
        visit.get(&format!("/api/v1/events/{}/explain?webhook_id={webhook}", visit.id())).await?;
    let content = html! {
        h1 { "Why? " (status(&explained.verdict)) }
        p { (explained.explanation) }
        ul.checks { @for check in &explained.checks { li {
            @match check.passed { Some(true) => span.badge.delivered { "yes" }, Some(false) => span.badge.failed { "no" }, None => span.badge { "unknown" } }
            " " (check.detail)
        } } }
        @if let Some(delivery) = &explained.delivery { section { h2 { "The delivery" } (deliveries(&visit, std::slice::from_ref(delivery))) } }
        p { a href=(visit.link(&format!("/events/{}", explained.event_id))) { "To the event" } " · "
            a href=(visit.link(&format!("/webhooks/{}", explained.webhook_id))) { "To the webhook" } }
    };
    Ok(layout::page(&visit, "Events", &content))
}

/// A choice of webhooks to ask about.
async fn question(visit: &Visit) -> Result<Markup, Fault> {
    let found: Webhooks = visit.get("/api/v1/webhooks").await?;
    let content = html! {
        h1 { "Why did it go to a webhook, or not?" }
        @if found.webhooks.is_empty() { p.empty { "There are no webhooks." } } @else {
            form.search method="get" action=(visit.link(&format!("/events/{}/explain", visit.id()))) {
                label { "Webhook"
                    select name="webhook_id" { @for webhook in &found.webhooks { option value=(webhook.id) { (webhook.event_type) " → " (webhook.webhook_url) } } }
                }
                button type="submit" { "Explain" }
            }
        }
        p { a href=(visit.link(&format!("/events/{}", visit.id()))) { "To the event" } }
    };
    Ok(layout::page(visit, "Events", &content))
}
