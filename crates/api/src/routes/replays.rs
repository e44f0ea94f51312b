//! `/api/v1/replays/`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use postrider_core::replay::{Count, DEFAULT_RATE, MAX_RATE, Replay, ReplayScope, ReplayState, ReplayStatus};
use postrider_core::{DeliveryId, EventId, ReplayId, SubscriptionId, TenantId, Timestamp};
use postrider_store::{ReplayPreview, ReplaySample};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::path_id;
use crate::auth::{Manage, Read};
use crate::body::JsonBody;
use crate::fields::{self, Fields, boolean, integer, name_up_to, text, time};
use crate::json;
use crate::params::{Params, Path};
use crate::problem::Problem;
use crate::state::Api;

/// Bytes of an event type's name.
const NAME_LIMIT: usize = 128;

/// A replay as people see it.
#[derive(Serialize)]
struct ReplayJson {
    id: ReplayId,
    webhook_id: Option<SubscriptionId>,
    event_type: Option<String>,
    status: &'static str,
    since: Timestamp,
    until: Timestamp,
    rate_limit: u32,
    state: &'static str,
    count: i64,
    count_is_exact: bool,
    replayed: i64,
    skipped: i64,
    progress: f64,
    created_at: Timestamp,
    updated_at: Timestamp,
    finished_at: Option<Timestamp>,
    /// Shown when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<Vec<SampleJson>>,
}

/// One of what it means.
#[derive(Serialize)]
struct SampleJson {
    event_id: EventId,
    event_type: String,
    created_at: Timestamp,
    delivery_id: Option<DeliveryId>,
    status: &'static str,
}

impl From<ReplaySample> for SampleJson {
    fn from(sample: ReplaySample) -> Self {
        let ReplaySample { event_id, event_type, created_at, delivery } = sample;
        let status = delivery.map_or_else(|| ReplayStatus::Missed.name(), |(_, state)| state.name());
        Self { event_id, event_type, created_at, delivery_id: delivery.map(|(id, _)| id), status }
    }
}

fn samples(preview: ReplayPreview) -> (Count, Vec<SampleJson>) {
    (preview.count, preview.sample.into_iter().map(SampleJson::from).collect())
}

impl ReplayJson {
    fn new(replay: Replay, sample: Option<Vec<SampleJson>>) -> Self {
        let progress = replay.progress();
        let ReplayScope { subscription_id, event_type, status, since, until } = replay.scope;
        Self {
            id: replay.id,
            webhook_id: subscription_id,
            event_type,
            status: status.name(),
            since,
            until,
            rate_limit: replay.rate,
            state: replay.state.name(),
            count: replay.total.count,
            count_is_exact: replay.total.is_exact,
            replayed: replay.replayed,
            skipped: replay.skipped,
            progress,
            created_at: replay.created_at,
            updated_at: replay.updated_at,
            finished_at: replay.finished_at,
            sample,
        }
    }
}

/// Sends again what happened in a period, or says what that would be.
pub(crate) async fn create(
    State(api): State<Api>,
    Manage(caller): Manage,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    let subscription_id: Option<SubscriptionId> = fields.optional("webhook_id", fields::id);
    let event_type = fields.optional("event_type", name_up_to(NAME_LIMIT));
    let status = fields.optional("status", read_status).unwrap_or(ReplayStatus::Undelivered);
    let since = fields.required("since", time);
    let until = fields.optional("until", time);
    let rate = fields.optional("rate_limit", integer(1, i64::from(MAX_RATE)));
    let is_dry_run = fields.optional("dry_run", boolean).unwrap_or(false);
    if status == ReplayStatus::Missed && subscription_id.is_none() {
        fields.error("webhook_id", "is required with the status `missed`: it says whose missed events are meant");
    }
    let since = since.take(&fields.finish()?);
    // What is made from now on is not sent again.
    let now = api.world.now();
    let until = until.unwrap_or(now).min(now);
    if since >= until {
        return Err(Problem::invalid_field("since", "must be before `until`, and in the past"));
    }
    if let Some(id) = subscription_id {
        check_webhook(&api, caller.tenant_id, id, is_dry_run).await?;
    }
    let scope = ReplayScope { subscription_id, event_type, status, since, until };
    let (count, sample) = samples(api.replays.preview_replay(caller.tenant_id, &scope).await?);
    if is_dry_run {
        let body = json!({"count": count.count, "count_is_exact": count.is_exact, "sample": sample});
        return Ok(json::ok(&body));
    }
    let rate = rate.and_then(|rate| u32::try_from(rate).ok()).unwrap_or(DEFAULT_RATE);
    let replay = api.replays.create_replay(caller.tenant_id, scope, rate, count).await?;
    Ok(json::answer(StatusCode::CREATED, &ReplayJson::new(replay, Some(sample))))
}

