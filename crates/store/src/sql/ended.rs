//! What is done with events whose deliveries have ended: wiped of what may be personal, or deleted. Many small ones at once,
//! since a statement for each would hold up who writes; large ones in parts, for the same reason.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use postrider_core::{EventId, TenantId};
use uuid::Uuid;

use super::dialect::RowSet;
use super::ids::{IDS, KEYS, id_rows, key_rows};
use super::upkeep::{Work, fitting};
use super::{Dialect, Query, Row, Sql};
use crate::db::Connection;
use crate::error::Result;

/// Pages of a large event that are done before anything else has its turn.
const PAGES_AT_ONCE: usize = 20;

/// How far large events are. Gone with the process; the next begins with their first targets again.
pub(super) type Parts = Mutex<HashMap<(EventId, Ending), Uuid>>;

/// Most large events whose progress is remembered; beyond, they begin with their first targets again.
const REMEMBERED: usize = 10_000;

/// What is done with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
                [large] if large.rows > limit => self.end_part(tenant_id, ending, large.id).await,
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

    /// Pages of one event. True if nothing is left of what was to go; else the next call goes on where this one was.
    async fn end_part(&self, tenant_id: TenantId, ending: Ending, id: EventId) -> Result<bool> {
        let after = self.parts(|parts| parts.remove(&(id, ending))).unwrap_or_default();
        let mut part = Part { tenant_id, ending, id, after, limit: 0, node: self.node.get() };
        let is_done = self.end_pages(&mut part).await?;
        if !is_done {
            self.parts(|parts| {
                if parts.len() >= REMEMBERED {
                    parts.clear();
                }
                parts.insert((id, ending), part.after)
            });
        }
        Ok(is_done)
    }

    async fn end_pages(&self, part: &mut Part) -> Result<bool> {
        for _ in 0..PAGES_AT_ONCE {
            part.limit = self.page_limit(Work::Retention);
            let mut page = self.begin_page(Work::Retention).await?;
            let done = part.end::<DB>(&mut page.tx).await;
            match self.end_page(page, done).await? {
                Some(Some(last)) => part.after = last,
                Some(None) => return Ok(true),
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    fn parts<T>(&self, change: impl FnOnce(&mut HashMap<(EventId, Ending), Uuid>) -> T) -> T {
        change(&mut self.parts_ended.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn end_all<DB: Dialect>(
    db: &mut Connection<DB>,
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

/// A part of an event: some of its deliveries, in the order of their targets.
struct Part {
    tenant_id: TenantId,
    ending: Ending,
    id: EventId,
    /// The last target whose delivery was done; nil at the beginning.
    after: Uuid,
    /// Most rows.
    limit: usize,
    node: i64,
}

/// A delivery of a part, and its attempts.
struct Sized {
    id: Uuid,
    target: Uuid,
    attempts: usize,
}

impl Part {
    /// Does a page. The last target that was done; `None` if nothing is left to do. The payload of an event that is deleted goes
    /// first: nobody opens it again. That of one that is wiped goes last: as long as it is there, the event is looked at again.
    async fn end<DB: Dialect>(&self, db: &mut Connection<DB>) -> Result<Option<Uuid>> {
        let event = [self.id];
        let is_first = self.after.is_nil();
        let is_ours = if is_first {
            !lock_ended::<DB>(db, self.tenant_id, &event).await?.is_empty()
        } else {
            !by_keys::<DB>(lock::<DB>(), self.tenant_id, uuids(&event)).rows(db).await?.is_empty()
        };
        if !is_ours {
            return Ok(None);
        }
        if is_first && self.ending == Ending::Delete {
            by_keys::<DB>(wipe_events::<DB>(), self.tenant_id, uuids(&event)).run(db).await?;
        }
        let found = self.find::<DB>(db).await?;
        let some = fitting(&found, self.limit, |delivery| delivery.attempts.saturating_add(1));
        self.end_deliveries::<DB>(db, some).await?;
        if let Some(last) = some.last()
            && (some.len() < found.len() || found.len() >= self.limit)
        {
            return Ok(Some(last.target));
        }
        // None of them is pending, also of those that were opened meanwhile.
        if !lock_ended::<DB>(db, self.tenant_id, &event).await?.is_empty() {
            let last = if self.ending == Ending::Delete { delete::<DB>("events") } else { wipe_events::<DB>() };
            by_keys::<DB>(last, self.tenant_id, uuids(&event)).run(db).await?;
        }
        Ok(None)
    }

    async fn find<DB: Dialect>(&self, db: &mut Connection<DB>) -> Result<Vec<Sized>> {
        let query = Query::<DB>::assembled(some_deliveries::<DB>()).id(self.tenant_id.uuid()).id(self.id.uuid());
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX);
        let rows = query.id(self.after).bind(limit).rows(db).await?;
        let read = |row: &Row<DB>| {
            let attempts = usize::try_from(row.get::<i64>(2)?).unwrap_or(usize::MAX);
            Ok(Sized { id: row.get(0)?, target: row.get(1)?, attempts })
        };
        rows.iter().map(read).collect()
    }

    async fn end_deliveries<DB: Dialect>(&self, db: &mut Connection<DB>, some: &[Sized]) -> Result<()> {
        let ids = || some.iter().map(|delivery| delivery.id);
        let of_deliveries = |sql| Query::<DB>::assembled(sql).id(self.tenant_id.uuid()).bind_rows(id_rows::<DB>(ids()));
        if self.ending == Ending::Wipe {
            of_deliveries(wipe_answers_by_delivery::<DB>()).run(db).await?;
            return Ok(());
        }
        for table in OF_DELIVERIES {
            of_deliveries(delete_by_delivery::<DB>(table)).run(db).await?;
        }
        by_keys::<DB>(delete::<DB>("deliveries"), self.tenant_id, ids()).run(db).await?;
        add_pruned::<DB>(db, self.tenant_id, self.node, some.len() as u64).await
    }
}

/// Counts deliveries that retention took.
async fn add_pruned<DB: Dialect>(db: &mut Connection<DB>, tenant_id: TenantId, node: i64, pruned: u64) -> Result<()> {
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
        wipe_answers_by_delivery::<DB>(),
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
    db: &mut Connection<DB>,
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

/// The answers to deliveries, by their ids.
fn wipe_answers_by_delivery<DB: Dialect>() -> String {
    format!(
        "update attempts set response_body = null
         where tenant_id = $1 and delivery_id {} and response_body is not null",
        ids::<DB>()
    )
}

/// Some deliveries of an event that have ended, and how many attempts they had: parameters are the tenant, the event, the target
/// after whose delivery it goes on, and how many.
fn some_deliveries<DB: Dialect>() -> String {
    format!(
        "select d.id, d.target_id, d.attempts from deliveries d {}
         where d.event_id = $2 and d.target_id > $3 and (d.tenant_id = $1) is true and d.state + 0 <> 0
         order by d.target_id limit $4 {}",
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
