//! Who may sign in, for the operator.

use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::fault::{Fault, Told};
use crate::form::{Form, lead_on};
use crate::layout::{self, token};
use crate::model::{Tenants, Users};
use crate::show::{more, time, wrong};
use crate::visit::Visit;

const ROLES: [&str; 4] = ["operator-admin", "operator", "tenant-admin", "tenant-viewer"];

/// The list, and a form for a new one.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    show(&visit, None).await
}

async fn show(visit: &Visit, told: Option<&Told>) -> Result<Markup, Fault> {
    let found: Users = visit.get(&format!("/api/v1/users?{}", visit.query(&["cursor"], &[("limit", "100")]))).await?;
    let tenants: Tenants = visit.get("/api/v1/tenants?limit=250").await?;
    let name_of = |id: &str| {
        tenants
            .tenants
            .iter()
            .find(|tenant| tenant.id == id)
            .map_or_else(|| id.to_owned(), |tenant| tenant.name.clone())
    };
    let content = html! {
        h1 { "Users" }
        (wrong(told))
        div.scroll { table {
            thead { tr { th { "Name" } th { "Role" } th { "Tenant" } th { "Added" } th { "" } } }
            tbody { @for user in &found.users { tr {
                td { (user.name) } td { (user.role) } td { (user.tenant_id.as_deref().map_or_else(String::new, name_of)) } td { (time(&user.created_at)) }
                td { form method="post" action={ "/users/" (user.id) "/delete" } { (token(visit)) button.danger type="submit" data-confirm={ "Remove " (user.name) "?" } aria-label={ "Remove " (user.name) } { "Remove" } } }
            } } }
        } }
        (more("/users", "", found.next_cursor.as_deref()))
        h2 { "Add a user" }
        form.stack method="post" action="/users" { (token(visit))
            label { "Name" input name="name" required maxlength="64" autocapitalize="none" autocomplete="off"; }
            label { "Password" input name="password" type="password" required minlength="12" maxlength="256" autocomplete="new-password"; span.hint { "At least 12 characters." } }
            label { "Role" select name="role" { @for role in ROLES { option value=(role) { (role) } } } }
            label { "Tenant" select name="tenant_id" { option value="" { "none: an operator" } @for tenant in &tenants.tenants { option value=(tenant.id) { (tenant.name) } } } }
            button type="submit" { "Add" }
        }
    };
    Ok(layout::page(visit, "Users", &content))
}

/// Adds one.
pub(crate) async fn create(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let body = json!({
        "name": sent.text("name"), "password": sent.text("password"), "role": sent.text("role"),
        "tenant_id": sent.given("tenant_id"),
    });
    back(&visit, visit.change(&sent, Method::POST, "/api/v1/users", &body).await).await
}

/// Removes one.
pub(crate) async fn delete(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let path = format!("/api/v1/users/{}", visit.id());
    back(&visit, visit.change(&sent, Method::DELETE, &path, &json!({})).await).await
}

async fn back(visit: &Visit, done: Result<Value, Fault>) -> Result<Response, Fault> {
    lead_on(done, "/users", async |told| show(visit, Some(told)).await).await
}
