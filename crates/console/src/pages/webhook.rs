//! One webhook: how it does, its settings, and what can be done.

use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use postrider_core::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::statistics::{self, Range};
use super::webhooks::{read_json, secret};
use crate::fault::{Fault, Told};
use crate::form::{Form, lead_on};
use crate::layout::{self, Shown, token};
use crate::model::{Deliveries, Health, Profiles, TestResult, Webhook};
use crate::show::{copyable, deliveries, maybe_time, millis, pretty, share, time, wrong};
use crate::visit::Visit;

/// All of it.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    show(&visit, &Notice::default()).await
}

/// What is to be said above the page.
#[derive(Default)]
pub(super) struct Notice {
    pub(super) told: Option<Told>,
    pub(super) tested: Option<TestResult>,
}

fn path(visit: &Visit) -> String {
    format!("/api/v1/webhooks/{}", visit.id())
}

pub(super) async fn show(visit: &Visit, notice: &Notice) -> Result<Markup, Fault> {
    let webhook: Webhook = visit.get(&path(visit)).await?;
    let health: Health = visit.get(&format!("{}/health", path(visit))).await?;
    let range = Range::of(visit);
    let stats = range.ask(visit, "/api/v1/stats", Some(&webhook.id)).await?;
    let here = visit.link(&format!("/webhooks/{}", webhook.id));
    let recent: Deliveries = visit.get(&format!("/api/v1/deliveries?webhook_id={}&limit=10", visit.id())).await?;
    let content = html! {
        h1.url { (webhook.webhook_url) }
        p { (webhook.event_type) " · " (webhook.profile) " · "
            @if webhook.is_active { span.badge.delivered { "active" } } @else { span.badge.discarded { "inactive" } }
        }
        (wrong(notice.told.as_ref()))
        @if let Some(result) = &notice.tested { (tested(result)) }
        (trouble(visit, &webhook, &health))
        (figures(&webhook, &health))
        @if visit.session.may_change() { (actions(visit, &webhook)) }
        (statistics::charts(&stats, &range, &here))
        section { h2 { "Latest deliveries" } (deliveries(visit, &recent.deliveries))
            p.more { a href=(visit.link(&format!("/deliveries?webhook_id={}", webhook.id))) { "All of its deliveries" } } }
        @if visit.session.may_change() { (settings(visit, &webhook, &formats_of(visit, &webhook).await?)) }
        (facts(&webhook))
    };
    Ok(layout::live(visit, "Webhooks", Shown::Deliveries, &content))
}

fn tested(result: &TestResult) -> Markup {
    html! {
        div class=(if result.success { "good" } else { "wrong" }) role="status" {
            p { strong { @if result.success { "The test arrived." } @else { "The test failed." } } " " (result.message)
                @if let Some(code) = result.http_status_code { " (HTTP " (code) ")" } }
        }
    }
}

fn figures(webhook: &Webhook, health: &Health) -> Markup {
    let stats = &webhook.stats;
    html! {
        dl.figures {
            div { dt { "Delivered" } dd { (share(stats.successful_deliveries, stats.total_deliveries)) } dd.hint { (stats.successful_deliveries) " of " (stats.total_deliveries) } }
            div { dt { "Waiting" } dd { (health.queue_depth) } dd.hint { @if health.queue_depth > 0 { "oldest due " (millis(health.oldest_age_seconds * 1000.0)) " ago" } } }
            div { dt { "Endpoint" } dd { (health.state.as_deref().unwrap_or("unknown")) }
                dd.hint { @if let (Some(now), Some(limit)) = (health.in_flight, health.in_flight_limit) { (now) " of " (limit) " in flight" }
                    @if let Some(at) = &health.next_probe_at { " · next look " (time(at)) } } }
            div { dt { "Last attempt" } dd { (maybe_time(webhook.last_triggered_at.as_deref())) } }
        }
    }
}

/// What is wrong with it, and what can be done about that.
fn trouble(visit: &Visit, webhook: &Webhook, health: &Health) -> Markup {
    let since = health.failing_since.as_deref();
    html! {
        @if let Some(since) = since { div.wrong {
            p { strong { "It fails." } " All " (health.failed_attempts) " attempts since " (time(since)) " failed." }
        } }
        @if !webhook.is_active { div.wrong {
            p { strong { "It is inactive" } @if let Some(at) = &health.inactive_since { " since " (time(at)) } ": nothing is sent to it." }
            @if visit.session.may_change() { form.actions method="post" action=(visit.link(&format!("/webhooks/{}/recover", webhook.id))) { (token(visit))
                button type="submit" data-confirm="It is activated, and gets what failed, was discarded or was missed since it was in trouble. Go on?" { "Reactivate and replay what it missed" }
            } }
        } }
    }
}

