//! Periods sent again: which there were, and a new one in three steps.

use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::fault::{Fault, Told};
use crate::form::Form;
use crate::layout::{self, Shown, token};
use crate::model::{Replay, ReplayPreview, Replays};
use crate::show::{more, status, time, wrong};
use crate::visit::Visit;

/// What a replay can mean, and in words.
const STATUSES: [(&str, &str); 5] = [
    ("undelivered", "failed, discarded or missed"),
    ("failed", "failed"),
    ("discarded", "discarded"),
    ("missed", "missed while the webhook was inactive"),
    ("delivered", "delivered"),
];

/// The fields of the form, in all its steps.
const FIELDS: [&str; 6] = ["webhook_id", "event_type", "status", "since", "until", "rate_limit"];

/// The list.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    let found: Replays = visit.get(&format!("/api/v1/replays?{}", visit.query(&["cursor"], &[]))).await?;
    let content = html! {
        h1 { "Replays" }
        p { "Send again what was not delivered in a period, or all that was." }
        @if visit.session.may_change() { p { a.button href=(visit.link("/replays/new")) { "Replay a period" } } }
        @if found.replays.is_empty() { p.empty { "There were none." } } @else {
            div.scroll { table {
                thead { tr { th { "State" } th { "What" } th { "Since" } th { "Until" } th.number { "Sent again" } th.number { "Skipped" } th { "" } } }
                tbody { @for replay in &found.replays { tr {
                    td { (state(replay)) } td { (meant(replay)) } td { (time(&replay.since)) } td { (time(&replay.until)) }
                    td.number { (replay.replayed) } td.number { (replay.skipped) }
                    td { a href=(visit.link(&format!("/replays/{}", replay.id))) { "Details" span.hidden { " of " (replay.id) } } }
                } } }
            } }
        }
        (more(&visit.link("/replays"), "", found.next_cursor.as_deref()))
    };
    Ok(layout::live(&visit, "Replays", Shown::Deliveries, &content))
}

/// How it stands, in a word and a colour.
pub(super) fn state(replay: &Replay) -> Markup {
    let colour = match replay.state.as_str() {
        "running" => "pending",
        "finished" => "delivered",
        _ => "discarded",
    };
    html! { span class={ "badge " (colour) } { (replay.state) } }
}

/// What is sent again, in words.
pub(super) fn meant(replay: &Replay) -> Markup {
    let what = STATUSES.iter().find(|(name, _)| *name == replay.status).map_or("", |(_, words)| words);
    html! { "what was " (what) @if let Some(event_type) = &replay.event_type { " of " (event_type) } }
}

/// The first step: which.
pub(crate) async fn new(visit: Visit) -> Result<Markup, Fault> {
    let given = FIELDS.map(|name| (name, visit.parameter(name).unwrap_or_default()));
    Ok(question(&visit, &given, None))
}

/// A form's fields and what is in them.
type Given = [(&'static str, String); 6];

fn question(visit: &Visit, given: &Given, told: Option<&Told>) -> Markup {
    let value = |name: &str| given.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value.as_str());
    let chosen = value("status");
    let content = html! {
        h1 { "Replay a period" }
        (wrong(told))
        form.stack method="post" action=(visit.link("/replays/preview")) { (token(visit))
            label { "Events published since" input name="since" value=(value("since")) required placeholder="2026-01-19T10:30:00Z" autocomplete="off"; span.hint { "In UTC, such as 2026-01-19T10:30:00Z." } }
            label { "Until" input name="until" value=(value("until")) placeholder="now" autocomplete="off"; span.hint { "Empty for now." } }
            label { "Deliveries that were" select name="status" { @for (name, words) in STATUSES { option value=(name) selected[name == chosen] { (words) } } } }
            label { "Webhook" input name="webhook_id" value=(value("webhook_id")) autocomplete="off"; span.hint { "Its id; empty for all. What was missed is found for one webhook only." } }
            label { "Event type" input name="event_type" value=(value("event_type")) autocomplete="off" autocapitalize="none"; span.hint { "Empty for all." } }
            label { "At most so many a second" input name="rate_limit" type="number" min="1" max="1000" value=(value("rate_limit")) placeholder="100"; }
            button type="submit" { "Show what that is" }
        }
    };
    layout::page(visit, "Replays", &content)
}

fn given(sent: &Form) -> Given {
    FIELDS.map(|name| (name, sent.text(name).trim().to_owned()))
}

fn body(given: &Given, is_dry_run: bool) -> Value {
    let mut body = json!({"dry_run": is_dry_run});
    for (name, value) in given.iter().filter(|(_, value)| !value.is_empty()) {
        let number = value.parse::<u64>().ok().filter(|_| *name == "rate_limit");
        body[*name] = number.map_or_else(|| json!(value), |number| json!(number));
    }
    body
}

/// The second step: how much that is, and to confirm it.
pub(crate) async fn preview(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let given = given(&sent);
    let path = "/api/v1/replays";
    let found = visit.change::<ReplayPreview>(&sent, Method::POST, path, &body(&given, true)).await;
    let found = match found {
        Ok(found) => found,
        Err(fault) => {
            let told = fault.correctable()?;
            return Ok(told.on(question(&visit, &given, Some(&told))));
        }
    };
    let content = html! {
        h1 { "Replay " (how_many(found.count, found.count_is_exact)) "?" }
        @if found.sample.is_empty() { p.empty { "Nothing is to be sent again." } } @else {
            p { "The first of them:" }
            div.scroll { table {
                thead { tr { th { "Was" } th { "Event type" } th { "Published" } th { "" } } }
                tbody { @for sample in &found.sample { tr {
                    td { (status(&sample.status)) } td { (sample.event_type) } td { (time(&sample.created_at)) }
                    td { a href=(visit.link(&format!("/events/{}", sample.event_id))) { "Event" span.hidden { " " (sample.event_id) } } }
                } } }
            } }
        }
        div.actions {
            @if found.count > 0 || !found.count_is_exact {
                form method="post" action=(visit.link("/replays")) { (token(&visit))
                    @for (name, value) in &given { input type="hidden" name=(name) value=(value); }
                    button type="submit" { "Send them again" }
                }
            }
            a.button href={ (visit.link("/replays/new")) "?" (query(&given)) } { "Change what is meant" }
        }
    };
    Ok(layout::page(&visit, "Replays", &content).into_response())
}

/// A number of deliveries in words.
pub(super) fn how_many(count: i64, is_exact: bool) -> String {
    let least = if is_exact { "" } else { "at least " };
    let noun = if count == 1 { "delivery" } else { "deliveries" };
    format!("{least}{count} {noun}")
}

fn query(given: &Given) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish()
}

/// The last step: it begins.
pub(crate) async fn create(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let given = given(&sent);
    match visit.change::<Value>(&sent, Method::POST, "/api/v1/replays", &body(&given, false)).await {
        Ok(made) => {
            let id = made["id"].as_str().unwrap_or_default();
            Ok(Redirect::to(&visit.link(&format!("/replays/{id}"))).into_response())
        }
        Err(fault) => {
            let told = fault.correctable()?;
            Ok(told.on(question(&visit, &given, Some(&told))))
        }
    }
}
