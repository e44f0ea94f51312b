//! All webhooks of a tenant, and a new one.

use std::collections::BTreeMap;

use axum::http::Method;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::fault::{Fault, Told};
use crate::form::Form;
use crate::layout::{self, Shown, token};
use crate::model::{Profiles, Statistics, Webhook, Webhooks};
use crate::pages::start::endpoints;
use crate::show::{copyable, wrong};
use crate::visit::Visit;

/// The list.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    let mut found: Webhooks = visit.get("/api/v1/webhooks").await?;
    let stats: Statistics = visit.get("/api/v1/stats").await?;
    let wanted = visit.parameter("q").unwrap_or_default().to_lowercase();
    found.webhooks.retain(|webhook| is_found(webhook, &wanted));
    let hidden = found.webhooks.len().saturating_sub(SHOWN);
    found.webhooks.truncate(SHOWN);
    let content = html! {
        h1 { "Webhooks" }
        form.search method="get" action=(visit.link("/webhooks")) role="search" {
            label { "URL, type, description or id" input name="q" value=(wanted) autocapitalize="none"; } button type="submit" { "Search" }
        }
        @if visit.session.may_change() { p { a.button href=(visit.link("/webhooks/new")) { "Add a webhook" } } }
        @if found.webhooks.is_empty() { p.empty { @if wanted.is_empty() { "There are none yet." } @else { "There are none such." } } } @else { (endpoints(&visit, &found.webhooks, &stats.failing)) }
        @if hidden > 0 { p.hint { "And " (hidden) " more: search for them." } }
    };
    Ok(layout::live(&visit, "Webhooks", Shown::Deliveries, &content))
}

/// Webhooks on the page.
const SHOWN: usize = 100;

/// Whether a text, in small letters, is in what a webhook is known by.
fn is_found(webhook: &Webhook, wanted: &str) -> bool {
    let known = [&webhook.webhook_url, &webhook.event_type, &webhook.description, &webhook.id];
    known.iter().any(|text| text.to_lowercase().contains(wanted))
}

/// An empty form.
pub(crate) async fn new(visit: Visit) -> Result<Markup, Fault> {
    form(&visit, &Entered::default(), None).await
}

/// What was entered, to be shown again.
#[derive(Default)]
struct Entered {
    event_type: String,
    webhook_url: String,
    description: String,
    profile: String,
    filters: String,
}

impl Entered {
    fn of(form: &Form) -> Self {
        Self {
            event_type: form.text("event_type"),
            webhook_url: form.text("webhook_url"),
            description: form.text("description"),
            profile: form.text("profile"),
            filters: form.text("filters"),
        }
    }

    fn body(&self) -> BTreeMap<&'static str, Box<RawValue>> {
        let mut body = BTreeMap::new();
        for (name, value) in
            [("event_type", &self.event_type), ("webhook_url", &self.webhook_url), ("profile", &self.profile)]
        {
            if !value.is_empty() {
                body.insert(name, as_text(value));
            }
        }
        body.insert("description", as_text(&self.description));
        if let Some(filters) = read_json(&self.filters) {
            body.insert("filters", filters);
        }
        body
    }
}

/// JSON as it was typed, with every number as it is; what is none goes on as text, so that the API says what is wrong.
pub(super) fn read_json(text: &str) -> Option<Box<RawValue>> {
    let text = text.trim();
    (!text.is_empty()).then(|| RawValue::from_string(text.to_owned()).unwrap_or_else(|_| as_text(text)))
}

/// A text as JSON.
pub(super) fn as_text(text: &str) -> Box<RawValue> {
    // A text can always be written.
    to_raw_value(text).unwrap_or_default()
}

async fn form(visit: &Visit, entered: &Entered, told: Option<&Told>) -> Result<Markup, Fault> {
    let types: Value = visit.get("/api/v1/event-types").await?;
    let names = types["event_types"].as_array().into_iter().flatten();
    let names: Vec<&str> = names.filter_map(|known| known["name"].as_str()).collect();
    let profiles: Profiles = visit.get("/api/v1/profiles").await?;
    let content = html! {
        h1 { "Add a webhook" }
        (wrong(told))
        form.stack method="post" action=(visit.link("/webhooks")) {
            (token(visit))
            label { "Event type"
                input name="event_type" value=(entered.event_type) list="event-types" required autocapitalize="none";
                span.hint { "A type of the catalogue, or " code { "all" } "." }
            }
            datalist id="event-types" { @for name in &names { option value=(name) {} } option value="all" {} }
            label { "URL" input name="webhook_url" type="url" value=(entered.webhook_url) placeholder="https://api.example.com/webhooks" required; }
            label { "Description" input name="description" value=(entered.description) maxlength="1024"; }
            label { "Wire format"
                select name="profile" {
                    option value="" { "the tenant's own" }
                    @for profile in &profiles.profiles { option value=(profile.name) selected[profile.name == entered.profile] { (profile.name) } }
                }
                span.hint { a href=(visit.link("/formats")) { "See what each sends" } "." }
            }
            label { "Filters"
                textarea name="filters" rows="4" spellcheck="false" placeholder="{}" { (entered.filters) }
                span.hint { "JSON that mirrors the payload; empty for all events." }
            }
            div.actions { button type="submit" { "Add" }
                button.plain type="submit" formaction=(visit.link("/filters")) formnovalidate { "Try the filters on the newest events" } }
        }
    };
    Ok(layout::page(visit, "Webhooks", &content))
}

/// Adds one, and shows its secret once.
pub(crate) async fn create(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let entered = Entered::of(&sent);
    let made = visit.change::<Value>(&sent, Method::POST, "/api/v1/webhooks", &entered.body()).await;
    let made = match made {
        Ok(made) => made,
        Err(fault) => {
            let told = fault.correctable()?;
            return Ok(told.on(form(&visit, &entered, Some(&told)).await?));
        }
    };
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    let content = html! {
        h1 { "The webhook is made" }
        (secret(&text("secret_key")))
        p { a.button href=(visit.link(&format!("/webhooks/{}", text("id")))) { "To the webhook" } }
    };
    Ok(layout::page(&visit, "Webhooks", &content).into_response())
}

/// A secret, shown once.
pub(super) fn secret(secret: &str) -> Markup {
    html! {
        p { "This is its signing secret. " strong { "It is not shown again." } " Your receiver needs it to see that requests are genuine." }
        p { (copyable(secret, "the secret")) }
    }
}
