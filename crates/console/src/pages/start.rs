//! Where one begins: is everything well?

use std::cmp::Ordering;

use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::statistics::{Range, charts, figures};
use crate::fault::Fault;
use crate::layout::{self, Shown};
use crate::model::{Deliveries, Failing, Statistics, Tenant, Tenants, Webhook, Webhooks};
use crate::show::{deliveries, maybe_time, share, time};
use crate::visit::Visit;

/// To the tenant's own page, to the only tenant's, or to that of the installation.
pub(crate) async fn page(visit: Visit) -> Result<Response, Fault> {
    if let Some(own) = &visit.session.tenant_id {
        return Ok(Redirect::to(&format!("/t/{own}")).into_response());
    }
    let tenants: Tenants = visit.get("/api/v1/tenants?limit=2").await?;
    let to = match tenants.tenants.as_slice() {
        [only] => format!("/t/{}", only.id),
        _ => "/installation".to_owned(),
    };
    Ok(Redirect::to(&to).into_response())
}

/// All tenants together, for the operator.
pub(crate) async fn installation(visit: Visit) -> Result<Markup, Fault> {
    let tenants: Tenants = visit.get("/api/v1/tenants?limit=250").await?;
    let range = Range::of(&visit);
    let stats = range.ask(&visit, "/api/v1/stats/all", None).await?;
    let content = html! {
        h1 { "Installation" }
        (figures(&stats))
        (charts(&stats, &range, "/installation"))
        section { h2 { "Tenants, those with failing webhooks first" } (tenant_list(&tenants, &stats)) }
        @if !stats.nodes.is_empty() {
            section { h2 { "Nodes" }
                ul.cards { @for node in &stats.nodes { li { "Node " (node.number) br; span.hint { "since " (time(&node.started_at)) } } } }
            }
        }
    };
    Ok(layout::page(&visit, "Installation", &content))
}

fn tenant_list(tenants: &Tenants, stats: &Statistics) -> Markup {
    let failing = |id: &str| {
        let found = stats.failing_by_tenant.iter().find(|failing| failing.tenant_id == id);
        found.map_or(0, |failing| failing.webhooks)
    };
    let mut sorted: Vec<&Tenant> = tenants.tenants.iter().collect();
    sorted.sort_by_key(|tenant| std::cmp::Reverse(failing(&tenant.id)));
    html! {
        ul.cards { @for tenant in sorted { li {
            a href={ "/t/" (tenant.id) } { (tenant.name) }
            @let failing = failing(&tenant.id);
            @if failing > 0 { " " span.badge.failed { (failing) " failing" } }
        } } }
        @if tenants.next_cursor.is_some() { p.more { a href="/tenants" { "All tenants" } } }
    }
}

/// A tenant's figures, its endpoints, those that fail first, and what was not delivered lately.
pub(crate) async fn tenant(visit: Visit) -> Result<Markup, Fault> {
    let mut found: Webhooks = visit.get("/api/v1/webhooks").await?;
    let undelivered: Deliveries = visit.get("/api/v1/deliveries?status=undelivered&limit=10").await?;
    let range = Range::of(&visit);
    let stats = range.ask(&visit, "/api/v1/stats", None).await?;
    let is_failing = |id: &str| stats.failing.iter().any(|failing| failing.webhook_id == id);
    found.webhooks.sort_by(|a, b| {
        (is_failing(&b.id), failed(b)).partial_cmp(&(is_failing(&a.id), failed(a))).unwrap_or(Ordering::Equal)
    });
    let more = found.webhooks.len() > SHOWN;
    found.webhooks.truncate(SHOWN);
    let content = html! {
        h1 { "Overview" }
        (figures(&stats))
        (charts(&stats, &range, &visit.link("")))
        section {
            h2 { "Endpoints, failing ones first" }
            @if found.webhooks.is_empty() {
                p.empty { "There are none yet." }
                @if visit.session.may_change() { p { a.button href=(visit.link("/webhooks/new")) { "Add a webhook" } } }
            } @else { (endpoints(&visit, &found.webhooks, &stats.failing)) }
            @if more { p.more { a href=(visit.link("/webhooks")) { "All endpoints" } } }
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

/// Endpoints on the overview.
const SHOWN: usize = 10;

/// The share that failed.
#[expect(clippy::cast_precision_loss, reason = "to sort by")]
fn failed(webhook: &Webhook) -> f64 {
    webhook.stats.failed_deliveries as f64 / webhook.stats.total_deliveries.max(1) as f64
}

/// Webhooks as a table.
pub(crate) fn endpoints(visit: &Visit, webhooks: &[Webhook], failing: &[Failing]) -> Markup {
    let streak = |webhook: &Webhook| failing.iter().find(|failing| failing.webhook_id == webhook.id);
    html! {
        div.scroll { table {
            thead { tr { th { "Endpoint" } th { "Event type" } th { "State" } th.number { "Delivered" } th.number { "Failed" } th { "Last attempt" } } }
            tbody { @for webhook in webhooks { tr {
                td.url { a href=(visit.link(&format!("/webhooks/{}", webhook.id))) { (webhook.webhook_url) } @if !webhook.description.is_empty() { br; span.hint { (webhook.description) } } }
                td { (webhook.event_type) }
                td { @if !webhook.is_active { span.badge.discarded { "inactive" } }
                    @else if let Some(streak) = streak(webhook) { span.badge.failed { "failing" } br; span.hint { "since " (time(&streak.since)) ", " (streak.attempts) " attempts" } }
                    @else { span.badge.delivered { "active" } } }
                td.number { (share(webhook.stats.successful_deliveries, webhook.stats.total_deliveries)) }
                td.number { (webhook.stats.failed_deliveries) }
                td { (maybe_time(webhook.last_triggered_at.as_deref())) }
            } } }
        } }
    }
}
