//! A tenant's settings, for the operator.

use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::fault::{Fault, Told};
use crate::form::{Form, lead_on};
use crate::layout::{self, token};
use crate::model::{Profiles, Tenant};
use crate::show::wrong;
use crate::visit::{Visit, segment};

/// The form.
pub(crate) async fn page(visit: Visit) -> Result<Markup, Fault> {
    show(&visit, None).await
}

fn path(visit: &Visit) -> String {
    format!("/api/v1/tenants/{}", segment(visit.tenant_id.as_deref().unwrap_or_default()))
}

async fn show(visit: &Visit, told: Option<&Told>) -> Result<Markup, Fault> {
    let tenant: Tenant = visit.get(&path(visit)).await?;
    let known: Profiles = visit.get("/api/v1/profiles").await?;
    let content = html! {
        h1 { (tenant.name) }
        (wrong(told))
        form.stack method="post" action=(visit.link("/settings")) { (token(visit))
            label { "Name" input name="name" value=(tenant.name) required maxlength="128"; }
            label { "Wire format of what does not name one" select name="default_profile" {
                @for profile in &known.profiles { option value=(profile.name) selected[profile.name == tenant.default_profile] { (profile.name) } }
            } }
            label { "Hidden fields of payloads"
                textarea name="redacted_paths" rows="4" spellcheck="false" { (tenant.redacted_paths.join("\n")) }
                span.hint { "One path a line, such as " code { "client.name" } ". Shown only to whoever may see payloads." }
            }
            label { "Payloads are kept" input name="payload_retention" value=(tenant.payload_retention) autocapitalize="none";
                span.hint { code { "default" } ", " code { "on_success" } " or a time such as " code { "12h" } " or " code { "30d" } "." }
            }
            button type="submit" { "Save" }
        }
    };
    Ok(layout::page(visit, "Settings", &content))
}

/// Changes them.
pub(crate) async fn update(visit: Visit, sent: Form) -> Result<Response, Fault> {
    let paths = sent.text("redacted_paths");
    let paths: Vec<&str> = paths.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let body = json!({
        "name": sent.text("name"),
        "default_profile": sent.text("default_profile"),
        "redacted_paths": paths,
        "payload_retention": sent.text("payload_retention"),
    });
    let done = visit.change::<Value>(&sent, Method::PATCH, &path(&visit), &body).await;
    lead_on(done, &visit.link("/settings"), async |told| show(&visit, Some(told)).await).await
}
