//! `/api/v1/logs/`.

use axum::extract::State;
use axum::response::Response;
use postrider_core::LogId;

use super::path_id;
use crate::auth::Read;
use crate::json;
use crate::params::Path;
use crate::problem::Problem;
use crate::sight::Sight;
use crate::state::Api;
use crate::views::AttemptJson;

/// One attempt, whole.
pub(crate) async fn get(State(api): State<Api>, Read(caller): Read, Path(log_id): Path) -> Result<Response, Problem> {
    let found = api.journal.attempt(caller.tenant_id, LogId(path_id(&log_id)?)).await?;
    let attempt = found.ok_or_else(Problem::not_found)?;
    Ok(json::ok(&AttemptJson::new(attempt, &Sight::of(caller, &api).await?)?))
}
