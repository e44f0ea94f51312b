//! Writing down how claims ended: outcome, attempt and statistics in one transaction.

use std::collections::BTreeMap;

use postrider_core::Timestamp;
use postrider_core::attempt::Exchange;
use postrider_core::delivery::DeliveryState;
use postrider_core::lifecycle::{Decision, Fence, stats_change};
use postrider_core::target::TargetId;
use sqlx::error::BoxDynError;

use super::dialect::{Cells, Kind, RowSet, Schema, Step};
use super::{Dialect, Query};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::queue::Settlement;

const OUTCOME: Schema = &[
    ("tenant_id", Kind::Uuid),
    ("id", Kind::Uuid),
    ("claim", Kind::Int),
    ("state", Kind::Int),
    ("reason", Kind::Text),
    ("due_at", Kind::Int),
    ("attempted", Kind::Int),
];

pub(super) const ATTEMPT: Schema = &[
    ("tenant_id", Kind::Uuid),
    ("delivery_id", Kind::Uuid),
    ("claim", Kind::Int),
    ("number", Kind::Int),
    ("started_at", Kind::Int),
    ("outcome", Kind::Int),
    ("http_status", Kind::Int),
    ("message", Kind::Text),
    ("url", Kind::Text),
    ("request_headers", Kind::Text),
    ("response_headers", Kind::Text),
    ("response_body", Kind::Bytes),
    ("remote_address", Kind::Text),
    ("dns_us", Kind::Int),
    ("connect_us", Kind::Int),
    ("first_byte_us", Kind::Int),
    ("total_us", Kind::Int),
    ("late", Kind::Int),
];

const STATS: Schema =
    &[("target_id", Kind::Uuid), ("successful", Kind::Int), ("failed", Kind::Int), ("last_attempt_at", Kind::Int)];

/// Changes the rows that are still as their claims left them, with `now` at parameter 1 and the outcomes
/// behind it. Returns the ids of the changed ones. The claim is raised, so that the same
/// outcome, sent again because its commit was not heard of, finds the row changed.
///
/// `state + 0`: otherwise planners take the partial index on pending rows and scan it.
pub(super) fn update_step<DB: Dialect>() -> Step {
    let sql = format!(
        "update deliveries set state = r.state, reason = r.reason, due_at = coalesce(r.due_at, deliveries.due_at),
             lease_until = 0, claim = deliveries.claim + 1, strikes = 0, marks = 0,
             tries = deliveries.tries + r.attempted, attempts = deliveries.attempts + r.attempted,
             settled_at = $1
         from {} r
         where deliveries.tenant_id = r.tenant_id and deliveries.id = r.id and deliveries.claim = r.claim
             and deliveries.state + 0 = 0
         returning deliveries.id",
        DB::Rows::source(OUTCOME, 2)
    );
    Step { name: "settled", sql, returns: true }
}

pub(super) fn bind_update<DB: Dialect>(
    arguments: &mut DB::Arguments,
    settlements: &[&Settlement],
    now: Timestamp,
) -> Result<(), BoxDynError> {
    let mut rows = DB::Rows::new(OUTCOME);
    for settlement in settlements {
        put_outcome(&mut rows, settlement);
    }
    DB::bind(arguments, now.as_micros())?;
    rows.bind(arguments)
}

pub(super) fn put_outcome(rows: &mut impl Cells, settlement: &Settlement) {
    let Settlement { claim, decision, .. } = settlement;
    let due_at = if let Decision::Retry(due_at) = decision { Some(*due_at) } else { None };
    rows.uuid(Some(settlement.tenant_id.uuid()));
    rows.uuid(Some(settlement.delivery_id.uuid()));
    rows.int(Some(*claim));
    rows.int(Some(decision.state().code()));
    rows.text(decision.reason().as_deref());
    rows.time(due_at);
    rows.int(Some(i64::from(settlement.attempt.is_some())));
    rows.end_row();
}

/// How a settlement changed its row, if it did.
pub(super) struct Settled {
    /// The state before; `None` if the row was not changed.
    pub(super) from: Option<DeliveryState>,
    /// Whether there is an attempt to keep: not, if it is kept already, or retention took the delivery.
    pub(super) is_news: bool,
}

impl Settled {
    /// The row was as the claim had left it.
    pub(super) const IN_TIME: Self = Self { from: Some(DeliveryState::Pending), is_news: true };
}

