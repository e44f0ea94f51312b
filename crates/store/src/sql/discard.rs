//! What is pending to a target is discarded, or goes another way.

use postrider_core::Timestamp;
use postrider_core::delivery::{DeliveryState, DiscardReason};
use postrider_core::lanes::LaneId;
use uuid::Uuid;

use super::bulk_jobs::{Job, PENDING_BEFORE, of_job};
use super::dialect::RowSet;
use super::ids::{KEYS, key_rows};
use super::{Dialect, Query};
use crate::db::Connection;
use crate::error::Result;

/// Ends those of these deliveries that are still pending. How many. Whoever is being sent right now may still end delivered:
/// that is a fact.
pub(super) async fn discard<DB: Dialect>(
    db: &mut Connection<DB>,
    job: &Job,
    ids: &[Uuid],
    reason: &DiscardReason,
    now: Timestamp,
) -> Result<u64> {
    let discarded = change_locked::<DB>(
        "state = $1, reason = $2, claim = claim + 1, lease_until = 0, strikes = 0, marks = 0, settled_at = $3",
        4,
    );
    let query =
        Query::<DB>::assembled(discarded).bind(DeliveryState::Discarded.code()).bind(reason.to_string()).time(now);
    query.bind_rows(key_rows::<DB>(job.tenant_id, ids.iter().copied())).run(db).await
}

/// Moves those of these deliveries that are still pending into another lane. How many.
pub(super) async fn change_lane<DB: Dialect>(
    db: &mut Connection<DB>,
    job: &Job,
    ids: &[Uuid],
    to: LaneId,
) -> Result<u64> {
    let query = Query::<DB>::assembled(change_locked::<DB>("lane = $1", 2)).bind(to.0);
    query.bind_rows(key_rows::<DB>(job.tenant_id, ids.iter().copied())).run(db).await
}

/// Some of the pending deliveries of a job, in the order of their ids.
pub(super) async fn find<DB: Dialect>(db: &mut Connection<DB>, job: &Job, limit: i64) -> Result<Vec<Uuid>> {
    let query = of_job(Query::<DB>::assembled(select_pending::<DB>()), job).bind(limit);
    let rows = query.rows(db).await?;
    let mut ids = rows.iter().map(|row| row.get(0)).collect::<Result<Vec<Uuid>>>()?;
    ids.sort_unstable();
    Ok(ids)
}

pub(super) fn select_pending<DB: Dialect>() -> String {
    format!("select d.id from deliveries d {} where {PENDING_BEFORE} limit $6", DB::BY_LANE)
}

/// Changes deliveries that are still pending, with the keys from parameter `keys` on. Locks them first, in the order in which
/// everybody does: an update by itself locks in the order of its plan.
pub(super) fn change_locked<DB: Dialect>(change: &str, keys: usize) -> String {
    format!(
        "with locked as materialized (
             select d.tenant_id as locked_tenant, d.id as locked_id
             from {} r join deliveries d on d.tenant_id = r.tenant_id and d.id = r.id
             where d.state + 0 = 0 order by {} {}
         )
         update deliveries set {change} from locked where tenant_id = locked_tenant and id = locked_id",
        DB::Rows::source(KEYS, keys),
        DB::sorted("d.id"),
        DB::LOCKED
    )
}

#[cfg(test)]
mod tests {
    use sqlx::Sqlite;

    use super::*;
    use crate::sql::plan::plan_of;

    /// A planner that knows no better goes through all that a tenant has.
    #[tokio::test]
    async fn rows_are_found_by_their_lane_and_their_ids() {
        for sql in [select_pending::<Sqlite>(), change_locked::<Sqlite>("lane = $1", 2)] {
            for step in plan_of(&sql).await {
                let is_slow =
                    step.ends_with("(tenant_id=?)") || (step.starts_with("SCAN") && step.contains("deliveries"));
                assert!(!is_slow, "{sql}: {step}");
            }
        }
    }
}
