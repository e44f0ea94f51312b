//! What is done with events whose deliveries have ended: wiped of what may be personal, or deleted. Many small ones at once,
//! since a statement for each would hold up who writes; large ones in parts, for the same reason.

use std::collections::HashSet;

use postrider_core::{EventId, TenantId};
use uuid::Uuid;

use super::dialect::RowSet;
use super::ids::{IDS, KEYS, id_rows, key_rows};
use super::upkeep::{Work, fitting};
use super::{Dialect, Query, Sql};
use crate::error::Result;

/// What is done with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// What was sent, and what receivers answered, is wiped: it may be personal.
    Wipe,
    /// It goes, with its deliveries and what belongs to these.
    Delete,
}

/// An event and how many rows its deliveries and their attempts are.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventSize {
    pub(super) id: EventId,
    pub(super) rows: usize,
}

impl<DB: Dialect> Sql<DB> {
    /// Wipes or deletes events, in pages; of one that is more than a page, a page. True if nothing is left to do. What cannot
    /// be done with an event is passed over. Events that are opened again meanwhile, or locked by others, stay as they are.
    pub(super) async fn end_events(&self, tenant_id: TenantId, ending: Ending, events: Vec<EventSize>) -> Result<bool> {
        let limit = self.page_limit(Work::Retention);
        let mut rest = &events[..];
        while !rest.is_empty() {
            let page = fitting(rest, limit, |event| event.rows);
            let ended = match page {
                [large] if large.rows > limit => self.end_part(tenant_id, ending, large.id, limit).await,
                page => self.end_whole(tenant_id, ending, page).await,
            };
            match ended {
                Ok(true) => rest = &rest[page.len()..],
                Ok(false) => return Ok(false),
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) if page.len() == 1 => {
                    let id = page[0].id;
                    self.note_passed_over(Work::Retention, id.uuid(), &format_args!("event {id}"), &error);
                    rest = &rest[1..];
                }
                // One of them is in the way of the others: each by itself.
                Err(_) => {
                    for event in page {
                        if !Box::pin(self.end_events(tenant_id, ending, vec![*event])).await? {
                            return Ok(false);
                        }
                    }
                    rest = &rest[page.len()..];
                }
            }
        }
        Ok(true)
    }

    /// A page of whole events. False if it did not end in time.
    async fn end_whole(&self, tenant_id: TenantId, ending: Ending, events: &[EventSize]) -> Result<bool> {
        let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
        let mut page = self.begin_page(Work::Retention).await?;
        let done = end_all::<DB>(&mut page.tx, tenant_id, ending, &ids, self.node.get()).await;
        Ok(self.end_page(page, done).await?.is_some())
    }

    /// A page of one event. True if nothing is left of what was to go.
    async fn end_part(&self, tenant_id: TenantId, ending: Ending, id: EventId, limit: usize) -> Result<bool> {
        let mut page = self.begin_page(Work::Retention).await?;
        let done = match ending {
            Ending::Wipe => wipe_part::<DB>(&mut page.tx, tenant_id, id, limit).await,
            Ending::Delete => delete_part::<DB>(&mut page.tx, tenant_id, id, limit, self.node.get()).await,
        };
        Ok(self.end_page(page, done).await?.unwrap_or(false))
    }
}

async fn end_all<DB: Dialect>(
    db: &mut DB::Connection,
    tenant_id: TenantId,
    ending: Ending,
    events: &[EventId],
    node: i64,
) -> Result<()> {
    let events = lock_ended::<DB>(db, tenant_id, events).await?;
    if events.is_empty() {
        return Ok(());
    }
    if ending == Ending::Wipe {
        by_keys::<DB>(wipe_events::<DB>(), tenant_id, uuids(&events)).run(db).await?;
        of_events::<DB>(wipe_answers::<DB>(), tenant_id, &events).run(db).await?;
        return Ok(());
    }
    for table in OF_DELIVERIES {
        of_events::<DB>(delete_of_deliveries::<DB>(table), tenant_id, &events).run(db).await?;
    }
    let deleted = of_events::<DB>(delete_deliveries::<DB>(), tenant_id, &events).run(db).await?;
    by_keys::<DB>(delete::<DB>("events"), tenant_id, uuids(&events)).run(db).await?;
    add_pruned::<DB>(db, tenant_id, node, deleted).await
}