/// A settlement that found its row otherwise than its claim had left it is decided again upon what the row says
/// now.
pub(super) async fn settle_late<DB: Dialect>(
    db: &mut Connection<DB>,
    late: &Settlement,
    now: Timestamp,
) -> Result<Settled> {
    let sql = format!(
        "select d.state, d.claim from deliveries d where d.tenant_id = $1 and d.id = $2 and not exists (
             select 1 from attempts a where a.delivery_id = d.id and a.claim = $3) {}",
        DB::LOCKED
    );
    let query = Query::<DB>::assembled(sql).id(late.tenant_id.uuid()).id(late.delivery_id.uuid()).bind(late.claim);
    let Some(row) = query.row(db).await? else { return Ok(Settled { from: None, is_news: false }) };
    let state = DeliveryState::from_code(row.get(0)?).ok_or(StoreError::Damaged("a delivery's state"))?;
    let fence = Fence { claimed: late.claim, claim: row.get(1)?, state };
    tracing::info!(delivery_id = %late.delivery_id, ?fence, decision = ?late.decision, "settled late");
    let attempted = i64::from(late.attempt.is_some());
    let admitted = fence.admits(&late.decision);
    let sql = if admitted {
        "update deliveries set state = $4, reason = null, lease_until = 0, claim = claim + 1, strikes = 0, marks = 0,
             tries = tries + $3, attempts = attempts + $3, settled_at = $5
         where tenant_id = $1 and id = $2"
    } else {
        "update deliveries set attempts = attempts + $3 where tenant_id = $1 and id = $2"
    };
    let query = Query::<DB>::new(sql).id(late.tenant_id.uuid()).id(late.delivery_id.uuid()).bind(attempted);
    let query = if admitted { query.bind(late.decision.state().code()).time(now) } else { query };
    query.run(db).await?;
    Ok(Settled { from: admitted.then_some(state), is_news: true })
}

/// What a settlement adds to its target's statistics, if it changes its row.
const STATS_EACH: Schema = &[
    ("delivery_id", Kind::Uuid),
    ("target_id", Kind::Uuid),
    ("successful", Kind::Int),
    ("failed", Kind::Int),
    ("last_attempt_at", Kind::Int),
];

/// Everything in one go: the outcomes, and the attempts and statistics of those that changed their rows. For databases
/// that run a script as one statement; returns the ids of the changed rows. `now` is parameter 1, the outcomes
/// follow, then the node, the attempts and the statistics.
pub(super) fn whole_steps<DB: Dialect>() -> Vec<Step> {
    let node = 2 + DB::Rows::parameters(OUTCOME);
    let attempts = node + 1;
    let stats = attempts + DB::Rows::parameters(ATTEMPT);
    // `is true`: a join would be a loop in a loop, as planners expect few rows; this is a lookup in a hash.
    let is_changed = "where (r.delivery_id in (select s.id from settled s)) is true";
    let kept = insert_attempts(&DB::Rows::source(ATTEMPT, attempts), is_changed);
    let counted = add_stats(&format!(
        "select r.target_id, ${node}, sum(r.successful), sum(r.failed), max(r.last_attempt_at) from {} r {is_changed}
         group by r.target_id",
        DB::Rows::source(STATS_EACH, stats)
    ));
    let step = |name, sql| Step { name, sql, returns: false };
    vec![update_step::<DB>(), step("kept", kept), step("counted", counted)]
}

pub(super) fn bind_whole<DB: Dialect>(
    arguments: &mut DB::Arguments,
    settlements: &[&Settlement],
    node: i64,
    now: Timestamp,
) -> Result<(), BoxDynError> {
    // In the order in which everybody locks deliveries: the update looks them up one by one.
    let mut settlements = settlements.to_vec();
    settlements.sort_unstable_by_key(|settlement| (settlement.tenant_id, settlement.delivery_id));
    bind_update::<DB>(arguments, &settlements, now)?;
    let (mut attempts, mut stats) = (DB::Rows::new(ATTEMPT), DB::Rows::new(STATS_EACH));
    for settlement in settlements {
        put_attempt(&mut attempts, settlement, &Settled::IN_TIME);
        let mut change = StatsChange::default();
        change.note(settlement, &Settled::IN_TIME);
        if change.is_counted(&settlement.target) {
            stats.uuid(Some(settlement.delivery_id.uuid()));
            change.put(&mut stats, settlement.target);
        }
    }
    DB::bind(arguments, node)?;
    attempts.bind(arguments)?;
    stats.bind(arguments)
}

/// Keeps attempts, given rows of them under the name `r`, and a condition.
fn insert_attempts(rows: &str, condition: &str) -> String {
    let columns = ATTEMPT.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    format!(
        "insert into attempts ({columns}) select {columns} from {rows} r {condition}
         on conflict (delivery_id, claim) where delivery_id is not null do nothing"
    )
}

/// Adds up what targets have seen, given rows of a target, a node, two numbers and a time.
pub(super) fn add_stats(rows: &str) -> String {
    format!(
        "insert into target_stats (target_id, node, successful, failed, last_attempt_at) {rows}
         on conflict (target_id, node) do update set
             successful = target_stats.successful + excluded.successful,
             failed = target_stats.failed + excluded.failed,
             last_attempt_at = coalesce(
                 case when excluded.last_attempt_at > target_stats.last_attempt_at
                     then excluded.last_attempt_at else target_stats.last_attempt_at end,
                 excluded.last_attempt_at)"
    )
}

