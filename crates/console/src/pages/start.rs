//! Where one begins: is everything well?

use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::fault::Fault;
use crate::layout::{self, Shown};
use crate::model::{Deliveries, Tenants, Webhook, Webhooks};
use crate::show::{deliveries, maybe_time, share};
use crate::visit::Visit;

/// The tenant's own page, or a choice of tenants.
pub(crate) async fn page(visit: Visit) -> Result<Response, Fault> {
    if let Some(own) = &visit.session.tenant_id {
        return Ok(Redirect::to(&format!("/t/{own}")).into_response());
    }
    let tenants: Tenants = visit.get("/api/v1/tenants?limit=250").await?;
    if let [only] = tenants.tenants.as_slice() {
        return Ok(Redirect::to(&format!("/t/{}", only.id)).into_response());
    }
    let content = html! {
        h1 { "Tenants" }
        ul.cards { @for tenant in &tenants.tenants { li { a href={ "/t/" (tenant.id) } { (tenant.name) } } } }
    };
    Ok(layout::page(&visit, "Overview", &content).into_response())
}

/// A tenant's endpoints, those that fail first, and what was not delivered lately.
pub(crate) async fn tenant(visit: Visit) -> Result<Markup, Fault> {
    let mut found: Webhooks = visit.get("/api/v1/webhooks").await?;
    let undelivered: Deliveries = visit.get("/api/v1/deliveries?status=undelivered&limit=10").await?;
    let total: i64 = found.webhooks.iter().map(|webhook| webhook.stats.total_deliveries).sum();
    let successful: i64 = found.webhooks.iter().map(|webhook| webhook.stats.successful_deliveries).sum();
    let active = found.webhooks.iter().filter(|webhook| webhook.is_active).count();
    found.webhooks.sort_by(|a, b| failing(b).total_cmp(&failing(a)));
    found.webhooks.truncate(10);
    let content = html! {
        h1 { "Overview" }
        dl.figures {
            div { dt { "Active webhooks" } dd { (active) } }
            div { dt { "Ended deliveries" } dd { (total) } }
            div { dt { "Delivered" } dd { (share(successful, total)) } }
        }
        section {
            h2 { "Endpoints, failing ones first" }
            @if found.webhooks.is_empty() {
                p.empty { "There are none yet." }
                @if visit.session.may_change() { p { a.button href=(visit.link("/webhooks/new")) { "Add a webhook" } } }
            } @else { (endpoints(&visit, &found.webhooks)) }
        }
        section {
            h2 { "Undelivered" }
            (deliveries(&visit, &undelivered.deliveries))
            @if undelivered.next_cursor.is_some() {
                p.more { a href=(visit.link("/deliveries?status=undelivered")) { "All undelivered" } }
            }
        }
    };
    Ok(layout::live(&visit, "Overview", Shown::Deliveries, &content))
}

/// The share that failed.
#[expect(clippy::cast_precision_loss, reason = "to sort by")]
fn failing(webhook: &Webhook) -> f64 {
    webhook.stats.failed_deliveries as f64 / webhook.stats.total_deliveries.max(1) as f64
}

/// Webhooks as a table.
pub(crate) fn endpoints(visit: &Visit, webhooks: &[Webhook]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "Endpoint" } th { "Event type" } th { "State" } th.number { "Delivered" } th.number { "Failed" } th { "Last attempt" } } }
            tbody { @for webhook in webhooks { tr {
                td.url { a href=(visit.link(&format!("/webhooks/{}", webhook.id))) { (webhook.webhook_url) } @if !webhook.description.is_empty() { br; span.hint { (webhook.description) } } }
                td { (webhook.event_type) }
                td { @if webhook.is_active { span.badge.delivered { "active" } } @else { span.badge.discarded { "inactive" } } }
                td.number { (share(webhook.stats.successful_deliveries, webhook.stats.total_deliveries)) }
                td.number { (webhook.stats.failed_deliveries) }
                td { (maybe_time(webhook.last_triggered_at.as_deref())) }
            } } }
        } }
    }
}
