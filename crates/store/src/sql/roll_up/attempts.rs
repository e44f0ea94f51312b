//! Counts attempts.

use postrider_core::attempt::AttemptOutcome;
use postrider_core::failing::StreakChange;
use postrider_core::target::TargetId;
use postrider_core::{TenantId, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

use super::counts::Counts;
use super::{SETTLED, is_full};
use crate::db::Connection;
use crate::error::Result;
use crate::measure;
use crate::sql::dialect::{Kind, Schema};
use crate::sql::{Dialect, Query};

const ATTEMPT: Schema = &[
    ("log_id", Kind::Int),
    ("ended_at", Kind::Int),
    ("took_us", Kind::Int),
    ("outcome", Kind::Int),
    ("tenant_id", Kind::Uuid),
    ("target_kind", Kind::Int),
    ("target_id", Kind::Uuid),
    ("opened_at", Kind::Int),
];

/// What is read of an attempt, in the order of [`ATTEMPT`].
#[derive(Deserialize)]
struct AttemptRow {
    log_id: i64,
    ended_at: i64,
    took_us: i64,
    outcome: i64,
    /// None of these is there of a test, or of a delivery that retention has taken since.
    tenant_id: Option<Uuid>,
    target_kind: Option<i64>,
    target_id: Option<Uuid>,
    opened_at: Option<i64>,
}

impl AttemptRow {
    /// One of which nothing but its number can be read: it is not counted.
    const fn damaged(log_id: i64) -> Self {
        let (tenant_id, target_kind, target_id, opened_at) = (None, None, None, None);
        Self { log_id, ended_at: 0, took_us: 0, outcome: 0, tenant_id, target_kind, target_id, opened_at }
    }
}

/// Counts a page of attempts in the order of their numbers, up to the first that is too young; the last that was, and
/// whether there are more.
pub(super) async fn count_attempts<DB: Dialect>(
    db: &mut Connection<DB>,
    after: i64,
    limit: i64,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<(i64, bool)> {
    let sql = format!(
        "select {} from (
             select a.log_id, a.started_at + a.total_us as ended_at, a.total_us as took_us, a.outcome,
                 d.tenant_id, d.target_kind, d.target_id, d.opened_at
             from attempts a left join deliveries d on d.tenant_id = a.tenant_id and d.id = a.delivery_id
             where a.log_id > $1 order by a.log_id limit $2) r",
        DB::packed(ATTEMPT)
    );
    let mut rows: Vec<AttemptRow> =
        Query::<DB>::assembled(sql).bind(after).bind(limit).packed(db, "an attempt", AttemptRow::damaged).await?;
    rows.sort_unstable_by_key(|row| row.log_id);
    let (mut last, has_more) = (after, is_full(rows.len(), limit));
    for row in rows {
        let ended_at = Timestamp::from_micros(row.ended_at);
        // One further in the future than clocks differ is of a clock that was set back.
        if (now - SETTLED..=now + SETTLED).contains(&ended_at) {
            return Ok((last, false));
        }
        last = row.log_id;
        let (Some(tenant_id), Some(kind), Some(target_id), Some(opened_at)) =
            (row.tenant_id.map(TenantId::from), row.target_kind, row.target_id, row.opened_at)
        else {
            continue;
        };
        let known = TargetId::from_stored(kind, target_id).zip(AttemptOutcome::from_code(row.outcome));
        let Some((target, outcome)) = known else {
            measure::damaged("attempts");
            tracing::error!(log_id = last, "an attempt cannot be read and is not counted");
            continue;
        };
        let opened_at = Timestamp::from_micros(opened_at);
        let is_success = outcome == AttemptOutcome::Success;
        let tally = counts.minute(tenant_id, Some(target), ended_at);
        tally.attempt(outcome, row.took_us);
        // Sent again since, it began anew.
        if is_success && opened_at <= ended_at {
            tally.latency.note(ended_at.since(opened_at));
        }
        if let Some(id) = target.subscription_id() {
            counts.streaks.entry(id).or_insert((tenant_id, StreakChange::default())).1.note(is_success, ended_at);
        }
    }
    Ok((last, has_more))
}
