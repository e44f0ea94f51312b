//! `/api/v1/audit/`.

use axum::extract::State;
use axum::response::Response;
use postrider_core::audit::{Actor, AuditEntry};
use postrider_core::{ApiKeyId, AuditId, Timestamp};
use postrider_store::AuditFilter;
use serde::Serialize;

use crate::auth::Manage;
use crate::json;
use crate::params::Params;
use crate::problem::Problem;
use crate::state::Api;

#[derive(Serialize)]
struct EntryJson {
    id: AuditId,
    at: Timestamp,
    /// `api_key` or `command_line`.
    actor: &'static str,
    api_key_id: Option<ApiKeyId>,
    api_key_name: Option<String>,
    action: String,
    object_id: Option<String>,
    request_id: Option<String>,
    remote_address: Option<String>,
}

impl From<AuditEntry> for EntryJson {
    fn from(entry: AuditEntry) -> Self {
        let (actor, api_key_id, api_key_name) = match entry.actor {
            Actor::ApiKey(id, name) => ("api_key", Some(id), Some(name)),
            Actor::CommandLine => ("command_line", None, None),
        };
        Self {
            id: entry.id,
            at: entry.at,
            actor,
            api_key_id,
            api_key_name,
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
        api_key_id: params.id("api_key_id"),
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
