//! What is done with events whose deliveries have ended: wiped of what may be personal, or deleted. Many at once: a
//! statement for each would hold up who writes.

use std::collections::HashSet;

use postrider_core::{EventId, TenantId};

use super::dialect::RowSet;
use super::ids::{IDS, id_rows};
use super::{Dialect, Query};
use crate::error::Result;

/// Locks events against being opened again. Those that it was done for: nobody did so since they were found, or is at it.
pub(super) async fn lock_ended<DB: Dialect>(
    db: &mut DB::Connection,
    tenant_id: TenantId,
    events: &[EventId],
) -> Result<Vec<EventId>> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let locked = of_events::<DB>(lock::<DB>(), tenant_id, events).rows(db).await?;
    // A statement of its own: it sees what was committed before the locks were had.
    let pending = of_events::<DB>(select_pending::<DB>(), tenant_id, events).rows(db).await?;
    let pending: HashSet<EventId> = pending.iter().map(|row| row.id(0)).collect::<Result<_>>()?;
    let locked: Vec<EventId> = locked.iter().map(|row| row.id(0)).collect::<Result<_>>()?;
    Ok(locked.into_iter().filter(|id| !pending.contains(id)).collect())
}

/// Wipes what may hold personal data: what was sent, and what receivers answered.
pub(super) async fn wipe_payloads<DB: Dialect>(
    db: &mut DB::Connection,
    tenant_id: TenantId,
    events: &[EventId],
) -> Result<()> {
    if !events.is_empty() {
        of_events::<DB>(wipe_events::<DB>(), tenant_id, events).run(db).await?;
        of_events::<DB>(wipe_answers::<DB>(), tenant_id, events).run(db).await?;
    }
    Ok(())
}

/// Deletes events with their deliveries and what belongs to these; counts the deliveries.
pub(super) async fn delete_events<DB: Dialect>(
    db: &mut DB::Connection,
    tenant_id: TenantId,
    events: &[EventId],
) -> Result<i64> {
    if events.is_empty() {
        return Ok(0);
    }
    for table in OF_DELIVERIES {
        of_events::<DB>(delete_of_deliveries::<DB>(table), tenant_id, events).run(db).await?;
    }
    let deleted = of_events::<DB>(delete_deliveries::<DB>(), tenant_id, events).run(db).await?;
    of_events::<DB>(delete::<DB>(), tenant_id, events).run(db).await?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}

/// Tables of what belongs to deliveries.
const OF_DELIVERIES: [&str; 2] = ["attempts", "reopenings"];

fn lock<DB: Dialect>() -> String {
    format!("select id from events where tenant_id = $1 and id in ({}) {}", ids::<DB>(), DB::LOCKED_OR_SKIPPED)
}

fn select_pending<DB: Dialect>() -> String {
    format!(
        "select distinct event_id from deliveries {} where event_id in ({}) and tenant_id = $1 and state = 0",
        DB::BY_EVENT,
        ids::<DB>()
    )
}

fn wipe_events<DB: Dialect>() -> String {
    format!("update events set payload = null, metadata = null where tenant_id = $1 and id in ({})", ids::<DB>())
}

fn wipe_answers<DB: Dialect>() -> String {
    let deliveries = deliveries::<DB>();
    format!("update attempts set response_body = null where tenant_id = $1 and delivery_id in ({deliveries})")
}

fn delete_of_deliveries<DB: Dialect>(table: &str) -> String {
    format!("delete from {table} where tenant_id = $1 and delivery_id in ({})", deliveries::<DB>())
}

fn delete_deliveries<DB: Dialect>() -> String {
    format!("delete from deliveries {} where event_id in ({}) and tenant_id = $1", DB::BY_EVENT, ids::<DB>())
}

fn delete<DB: Dialect>() -> String {
    format!("delete from events where tenant_id = $1 and id in ({})", ids::<DB>())
}

/// The ids of all deliveries of the events.
fn deliveries<DB: Dialect>() -> String {
    format!("select d.id from deliveries d {} where d.event_id in ({})", DB::BY_EVENT, ids::<DB>())
}

/// The events, which are bound from parameter 2 on.
fn ids<DB: Dialect>() -> String {
    format!("select r.id from {} r", DB::Rows::source(IDS, 2))
}

/// A statement about events of a tenant.
fn of_events<DB: Dialect>(sql: String, tenant_id: TenantId, events: &[EventId]) -> Query<DB> {
    Query::<DB>::assembled(sql).id(tenant_id.uuid()).bind_rows(id_rows::<DB>(events.iter().map(|id| id.uuid())))
}

#[cfg(test)]
mod tests {
    use sqlx::Sqlite;

    use super::*;
    use crate::sql::plan::plan_of;

    /// A planner that knows no better goes through all that a tenant has.
    #[tokio::test]
    async fn rows_are_found_by_their_event() {
        let of_deliveries = OF_DELIVERIES.map(delete_of_deliveries::<Sqlite>);
        let others = [
            lock::<Sqlite>(),
            select_pending::<Sqlite>(),
            wipe_events::<Sqlite>(),
            wipe_answers::<Sqlite>(),
            delete_deliveries::<Sqlite>(),
            delete::<Sqlite>(),
        ];
        for sql in of_deliveries.into_iter().chain(others) {
            for step in plan_of(&sql).await {
                let is_slow =
                    step.ends_with("(tenant_id=?)") || (step.starts_with("SCAN") && !step.contains("json_each"));
                assert!(!is_slow, "{sql}: {step}");
            }
        }
    }
}