fn read_status(raw: &RawValue) -> Result<ReplayStatus, String> {
    let names = ReplayStatus::ALL.map(|(name, _)| name).join(", ");
    text(raw).ok().and_then(|name| ReplayStatus::named(&name)).ok_or_else(|| format!("must be one of {names}"))
}

/// To look is permitted while it is inactive.
async fn check_webhook(api: &Api, tenant_id: TenantId, id: SubscriptionId, is_look: bool) -> Result<(), Problem> {
    let catalogue = api.catalogue.newest_snapshot(tenant_id).await?.ok_or_else(Problem::not_found)?;
    let Some(subscription) = catalogue.get(id) else {
        return Err(Problem::invalid_field("webhook_id", "there is no such webhook"));
    };
    if is_look || subscription.settings.is_active {
        return Ok(());
    }
    Err(Problem::conflict("the webhook is inactive; activate it first"))
}

/// Replays, newest first.
pub(crate) async fn list(State(api): State<Api>, Read(caller): Read, mut params: Params) -> Result<Response, Problem> {
    let page = params.page();
    params.finish()?;
    let mut found = api.replays.replays(caller.tenant_id, page.and_one()).await?;
    let next_cursor = json::cut(&mut found, page, |replay| replay.id.uuid());
    let replays: Vec<ReplayJson> = found.into_iter().map(|replay| ReplayJson::new(replay, None)).collect();
    Ok(json::list("replays", &replays, Some(next_cursor)))
}

/// One replay and how far it is.
pub(crate) async fn get(State(api): State<Api>, Read(caller): Read, Path(id): Path) -> Result<Response, Problem> {
    show(&api, caller.tenant_id, path_id(&id)?).await
}

/// Opens no more deliveries until it is resumed.
pub(crate) async fn pause(State(api): State<Api>, Manage(caller): Manage, Path(id): Path) -> Result<Response, Problem> {
    turn(&api, caller.tenant_id, path_id(&id)?, ReplayState::Paused).await
}

/// Goes on with one that was paused.
pub(crate) async fn resume(
    State(api): State<Api>,
    Manage(caller): Manage,
    Path(id): Path,
) -> Result<Response, Problem> {
    turn(&api, caller.tenant_id, path_id(&id)?, ReplayState::Running).await
}

/// Ends it; what was opened stays so.
pub(crate) async fn cancel(
    State(api): State<Api>,
    Manage(caller): Manage,
    Path(id): Path,
) -> Result<Response, Problem> {
    turn(&api, caller.tenant_id, path_id(&id)?, ReplayState::Canceled).await
}

async fn turn(api: &Api, tenant_id: TenantId, id: ReplayId, next: ReplayState) -> Result<Response, Problem> {
    if api.replays.turn_replay(tenant_id, id, next).await? {
        return show(api, tenant_id, id).await;
    }
    let replay = api.replays.find_replay(tenant_id, id).await?.ok_or_else(Problem::not_found)?;
    Err(Problem::conflict(format!("the replay is {}", replay.state.name())))
}

async fn show(api: &Api, tenant_id: TenantId, id: ReplayId) -> Result<Response, Problem> {
    let replay = api.replays.find_replay(tenant_id, id).await?.ok_or_else(Problem::not_found)?;
    Ok(json::ok(&ReplayJson::new(replay, None)))
}
