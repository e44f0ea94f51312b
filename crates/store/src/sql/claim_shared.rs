//! Claiming in a database that other processes claim in too: what they are about to claim is left to them.

use postrider_core::Timestamp;

use super::claimed_row::{COLUMNS, ClaimWish};
use super::{Dialect, LEASE_MARGIN, Query, Row};
use crate::db::Connection;
use crate::error::Result;

/// Claims rows, with the timeout of their subscription, or the longest there is, and a margin as their lease.
pub(super) async fn claim_in<DB: Dialect>(
    db: &mut Connection<DB>,
    wish: ClaimWish,
    node: i64,
    now: Timestamp,
) -> Result<Vec<Row<DB>>> {
    Query::<DB>::assembled(claim::<DB>())
        .bind(wish.lane.0)
        .time(now)
        .bind(i64::try_from(wish.limit).unwrap_or(i64::MAX))
        .bind(i64::try_from(LEASE_MARGIN.as_micros()).unwrap_or(i64::MAX))
        .bind(node)
        .rows(db)
        .await
}

/// Parameters are the lane, the time, how many rows, the margin of the lease, and the node.
pub(super) fn claim<DB: Dialect>() -> String {
    format!(
        "with due as materialized (
             select d.tenant_id as due_tenant, d.id as due_id from deliveries d
             where d.state = 0 and d.lane = $1 and d.due_at <= $2 and d.lease_until <= $2
             order by d.due_at limit $3 {}
         )
         update deliveries set claim = claim + 1, strikes = strikes + 1, node = $5,
             lease_until = $2 + $4 + 1000000 * coalesce(
                 (select s.timeout_seconds from subscriptions s where s.id = deliveries.target_id), 30)
         from due where tenant_id = due_tenant and id = due_id
         returning {COLUMNS}",
        DB::LOCKED_OR_SKIPPED
    )
}