fn actions(visit: &Visit, webhook: &Webhook) -> Markup {
    let action = |name: &str| visit.link(&format!("/webhooks/{}/{name}", webhook.id));
    html! {
        div.actions {
            form method="post" action=(action("test")) { (token(visit)) button type="submit" { "Send a test" } }
            form method="post" action=(action("active")) { (token(visit))
                input type="hidden" name="is_active" value=(!webhook.is_active);
                button type="submit" { @if webhook.is_active { "Deactivate" } @else { "Reactivate" } }
            }
            a.button href=(visit.link(&format!("/replays/new?webhook_id={}", webhook.id))) { "Replay a period" }
            form method="post" action=(action("rotate")) { (token(visit)) button type="submit" data-confirm="The new secret signs at once, the old one beside it for 24 hours. Go on?" { "Rotate the secret" } }
            form method="post" action=(action("delete")) { (token(visit)) button.danger type="submit" data-confirm="What waits for it is discarded. Delete it?" { "Delete" } }
        }
    }
}

fn settings(visit: &Visit, webhook: &Webhook, profiles: &[String]) -> Markup {
    let filters = pretty(webhook.filters.get());
    html! {
        details { summary { "Settings" }
            form.stack method="post" action=(visit.link(&format!("/webhooks/{}", webhook.id))) {
                (token(visit))
                label { "URL" input name="webhook_url" type="url" value=(webhook.webhook_url) required; }
                label { "Description" input name="description" value=(webhook.description) maxlength="1024"; }
                label { "Filters" textarea name="filters" rows="6" spellcheck="false" { (filters) } }
                input type="hidden" name="shown_timeout_seconds" value=(webhook.timeout_seconds);
                label { "Seconds for one attempt" input name="timeout_seconds" type="number" min="1" max="30" value=(webhook.timeout_seconds);
                    span.hint { "Empty: as the wire format says." } }
                label { "Seconds before each retry" input name="retry_schedule" value=(schedule(&webhook.retry_schedule)) pattern="[0-9, ]*";
                    span.hint { "Such as 5, 25, 125; empty for none." } }
                input type="hidden" name="event_type" value=(webhook.event_type);
                label { "Wire format" select name="profile" {
                    @for name in profiles { option value=(name) selected[*name == webhook.profile] { (name) } }
                } span.hint { "What waits keeps the one that it was made with. " a href=(visit.link("/formats")) { "See what each sends" } "." } }
                div.actions { button type="submit" { "Save" }
                    button.plain type="submit" formaction=(visit.link("/filters")) formnovalidate { "Try the filters on the newest events" } }
            }
        }
    }
}

/// The wire formats that can be chosen, its own among them.
async fn formats_of(visit: &Visit, webhook: &Webhook) -> Result<Vec<String>, Fault> {
    let known: Profiles = visit.get("/api/v1/profiles").await?;
    let mut names: Vec<String> = known.profiles.into_iter().map(|profile| profile.name).collect();
    if !names.contains(&webhook.profile) {
        names.push(webhook.profile.clone());
    }
    Ok(names)
}

