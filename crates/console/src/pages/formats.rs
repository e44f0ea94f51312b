//! What a wire format sends, byte for byte.

use std::collections::BTreeMap;

use axum::http::Method;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::webhooks::{as_text, read_json};
use crate::fault::{Fault, Told};
use crate::form::Form;
use crate::layout::{self, token};
use crate::model::{Preview, Profiles};
use crate::show::{headers, wrong};
use crate::visit::{Visit, segment};

/// The formats, and a form to try one.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    show(&visit, &Entered::default(), None, None).await
}

/// What was entered, to be shown again.
#[derive(Default)]
struct Entered {
    profile: String,
    event_type: String,
    payload: String,
}

async fn show(
    visit: &Visit,
    entered: &Entered,
    told: Option<&Told>,
    preview: Option<&Preview>,
) -> Result<Markup, Fault> {
    let known: Profiles = visit.get("/api/v1/profiles").await?;
    let content = html! {
        h1 { "Wire formats" }
        (wrong(told))
        form.stack method="post" action=(visit.link("/formats")) { (token(visit))
            label { "Format" select name="profile" {
                @for profile in &known.profiles { option value=(profile.name) selected[profile.name == entered.profile] { (profile.name) " – " (profile.summary) } }
            } }
            label { "Event type" input name="event_type" value=(entered.event_type) autocapitalize="none"; span.hint { "Empty for the format's example." } }
            label { "Payload" textarea name="payload" rows="6" spellcheck="false" { (entered.payload) } span.hint { "JSON; empty for the example." } }
            button type="submit" { "Show what is sent" }
        }
        @if let Some(preview) = preview { (shown(preview)) }
    };
    Ok(layout::page(visit, "Formats", &content))
}

fn shown(preview: &Preview) -> Markup {
    html! {
        section { h2 { (preview.event_type) " as " (preview.profile) }
            @if preview.would_be_sent {
                (headers(&preview.headers))
                pre tabindex="0" { code { (preview.body) } }
                @if let Some(secret) = &preview.signed_with { p.hint { "Signed with " code { (secret) } ", a secret for examples." } }
            } @else {
                p { "It would not be sent: " (preview.reason.as_deref().unwrap_or_default()) }
            }
        }
    }
}

/// Shows what would be sent.
pub(crate) async fn preview(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let entered =
        Entered { profile: sent.text("profile"), event_type: sent.text("event_type"), payload: sent.text("payload") };
    let mut body = BTreeMap::new();
    if !entered.event_type.is_empty() {
        body.insert("event_type", as_text(&entered.event_type));
    }
    if let Some(payload) = read_json(&entered.payload) {
        body.insert("payload", payload);
    }
    let path = format!("/api/v1/profiles/{}/preview", segment(&entered.profile));
    match visit.change::<Preview>(&sent, Method::POST, &path, &body).await {
        Ok(preview) => Ok(show(&visit, &entered, None, Some(&preview)).await?.into_response()),
        Err(fault) => {
            let told = fault.correctable()?;
            Ok(told.on(show(&visit, &entered, Some(&told), None).await?))
        }
    }
}
