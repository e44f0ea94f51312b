//! A tenant's API keys.

use axum::http::Method;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::fault::{Fault, Told};
use crate::form::{Form, lead_on};
use crate::layout::{self, token};
use crate::model::Keys;
use crate::show::{copyable, maybe_time, more, time, wrong};
use crate::visit::Visit;

/// The list, and a form for a new one.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    show(&visit, None, None).await
}

async fn show(visit: &Visit, told: Option<&Told>, made: Option<&str>) -> Result<Markup, Fault> {
    let found: Keys = visit.get(&format!("/api/v1/api-keys?{}", visit.query(&["cursor"], &[("limit", "100")]))).await?;
    let content = html! {
        h1 { "Keys" }
        (wrong(told))
        @if let Some(key) = made {
            div.good role="status" { p { "This is the key. " strong { "It is not shown again." } } p { (copyable(key, "the key")) } }
        }
        @if found.api_keys.is_empty() { p.empty { "There are none." } } @else {
            div.scroll { table {
                thead { tr { th { "Name" } th { "Permits" } th { "Made" } th { "Ends" } th { "Last used" } th { "" } } }
                tbody { @for key in &found.api_keys { tr {
                    td { (key.name) } td { (key.scopes.join(", ")) } td { (time(&key.created_at)) }
                    td { (maybe_time(key.expires_at.as_deref())) } td { (maybe_time(key.last_used_at.as_deref())) }
                    td { form method="post" action=(visit.link(&format!("/keys/{}/delete", key.id))) { (token(visit)) button.danger type="submit" data-confirm={ "Revoke " (key.name) "? Whatever uses it stops at once." } aria-label={ "Revoke " (key.name) } { "Revoke" } } }
                } } }
            } }
        }
        (more(&visit.link("/keys"), "", found.next_cursor.as_deref()))
        h2 { "Make a key" }
        form.stack method="post" action=(visit.link("/keys")) { (token(visit))
            label { "Name" input name="name" required maxlength="128"; }
            fieldset { legend { "It permits" }
                @for (scope, means) in [("read", "to look"), ("manage", "to change webhooks"), ("payloads", "to see what is hidden of payloads")] {
                    label.choice { input type="checkbox" name="scopes" value=(scope); " " code { (scope) } " " (means) }
                }
                @if visit.session.may_rule() { label.choice { input type="checkbox" name="scopes" value="publish"; " " code { "publish" } " to publish events" } }
            }
            button type="submit" { "Make" }
        }
    };
    Ok(layout::page(visit, "Keys", &content))
}

/// Makes one, and shows it once.
pub(crate) async fn create(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let body = json!({"name": sent.text("name"), "scopes": sent.all("scopes")});
    match visit.change::<Value>(&sent, Method::POST, "/api/v1/api-keys", &body).await {
        Ok(made) => Ok(show(&visit, None, made["key"].as_str()).await?.into_response()),
        Err(fault) => {
            let told = fault.correctable()?;
            Ok(told.on(show(&visit, Some(&told), None).await?))
        }
    }
}

/// Ends one.
pub(crate) async fn delete(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let path = format!("/api/v1/api-keys/{}", visit.id());
    let done = visit.change::<Value>(&sent, Method::DELETE, &path, &json!({})).await;
    lead_on(done, &visit.link("/keys"), async |told| show(&visit, Some(told), None).await).await
}