fn schedule(seconds: &[u64]) -> String {
    seconds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

fn facts(webhook: &Webhook) -> Markup {
    html! {
        section { h2 { "Facts" }
            dl.facts {
                dt { "Id" } dd { (copyable(&webhook.id, "the id")) }
                dt { "Made" } dd { (time(&webhook.created_at)) }
                dt { "Retries after" } dd { (schedule(&webhook.retry_schedule)) " s" }
                dt { "Timeout" } dd { (webhook.timeout_seconds) " s" }
                dt { "Filtered out" } dd { (webhook.filtered_events) " events" }
                @for (name, value) in &webhook.headers { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// Goes back to the webhook, or says what was wrong.
pub(super) async fn back(visit: &Visit, done: Result<Value, Fault>) -> Result<Response, Fault> {
    let here = visit.link(&format!("/webhooks/{}", visit.id()));
    let again = async |told: &Told| show(visit, &Notice { told: Some(told.clone()), tested: None }).await;
    lead_on(done, &here, again).await
}

/// The form's fields, filters as they were typed.
#[derive(Serialize)]
struct Change {
    #[serde(flatten)]
    settings: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<Value>,
    filters: Option<Box<RawValue>>,
}

/// The timeout, if it is another than the page showed: left alone, it goes on following the wire format if it did.
fn changed_timeout(sent: &Form) -> Option<Value> {
    let timeout = sent.text("timeout_seconds");
    match timeout.trim() {
        "" => Some(Value::Null),
        same if same == sent.text("shown_timeout_seconds") => None,
        seconds => Some(number(seconds)),
    }
}

/// A number as it was typed; what is none is for the API to refuse.
fn number(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| json!(text), |n| json!(n))
}

/// Changes its settings.
pub(crate) async fn update(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let seconds = sent.text("retry_schedule");
    let seconds = seconds.split(',').map(str::trim).filter(|text| !text.is_empty());
    let schedule: Vec<Value> = seconds.map(number).collect();
    let settings = json!({
        "webhook_url": sent.text("webhook_url"),
        "description": sent.text("description"),
        "retry_schedule": schedule,
        "profile": sent.text("profile"),
    });
    let filters = read_json(&sent.text("filters")).or_else(|| read_json("{}"));
    let body = Change { settings, timeout_seconds: changed_timeout(&sent), filters };
    let done = visit.change::<Value>(&sent, Method::PATCH, &path(&visit), &body).await;
    back(&visit, done).await
}

/// Activates or deactivates it.
pub(crate) async fn switch(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let body = json!({"is_active": sent.text("is_active") == "true"});
    let done = visit.change::<Value>(&sent, Method::PATCH, &path(&visit), &body).await;
    back(&visit, done).await
}

/// Activates it, and has it sent what it missed since it was in trouble.
pub(crate) async fn recover(visit: Visit, sent: Form) -> Result<Response, Fault> {
    match reactivate_and_replay(&visit, &sent).await {
        Ok(id) => Ok(Redirect::to(&visit.link(&format!("/replays/{id}"))).into_response()),
        Err(fault) => back(&visit, Err(fault)).await,
    }
}

/// What waited when it was deactivated was published before: at most a day, as schedules usually are.
const BEFORE: i64 = 86_400 * 1_000_000;

async fn reactivate_and_replay(visit: &Visit, sent: &Form) -> Result<String, Fault> {
    let health: Health = visit.get(&format!("{}/health", path(visit))).await?;
    let troubled = [health.failing_since, health.inactive_since];
    let since = troubled.iter().flatten().filter_map(|at| Timestamp::parse(at)).min().unwrap_or_else(|| visit.now());
    visit.change::<Value>(sent, Method::PATCH, &path(visit), &json!({"is_active": true})).await?;
    let body = json!({"webhook_id": visit.id(), "since": since.plus_micros(-BEFORE)});
    let made = visit.change::<Value>(sent, Method::POST, "/api/v1/replays", &body).await?;
    Ok(made["id"].as_str().unwrap_or_default().to_owned())
}

/// Gives it a new secret, which is shown once.
pub(crate) async fn rotate(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let rotated =
        visit.change::<Value>(&sent, Method::POST, &format!("{}/rotate-secret", path(&visit)), &json!({})).await;
    let rotated = match rotated {
        Ok(rotated) => rotated,
        Err(fault) => return back(&visit, Err(fault)).await,
    };
    let content = html! {
        h1 { "The secret is rotated" }
        (secret(rotated["secret_key"].as_str().unwrap_or_default()))
        @if let Some(until) = rotated["previous_valid_until"].as_str() { p { "The former one signs beside it until " (time(until)) "." } }
        p { a.button href=(visit.link(&format!("/webhooks/{}", visit.id()))) { "To the webhook" } }
    };
    Ok(layout::page(&visit, "Webhooks", &content).into_response())
}

/// Deletes it.
pub(crate) async fn delete(visit: Visit, sent: Form) -> Result<Response, Fault> {
    match visit.change::<Value>(&sent, Method::DELETE, &path(&visit), &json!({})).await {
        Ok(_) => Ok(Redirect::to(&visit.link("/webhooks")).into_response()),
        Err(fault) => back(&visit, Err(fault)).await,
    }
}