/// Wipes some answers of an event's receivers and, when they are gone, its payload: as long as that is there, it is looked at
/// again.
async fn wipe_part<DB: Dialect>(
    db: &mut DB::Connection,
    tenant_id: TenantId,
    id: EventId,
    limit: usize,
) -> Result<bool> {
    let events = lock_ended::<DB>(db, tenant_id, &[id]).await?;
    if events.is_empty() {
        return Ok(true);
    }
    let query = Query::<DB>::assembled(wipe_some_answers::<DB>());
    let wiped = query.id(tenant_id.uuid()).id(id.uuid()).bind(as_number(limit)).run(db).await?;
    if wiped >= limit as u64 {
        return Ok(false);
    }
    by_keys::<DB>(wipe_events::<DB>(), tenant_id, uuids(&events)).run(db).await?;
    Ok(true)
}

/// Deletes some deliveries of an event, and the event when none is left. Its payload goes first: nobody opens it again.
async fn delete_part<DB: Dialect>(
    db: &mut DB::Connection,
    tenant_id: TenantId,
    id: EventId,
    limit: usize,
    node: i64,
) -> Result<bool> {
    let events = lock_ended::<DB>(db, tenant_id, &[id]).await?;
    if events.is_empty() {
        return Ok(true);
    }
    by_keys::<DB>(wipe_events::<DB>(), tenant_id, uuids(&events)).run(db).await?;
    let query = Query::<DB>::assembled(some_deliveries::<DB>());
    let rows = query.id(tenant_id.uuid()).id(id.uuid()).bind(as_number(limit)).rows(db).await?;
    let sizes: Vec<(Uuid, usize)> = rows
        .iter()
        .map(|row| Ok((row.get(0)?, usize::try_from(row.get::<i64>(1)?).unwrap_or(usize::MAX))))
        .collect::<Result<_>>()?;
    let some = fitting(&sizes, limit, |(_, attempts)| attempts.saturating_add(1));
    for table in OF_DELIVERIES {
        let ids = id_rows::<DB>(some.iter().map(|(id, _)| *id));
        Query::<DB>::assembled(delete_by_delivery::<DB>(table)).id(tenant_id.uuid()).bind_rows(ids).run(db).await?;
    }
    by_keys::<DB>(delete::<DB>("deliveries"), tenant_id, some.iter().map(|(id, _)| *id)).run(db).await?;
    add_pruned::<DB>(db, tenant_id, node, some.len() as u64).await?;
    if some.len() < sizes.len() || sizes.len() >= limit {
        return Ok(false);
    }
    by_keys::<DB>(delete::<DB>("events"), tenant_id, uuids(&events)).run(db).await?;
    Ok(true)
}

fn as_number(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Counts deliveries that retention took.
async fn add_pruned<DB: Dialect>(db: &mut DB::Connection, tenant_id: TenantId, node: i64, pruned: u64) -> Result<()> {
    if pruned == 0 {
        return Ok(());
    }
    Query::<DB>::new(
        "insert into tenant_stats (tenant_id, node, made, pruned) values ($1, $2, 0, $3)
         on conflict (tenant_id, node) do update set pruned = tenant_stats.pruned + excluded.pruned",
    )
    .id(tenant_id.uuid())
    .bind(node)
    .bind(i64::try_from(pruned).unwrap_or(i64::MAX))
    .run(db)
    .await?;
    Ok(())
}

/// All statements, for tests of their plans.
#[cfg(debug_assertions)]
pub(super) fn statements<DB: Dialect>() -> Vec<String> {
    let of_deliveries = OF_DELIVERIES.map(delete_of_deliveries::<DB>);
    let by_delivery = OF_DELIVERIES.map(delete_by_delivery::<DB>);
    let others = [
        wipe_some_answers::<DB>(),
        some_deliveries::<DB>(),
        lock::<DB>(),
        select_pending::<DB>(),
        wipe_events::<DB>(),
        wipe_answers::<DB>(),
        delete_deliveries::<DB>(),
        delete::<DB>("events"),
        delete::<DB>("deliveries"),
    ];
    of_deliveries.into_iter().chain(by_delivery).chain(others).collect()
}

/// Locks events against being opened again, in the order of their ids. Those that it was done for: nobody did so since they
/// were found, or is at it.
async fn lock_ended<DB: Dialect>(
    db: &mut DB::Connection,
    tenant_id: TenantId,
    events: &[EventId],
) -> Result<Vec<EventId>> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let locked = by_keys::<DB>(lock::<DB>(), tenant_id, uuids(events)).rows(db).await?;
    // A statement of its own: it sees what was committed before the locks were had.
    let pending = of_events::<DB>(select_pending::<DB>(), tenant_id, events).rows(db).await?;
    let pending: HashSet<EventId> = pending.iter().map(|row| row.id(0)).collect::<Result<_>>()?;
    let locked: Vec<EventId> = locked.iter().map(|row| row.id(0)).collect::<Result<_>>()?;
    Ok(locked.into_iter().filter(|id| !pending.contains(id)).collect())
}

