//! `/api/v1/stats/`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use postrider_core::attempt::AttemptOutcome;
use postrider_core::failing::Streak;
use postrider_core::tally::{Tally, Width, begin_of};
use postrider_core::{SubscriptionId, TenantId, Timestamp};
use postrider_store::{Node, Waiting, Whose};
use serde::Serialize;

use crate::auth::{Operator, Read};
use crate::json;
use crate::params::Params;
use crate::problem::Problem;
use crate::state::Api;

/// Steps of a period, unless said otherwise.
const USUAL_STEPS: i64 = 60;
/// The most.
const MOST_STEPS: i64 = 1_500;
/// The longest step, in seconds.
const LONGEST_STEP: i64 = 7 * 86_400;

/// A period in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Period {
    since: Timestamp,
    until: Timestamp,
    /// In seconds.
    step: i64,
}

impl Period {
    /// The period that is asked for, in whole steps: the last may be under way.
    fn read(params: &mut Params, now: Timestamp) -> Result<Self, Problem> {
        let what = format!("a number of seconds that is a multiple of 60, up to {LONGEST_STEP}");
        let is_step = |step: &i64| (60..=LONGEST_STEP).contains(step) && step % 60 == 0;
        let step = params.read("step", &what, |text| text.parse().ok().filter(is_step)).unwrap_or(60);
        // Nothing was counted of the future.
        let until = params.time("until").map_or(now, |until| until.min(now));
        let since = params.time("since").unwrap_or_else(|| until.plus_micros(-step * USUAL_STEPS * 1_000_000));
        let since = begin_of(since.max(Timestamp::from_micros(0)), step);
        let last = begin_of(until, step);
        let until = if last < until { last.plus_micros(step * 1_000_000) } else { last };
        let steps = (until.as_micros() - since.as_micros()) / (step * 1_000_000);
        match steps {
            ..=0 => Err(Problem::invalid_field("since", "must be before `until`, and in the past")),
            1..=MOST_STEPS => Ok(Self { since, until, step }),
            _ => Err(Problem::invalid_field("step", format!("makes more than {MOST_STEPS} steps; give a longer one"))),
        }
    }

    /// The beginnings of its steps.
    fn steps(self) -> impl Iterator<Item = Timestamp> {
        let step = self.step * 1_000_000;
        let count = (self.until.as_micros() - self.since.as_micros()) / step;
        (0..count).map(move |n| self.since.plus_micros(n * step))
    }
}

#[derive(Serialize)]
struct StatsJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_id: Option<SubscriptionId>,
    since: Timestamp,
    until: Timestamp,
    step: i64,
    total: CountsJson,
    series: Vec<PointJson>,
    queue: QueueJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing: Option<Vec<FailingJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_by_tenant: Option<Vec<FailingTenantJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<Vec<NodeJson>>,
}

#[derive(Serialize)]
struct PointJson {
    at: Timestamp,
    #[serde(flatten)]
    counts: CountsJson,
}

#[derive(Serialize)]
struct CountsJson {
    events: i64,
    attempts: i64,
    delivered: i64,
    failed: i64,
    outcomes: BTreeMap<&'static str, i64>,
    attempt_ms: Option<f64>,
    latency_ms: LatencyJson,
}