/// Records the attempt and the statistics of one settlement, with the node at parameter 1 and the rows behind it.
pub(super) fn record_steps<DB: Dialect>() -> Vec<Step> {
    let attempts = insert_attempts(&DB::Rows::source(ATTEMPT, 2), "where true");
    let stats = add_stats(&format!(
        "select r.target_id, $1, r.successful, r.failed, r.last_attempt_at from {} r where true",
        DB::Rows::source(STATS, 2 + DB::Rows::parameters(ATTEMPT))
    ));
    vec![Step { name: "kept", sql: attempts, returns: false }, Step { name: "counted", sql: stats, returns: false }]
}

pub(super) fn bind_record<DB: Dialect>(
    arguments: &mut DB::Arguments,
    settlement: &Settlement,
    settled: &Settled,
    node: i64,
) -> Result<(), BoxDynError> {
    let (mut attempts, mut stats) = (DB::Rows::new(ATTEMPT), DB::Rows::new(STATS));
    put_attempt(&mut attempts, settlement, settled);
    let mut change = StatsChange::default();
    change.note(settlement, settled);
    if change.is_counted(&settlement.target) {
        change.put(&mut stats, settlement.target);
    }
    DB::bind(arguments, node)?;
    attempts.bind(arguments)?;
    stats.bind(arguments)
}

/// The attempt of a settlement, if there is one to keep. Whether there was.
pub(super) fn put_attempt(rows: &mut impl Cells, settlement: &Settlement, settled: &Settled) -> bool {
    let Some((number, exchange)) = settlement.attempt.as_ref().filter(|_| settled.is_news) else { return false };
    rows.uuid(Some(settlement.tenant_id.uuid()));
    rows.uuid(Some(settlement.delivery_id.uuid()));
    rows.int(Some(settlement.claim));
    rows.int(Some(*number));
    put_exchange(rows, exchange, settled.from.is_none());
    true
}

/// What targets have seen in one batch.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<TargetId, StatsChange>);

impl Seen {
    /// One that was in time.
    pub(super) fn note(&mut self, settlement: &Settlement) {
        self.0.entry(settlement.target).or_default().note(settlement, &Settled::IN_TIME);
    }

    /// Puts in a row for each target and runs the statement for it.
    pub(super) fn put_each<C: Cells, E>(&self, rows: &mut C, run: impl Fn(&mut C) -> Result<(), E>) -> Result<(), E> {
        for (target, change) in self.0.iter().filter(|(target, change)| change.is_counted(target)) {
            change.put(rows, *target);
            run(rows)?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct StatsChange {
    successful: i64,
    failed: i64,
    last_attempt_at: Option<Timestamp>,
}

impl StatsChange {
    fn note(&mut self, settlement: &Settlement, settled: &Settled) {
        if let Some(from) = settled.from {
            self.count(from, settlement.decision.state());
        }
        if let Some((_, exchange)) = settlement.attempt.as_ref().filter(|_| settled.is_news) {
            self.last_attempt_at = self.last_attempt_at.max(Some(exchange.started_at));
        }
    }

    fn put(&self, rows: &mut impl Cells, target: TargetId) {
        rows.uuid(Some(target.uuid()));
        rows.int(Some(self.successful));
        rows.int(Some(self.failed));
        rows.time(self.last_attempt_at);
        rows.end_row();
    }

    fn count(&mut self, from: DeliveryState, to: DeliveryState) {
        let (successful, failed) = stats_change(from, to);
        self.successful += successful;
        self.failed += failed;
    }

    const fn is_counted(&self, target: &TargetId) -> bool {
        match target {
            TargetId::Subscription(_) => self.successful != 0 || self.failed != 0 || self.last_attempt_at.is_some(),
            // That it was used at all is what retention asks for.
            TargetId::Callback(_) => true,
            // It has but one delivery: there is nothing to sum up.
            TargetId::OneOff(_) => false,
        }
    }
}

/// The columns of [`ATTEMPT`] from `started_at` on, and the end of the row.
pub(super) fn put_exchange(rows: &mut impl Cells, exchange: &Exchange, late: bool) {
    let response = exchange.result.as_ref().ok();
    rows.time(Some(exchange.started_at));
    rows.int(Some(exchange.outcome().code()));
    rows.int(exchange.status().map(i64::from));
    rows.text(Some(&exchange.message()));
    rows.text(Some(&exchange.url));
    rows.text(Some(exchange.request_headers.as_json()));
    rows.text(Some(response.map_or("{}", |response| response.headers.as_json())));
    rows.bytes(response.map(|response| response.body.as_slice()));
    rows.text(exchange.remote_address.as_deref());
    rows.int(exchange.timings.dns_us);
    rows.int(exchange.timings.connect_us);
    rows.int(exchange.timings.first_byte_us);
    rows.int(Some(exchange.timings.total_us));
    rows.int(Some(i64::from(late)));
    rows.end_row();
}
