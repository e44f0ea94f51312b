//! `/api/v1/webhooks/{id}/health/`.

use axum::extract::State;
use axum::response::Response;
use postrider_core::{SubscriptionId, Timestamp};
use serde::Serialize;

use super::path_id;
use crate::auth::Read;
use crate::json;
use crate::params::Path;
use crate::problem::Problem;
use crate::state::Api;

/// How an endpoint stands, and what waits for it.
#[derive(Serialize)]
struct HealthJson {
    webhook_id: SubscriptionId,
    /// As this node finds it; null if the node does not send.
    state: Option<&'static str>,
    in_flight: Option<usize>,
    in_flight_limit: Option<usize>,
    next_probe_at: Option<Timestamp>,
    queue_depth: i64,
    oldest_due_at: Option<Timestamp>,
    oldest_age_seconds: f64,
    inactive_since: Option<Timestamp>,
    left_to_discard: u64,
    failing_since: Option<Timestamp>,
    failed_attempts: i64,
}

/// The health of a subscription's endpoint: of its URL without the query, which others may share.
pub(crate) async fn get(State(api): State<Api>, Read(caller): Read, Path(id): Path) -> Result<Response, Problem> {
    let id = path_id(&id)?;
    let catalogue = api.catalogue.newest_snapshot(caller.tenant_id).await?.ok_or_else(Problem::not_found)?;
    let subscription = catalogue.get(id).ok_or_else(Problem::not_found)?;
    let lane = subscription.lane;
    let backlog = api.journal.backlog(caller.tenant_id, lane).await?;
    let streaks = api.statistics.failing(caller.tenant_id).await?;
    let streak = streaks.into_iter().find(|(failing, _)| *failing == id).map(|(_, streak)| streak);
    let now = api.world.now();
    let health = api.lanes.as_ref().map(|lanes| lanes.health(lane, now));
    Ok(json::ok(&HealthJson {
        webhook_id: id,
        state: health.map(|health| health.state.name()),
        in_flight: health.map(|health| health.in_flight),
        in_flight_limit: health.map(|health| health.limit),
        next_probe_at: health.and_then(|health| health.next_probe_at),
        queue_depth: backlog.pending,
        oldest_due_at: backlog.oldest_due_at,
        inactive_since: subscription.discard_through.filter(|_| !subscription.settings.is_active),
        left_to_discard: api.journal.left_to_discard(caller.tenant_id, id).await?,
        failing_since: streak.map(|streak| streak.since),
        failed_attempts: streak.map_or(0, |streak| streak.attempts),
        oldest_age_seconds: backlog.oldest_due_at.map_or(0.0, |due| now.since(due).as_secs_f64()),
    }))
}
