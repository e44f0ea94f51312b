//! Statistics over time.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use uuid::Uuid;

/// What happened in a period, in steps. Attempts are counted some seconds, events a minute after they happened.
#[derive(ToSchema)]
#[schema(example = json!({
    "since": "2026-01-19T10:30:00.000000+00:00", "until": "2026-01-19T10:31:00.000000+00:00", "step": 60,
    "total": {"events": 600, "attempts": 610, "delivered": 600, "failed": 0, "outcomes": {"success": 600, "timeout": 10},
        "attempt_ms": 41.7, "latency_ms": {"p50": 45.1, "p95": 90.2, "p99": 180.4}},
    "series": [{"at": "2026-01-19T10:30:00.000000+00:00", "events": 600, "attempts": 610, "delivered": 600, "failed": 0,
        "outcomes": {"success": 600, "timeout": 10}, "attempt_ms": 41.7,
        "latency_ms": {"p50": 45.1, "p95": 90.2, "p99": 180.4}}],
    "queue": {"pending": 0, "pending_is_exact": true, "oldest_age_seconds": 0.0}, "failing": []
}))]
pub(in super::super) struct Statistics {
    /// Whose, if it is one webhook's.
    #[schema(nullable = false)]
    webhook_id: Option<Uuid>,
    /// The beginning of the first step.
    #[schema(format = DateTime)]
    since: String,
    /// The end of the last step.
    #[schema(format = DateTime)]
    until: String,
    /// Seconds of each step.
    step: i64,
    /// All steps together.
    total: StatisticsCounts,
    /// Each step, those of nothing too.
    series: Vec<StatisticsPoint>,
    /// What waits now.
    queue: StatisticsQueue,
    /// Webhooks whose last attempts all failed; of a tenant.
    #[schema(nullable = false)]
    failing: Option<Vec<FailingWebhook>>,
    /// How many webhooks fail, by tenant; of the installation.
    #[schema(nullable = false)]
    failing_by_tenant: Option<Vec<FailingTenant>>,
    /// The processes that serve on a shared database; of the installation.
    #[schema(nullable = false)]
    nodes: Option<Vec<NodeInfo>>,
}

/// One step.
#[derive(ToSchema)]
struct StatisticsPoint {
    /// Its beginning.
    #[schema(format = DateTime)]
    at: String,
    /// What was counted.
    #[serde(flatten)]
    counts: StatisticsCounts,
}

/// What was counted.
#[derive(ToSchema)]
struct StatisticsCounts {
    /// Events that were accepted; none of a webhook.
    events: i64,
    /// Requests that were made.
    attempts: i64,
    /// Attempts that delivered.
    delivered: i64,
    /// Deliveries that ended failed.
    failed: i64,
    /// Attempts by how they ended; those of none are left out.
    outcomes: BTreeMap<String, i64>,
    /// How long an attempt took, on average, in milliseconds.
    #[schema(required)]
    attempt_ms: Option<f64>,
    /// From publication to delivery.
    latency_ms: StatisticsLatency,
}

/// In milliseconds, to within a tenth; null if nothing was delivered.
#[derive(ToSchema)]
struct StatisticsLatency {
    /// Half took no longer.
    #[schema(required)]
    p50: Option<f64>,
    /// 95 % took no longer.
    #[schema(required)]
    p95: Option<f64>,
    /// 99 % took no longer.
    #[schema(required)]
    p99: Option<f64>,
}

/// What waits to be sent.
#[derive(ToSchema)]
struct StatisticsQueue {
    /// Pending deliveries.
    pending: i64,
    /// Whether these are all; if not, the count was given up.
    pending_is_exact: bool,
    /// For how long the one that is due the longest has been.
    oldest_age_seconds: f64,
}

/// A webhook whose last attempts all failed.
#[derive(ToSchema)]
struct FailingWebhook {
    /// Which.
    webhook_id: Uuid,
    /// When the first of them ended.
    #[schema(format = DateTime)]
    since: String,
    /// When the last did.
    #[schema(format = DateTime)]
    last_at: String,
    /// How many.
    attempts: i64,
}

/// How many webhooks of a tenant fail.
#[derive(ToSchema)]
struct FailingTenant {
    /// Whose.
    tenant_id: Uuid,
    /// How many active ones.
    webhooks: i64,
}

/// A process that serves.
#[derive(ToSchema)]
struct NodeInfo {
    /// Its number.
    number: i64,
    /// When it began.
    #[schema(format = DateTime)]
    started_at: String,
}
