//! `/api/v1/audit/`.

use axum::extract::State;
use axum::response::Response;
use postrider_core::audit::AuditEntry;
use postrider_core::{AuditId, Timestamp};
use postrider_store::AuditFilter;
use serde::Serialize;
use uuid::Uuid;

use crate::auth::Manage;
use crate::json;
use crate::params::Params;
use crate::problem::Problem;
use crate::state::Api;

#[derive(Serialize)]
struct EntryJson {
    id: AuditId,
    at: Timestamp,
    /// `api_key`, `user`, `portal_link` or `command_line`.
    actor: &'static str,
    actor_id: Option<Uuid>,
    actor_name: Option<String>,
    action: String,
    object_id: Option<String>,
    request_id: Option<String>,
    remote_address: Option<String>,
}

impl From<AuditEntry> for EntryJson {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            actor: entry.actor.kind(),
            actor_id: entry.actor.id(),
            actor_name: entry.actor.name().map(str::to_owned),
            action: entry.action,
            object_id: entry.object_id,
            request_id: entry.request_id,
            remote_address: entry.remote_address,
        }
    }
}

/// What was done in the tenant, newest first.
pub(crate) async fn list(
    State(api): State<Api>,
    Manage(caller): Manage,
    mut params: Params,
) -> Result<Response, Problem> {
    let filter = AuditFilter {
        action: params.text("action"),
        object_id: params.text("object_id"),
        actor_id: params.id("actor_id"),
        since: params.time("since"),
        until: params.time("until"),
    };
    let page = params.page();
    params.finish()?;
    let mut found = api.journal.audit_entries(caller.tenant_id, &filter, page.and_one()).await?;
    let next_cursor = json::cut(&mut found, page, |entry| entry.id.uuid());
    let entries: Vec<EntryJson> = found.into_iter().map(EntryJson::from).collect();
    Ok(json::list("audit", &entries, Some(next_cursor)))
}
