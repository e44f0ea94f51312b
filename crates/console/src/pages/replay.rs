//! One replay: how far it is, and how to hold it.

use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::replays::{how_many, meant, state};
use crate::fault::{Fault, Told};
use crate::form::{Form, lead_on};
use crate::layout::{self, Shown, token};
use crate::model::Replay;
use crate::show::{copyable, time, wrong};
use crate::visit::Visit;

/// All of it.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    show(&visit, None).await
}

async fn show(visit: &Visit, told: Option<&Told>) -> Result<Markup, Fault> {
    let replay: Replay = visit.get(&format!("/api/v1/replays/{}", visit.id())).await?;
    let content = html! {
        h1 { "Replay " (state(&replay)) }
        p { (meant(&replay)) ", since " (time(&replay.since)) ", until " (time(&replay.until)) }
        (wrong(told))
        (progress(&replay))
        @if visit.session.may_change() { (actions(visit, &replay)) }
        section { h2 { "Facts" }
            dl.facts {
                dt { "Id" } dd { (copyable(&replay.id, "the id")) }
                @if let Some(webhook) = &replay.webhook_id { dt { "Webhook" } dd { a href=(visit.link(&format!("/webhooks/{webhook}"))) { (webhook) } } }
                dt { "Begun" } dd { (time(&replay.created_at)) }
                @if let Some(at) = &replay.finished_at { dt { "Ended" } dd { (time(at)) } }
                dt { "Rate" } dd { "at most " (replay.rate_limit) " a second" }
            }
        }
    };
    Ok(layout::live(visit, "Replays", Shown::Replay(&replay.id), &content))
}

fn progress(replay: &Replay) -> Markup {
    let percent = format!("{:.0} %", replay.progress * 100.0);
    html! {
        p { progress max="1" value=(replay.progress) aria-label="Progress" { (percent) } " " span.percent { (percent) } }
        dl.figures {
            div { dt { "Meant" } dd { (replay.count) } dd.hint { (how_many(replay.count, replay.count_is_exact)) } }
            div { dt { "Sent again" } dd { (replay.replayed) } }
            div { dt { "Skipped" } dd { (replay.skipped) } dd.hint { "target or payload gone, or already open" } }
        }
    }
}

fn actions(visit: &Visit, replay: &Replay) -> Markup {
    let turns: &[(&str, &str)] = match replay.state.as_str() {
        "running" => &[("pause", "Pause"), ("cancel", "Cancel")],
        "paused" => &[("resume", "Resume"), ("cancel", "Cancel")],
        _ => &[],
    };
    html! {
        div.actions { @for (turn, label) in turns {
            form method="post" action=(visit.link(&format!("/replays/{}/turn", replay.id))) { (token(visit))
                input type="hidden" name="turn" value=(turn);
                button type="submit" { (label) }
            }
        } }
    }
}

/// Pauses, resumes or cancels it.
pub(crate) async fn turn(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let turn = match sent.text("turn").as_str() {
        "pause" => "pause",
        "resume" => "resume",
        "cancel" => "cancel",
        _ => return Err(Fault::not_found()),
    };
    let path = format!("/api/v1/replays/{}/{turn}", visit.id());
    let done = visit.change::<Value>(&sent, Method::POST, &path, &json!({})).await;
    let here = visit.link(&format!("/replays/{}", visit.id()));
    lead_on(done, &here, async |told| show(&visit, Some(told)).await).await
}
