//! What is done with events whose deliveries have ended: wiped of what may be personal, or deleted. Many at once: a
//! statement for each would hold up who writes.

use std::collections::HashSet;

use postrider_core::{EventId, TenantId};

use super::dialect::RowSet;
use super::events::{IDS, id_rows};
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
    let sql = format!(
        "select e.id from events e where e.tenant_id = $1 and e.id in (select r.id from {} r) {}",
        DB::Rows::source(IDS, 2),
        DB::LOCKED_OR_SKIPPED
    );
    let locked = of_events::<DB>(sql, tenant_id, events).rows(db).await?;
    // A statement of its own: it sees what was committed before the locks were had.
    let sql = format!(
        "select distinct d.event_id from deliveries d {}
         where d.event_id in (select r.id from {} r) and d.tenant_id = $1 and d.state = 0",
        DB::BY_EVENT,
        DB::Rows::source(IDS, 2)
    );
    let pending = of_events::<DB>(sql, tenant_id, events).rows(db).await?;
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
    if events.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "update events set payload = null, metadata = null
         where tenant_id = $1 and id in (select r.id from {} r)",
        DB::Rows::source(IDS, 2)
    );
    of_events::<DB>(sql, tenant_id, events).run(db).await?;
    let sql = format!(
        "update attempts set response_body = null where tenant_id = $1 and delivery_id in ({})",
        deliveries_of::<DB>()
    );
    of_events::<DB>(sql, tenant_id, events).run(db).await?;
    Ok(())
}

/// Deletes events with their deliveries and the attempts of these; counts the deliveries.
pub(super) async fn delete_events<DB: Dialect>(
    db: &mut DB::Connection,
    tenant_id: TenantId,
    events: &[EventId],
) -> Result<i64> {
    if events.is_empty() {
        return Ok(0);
    }
    for table in ["attempts", "reopenings"] {
        let sql = format!("delete from {table} where tenant_id = $1 and delivery_id in ({})", deliveries_of::<DB>());
        of_events::<DB>(sql, tenant_id, events).run(db).await?;
    }
    let source = DB::Rows::source(IDS, 2);
    let sql = format!("delete from deliveries where event_id in (select r.id from {source} r) and tenant_id = $1");
    let deleted = of_events::<DB>(sql, tenant_id, events).run(db).await?;
    let sql = format!("delete from events where tenant_id = $1 and id in (select r.id from {source} r)");
    of_events::<DB>(sql, tenant_id, events).run(db).await?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}

/// The ids of all deliveries of the events that are bound from parameter 2 on.
fn deliveries_of<DB: Dialect>() -> String {
    let source = DB::Rows::source(IDS, 2);
    format!("select d.id from deliveries d {} where d.event_id in (select r.id from {source} r)", DB::BY_EVENT)
}

/// A statement about events of a tenant.
fn of_events<DB: Dialect>(sql: String, tenant_id: TenantId, events: &[EventId]) -> Query<DB> {
    Query::<DB>::assembled(sql).id(tenant_id.uuid()).bind_rows(id_rows::<DB>(events.iter().copied()))
}