/// From publication to delivery.
#[derive(Serialize)]
struct LatencyJson {
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

#[derive(Serialize)]
struct QueueJson {
    pending: i64,
    pending_is_exact: bool,
    oldest_age_seconds: f64,
}

#[derive(Serialize)]
struct FailingJson {
    webhook_id: SubscriptionId,
    since: Timestamp,
    last_at: Timestamp,
    attempts: i64,
}

#[derive(Serialize)]
struct FailingTenantJson {
    tenant_id: TenantId,
    webhooks: i64,
}

#[derive(Serialize)]
struct NodeJson {
    number: i64,
    started_at: Timestamp,
}

impl CountsJson {
    fn of(tally: &Tally) -> Self {
        let outcomes = AttemptOutcome::ALL.map(|outcome| (outcome.name(), tally.attempts_with(outcome)));
        let quantile = |share| tally.latency.quantile(share).map(millis);
        let attempts = tally.attempts();
        let each =
            (attempts > 0).then(|| Duration::from_micros(u64::try_from(tally.attempts_us / attempts).unwrap_or(0)));
        Self {
            events: tally.events,
            attempts,
            delivered: tally.delivered(),
            failed: tally.failed,
            outcomes: outcomes.into_iter().filter(|(_, count)| *count > 0).collect(),
            attempt_ms: each.map(millis),
            latency_ms: LatencyJson { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) },
        }
    }
}

/// To the hundredth.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}

impl QueueJson {
    fn new(waiting: Waiting, now: Timestamp) -> Self {
        Self {
            pending: waiting.pending,
            pending_is_exact: waiting.is_exact,
            oldest_age_seconds: waiting.oldest_due_at.map_or(0.0, |due| now.since(due).as_secs_f64()),
        }
    }
}

/// What happened in a tenant, or to a webhook, in steps.
pub(crate) async fn get(State(api): State<Api>, Read(caller): Read, mut params: Params) -> Result<Response, Problem> {
    let webhook_id = params.id("webhook_id");
    let period = Period::read(&mut params, api.world.now())?;
    params.finish()?;
    let whose = webhook_id.map_or(Whose::Tenant(caller.tenant_id), |id| Whose::Subscription(caller.tenant_id, id));
    let failing = api.statistics.failing(caller.tenant_id).await?;
    let is_meant = |id: SubscriptionId| webhook_id.is_none_or(|wanted| wanted == id);
    let failing = failing.into_iter().filter(|(id, _)| is_meant(*id)).map(|(webhook_id, streak)| {
        let Streak { since, last_at, attempts } = streak;
        FailingJson { webhook_id, since, last_at, attempts }
    });
    let stats = StatsJson { webhook_id, failing: Some(failing.collect()), ..of(&api, whose, period).await? };
    Ok(json::ok(&stats))
}

/// What happened in the whole installation, for the operator.
pub(crate) async fn all(State(api): State<Api>, _: Operator, mut params: Params) -> Result<Response, Problem> {
    let period = Period::read(&mut params, api.world.now())?;
    params.finish()?;
    let failing = api.statistics.failing_by_tenant().await?.into_iter();
    let failing = failing.map(|(tenant_id, webhooks)| FailingTenantJson { tenant_id, webhooks }).collect();
    let nodes = api.statistics.nodes().await?.into_iter();
    let nodes = nodes.map(|Node { number, started_at }| NodeJson { number, started_at }).collect();
    let stats = of(&api, Whose::All, period).await?;
    Ok(json::ok(&StatsJson { failing_by_tenant: Some(failing), nodes: Some(nodes), ..stats }))
}

async fn of(api: &Api, whose: Whose, period: Period) -> Result<StatsJson, Problem> {
    let Period { since, until, step } = period;
    let tallies = api.statistics.tallies(whose, Width::for_step(step), since, until).await?;
    let (mut total, mut by_step) = (Tally::default(), HashMap::<Timestamp, Tally>::new());
    for (at, tally) in &tallies {
        total.add(tally);
        by_step.entry(begin_of(*at, step)).or_default().add(tally);
    }
    let nothing = Tally::default();
    let point = |at| PointJson { at, counts: CountsJson::of(by_step.get(&at).unwrap_or(&nothing)) };
    Ok(StatsJson {
        webhook_id: None,
        since,
        until,
        step,
        total: CountsJson::of(&total),
        series: period.steps().map(point).collect(),
        queue: QueueJson::new(api.statistics.waiting(whose).await?, api.world.now()),
        failing: None,
        failing_by_tenant: None,
        nodes: None,
    })
}
