//! All tenants, for the operator.

use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::fault::{Fault, Told};
use crate::form::{Form, lead_on};
use crate::layout::{self, token};
use crate::model::Tenants;
use crate::show::{more, time, wrong};
use crate::visit::Visit;

/// The list, and a form for a new one.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    show(&visit, None).await
}

async fn show(visit: &Visit, told: Option<&Told>) -> Result<Markup, Fault> {
    let found: Tenants = visit.get(&format!("/api/v1/tenants?{}", visit.query(&["cursor"], &[]))).await?;
    let content = html! {
        h1 { "Tenants" }
        (wrong(told))
        @if visit.session.may_rule() {
            form.search method="post" action="/tenants" { (token(visit))
                label { "Name" input name="name" required maxlength="128"; } button type="submit" { "Add a tenant" }
            }
        }
        div.scroll { table {
            thead { tr { th { "Name" } th { "Id" } th { "Made" } } }
            tbody { @for tenant in &found.tenants { tr {
                td { a href={ "/t/" (tenant.id) } { (tenant.name) } } td { code { (tenant.id) } } td { (time(&tenant.created_at)) }
            } } }
        } }
        (more("/tenants", "", found.next_cursor.as_deref()))
    };
    Ok(layout::page(visit, "Tenants", &content))
}

/// Adds one.
pub(crate) async fn create(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let body = json!({"name": sent.text("name")});
    let done = visit.change::<Value>(&sent, Method::POST, "/api/v1/tenants", &body).await;
    lead_on(done, "/tenants", async |told| show(&visit, Some(told)).await).await
}