/// Tables of what belongs to deliveries.
const OF_DELIVERIES: [&str; 2] = ["attempts", "reopenings"];

fn lock<DB: Dialect>() -> String {
    format!(
        "select e.id from {} r join events e on e.tenant_id = r.tenant_id and e.id = r.id order by {} {}",
        DB::Rows::source(KEYS, 1),
        DB::sorted("e.id"),
        DB::LOCKED_OR_SKIPPED
    )
}

fn select_pending<DB: Dialect>() -> String {
    format!(
        "select distinct event_id from deliveries {}
         where event_id {} and (tenant_id = $1) is true and state + 0 = 0",
        DB::BY_EVENT,
        ids::<DB>()
    )
}

fn wipe_events<DB: Dialect>() -> String {
    format!(
        "update events set payload = null, metadata = null from {} r
         where events.tenant_id = r.tenant_id and events.id = r.id",
        DB::Rows::source(KEYS, 1)
    )
}

fn wipe_answers<DB: Dialect>() -> String {
    let deliveries = deliveries::<DB>();
    format!("update attempts set response_body = null where tenant_id = $1 and delivery_id {deliveries}")
}

fn delete_of_deliveries<DB: Dialect>(table: &str) -> String {
    format!("delete from {table} where tenant_id = $1 and delivery_id {}", deliveries::<DB>())
}

/// Some answers of an event's receivers: parameters are the tenant, the event, and how many.
fn wipe_some_answers<DB: Dialect>() -> String {
    format!(
        "update attempts set response_body = null where tenant_id = $1 and log_id in (
             select a.log_id from deliveries d {} cross join attempts a
             where d.event_id = $2 and a.delivery_id = d.id and a.delivery_id is not null
                 and a.response_body is not null
             limit $3)",
        DB::BY_EVENT
    )
}

/// Some deliveries of an event and how many attempts they had: parameters are the tenant, the event, and how many.
fn some_deliveries<DB: Dialect>() -> String {
    format!(
        "select d.id, d.attempts from deliveries d {} where d.event_id = $2 and d.tenant_id = $1
         order by d.target_id limit $3 {}",
        DB::BY_EVENT,
        DB::LOCKED
    )
}

/// What belongs to deliveries, by their ids.
fn delete_by_delivery<DB: Dialect>(table: &str) -> String {
    format!("delete from {table} where tenant_id = $1 and delivery_id {}", ids::<DB>())
}

fn delete_deliveries<DB: Dialect>() -> String {
    format!("delete from deliveries {} where event_id {} and (tenant_id = $1) is true", DB::BY_EVENT, ids::<DB>())
}

/// Events, or deliveries, by their keys.
fn delete<DB: Dialect>(table: &str) -> String {
    DB::delete_by_keys(table, &DB::Rows::source(KEYS, 1))
}

/// Follows a column: whether it is one of the deliveries of the events.
fn deliveries<DB: Dialect>() -> String {
    DB::one_of(&format!("select d.id from deliveries d {} where d.event_id {}", DB::BY_EVENT, ids::<DB>()))
}

/// Follows a column: whether it is one of the events, which are bound from parameter 2 on.
fn ids<DB: Dialect>() -> String {
    DB::one_of(&format!("select r.id from {} r", DB::Rows::source(IDS, 2)))
}

/// A statement about rows of a tenant by their keys.
fn by_keys<DB: Dialect>(sql: String, tenant_id: TenantId, ids: impl Iterator<Item = Uuid>) -> Query<DB> {
    Query::<DB>::assembled(sql).bind_rows(key_rows::<DB>(tenant_id, ids))
}

fn uuids(events: &[EventId]) -> impl Iterator<Item = Uuid> {
    events.iter().map(|id| id.uuid())
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
        for sql in statements::<Sqlite>() {
            for step in plan_of(&sql).await {
                let is_slow =
                    step.ends_with("(tenant_id=?)") || (step.starts_with("SCAN") && !step.contains("json_each"));
                assert!(!is_slow, "{sql}: {step}");
            }
        }
    }
}
