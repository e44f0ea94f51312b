//! Retention of callbacks: those of finished resources go.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use postrider_core::{CallbackId, TenantId, Timestamp};

use super::dialect::RowSet;
use super::ids::{IDS, id_rows};
use super::upkeep::Work;
use super::{Dialect, Query, Sql};
use crate::db::Connection;
use crate::error::Result;
use crate::shares::Who;

/// Callbacks looked at in one step.
const STEP: i64 = 200;

/// The callback behind which the next step goes on. Gone with the process.
pub(super) type SeenCallbacks = Mutex<Option<CallbackId>>;

/// Nothing is left of what went to a callback `c` but the callback itself.
const NO_EVENTS: &str =
    "not exists (select 1 from events e where e.tenant_id = c.tenant_id and e.resource_id = c.resource_id)";

impl<DB: Dialect> Sql<DB> {
    /// Looks at the next callbacks. One whose resource is finished is deleted: it was used once, and
    /// retention took all events of the resource since. One that was never used is kept: its resource may
    /// take its time. Deleted ones go for good a retention later. False when all were looked at once.
    pub(super) async fn prune_callbacks(&self, before: Timestamp) -> Result<bool> {
        let after = *self.seen_callbacks.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = format!(
            "select c.id, c.tenant_id,
                 c.deleted_at is null and c.created_at < $2 and {NO_EVENTS} and exists (
                     select 1 from target_stats t where t.target_id = c.id and coalesce(t.last_attempt_at, 0) < $2),
                 coalesce(c.deleted_at, $2) < $2 and {NO_EVENTS}
             from callbacks c where c.id > $1 order by c.id limit $3"
        );
        let query = Query::<DB>::assembled(sql);
        let step = STEP.min(i64::try_from(self.page_limit(Work::Retention)).unwrap_or(STEP));
        let query = query.id(after.unwrap_or(CallbackId::NIL).uuid()).time(before).bind(step);
        let rows = query.rows(&mut *self.reader(Who::Background).await?).await?;
        let (mut finished, mut deleted): (BTreeMap<TenantId, Vec<CallbackId>>, Vec<CallbackId>) = Default::default();
        for row in &rows {
            match (row.get::<bool>(2)?, row.get::<bool>(3)?) {
                (true, _) => finished.entry(row.id(1)?).or_default().push(row.id(0)?),
                (_, true) => deleted.push(row.id(0)?),
                (false, false) => {}
            }
        }
        for (tenant_id, ids) in finished {
            match self.finish_callbacks(tenant_id, &ids).await {
                Err(error) if !error.is_temporary() => {
                    let what = format!("callbacks of tenant {tenant_id}");
                    self.note_passed_over(Work::Retention, tenant_id.uuid(), &what, &error);
                }
                other => other?,
            }
        }
        if !self.forget_callbacks(&deleted).await? {
            return Ok(true);
        }
        let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == step);
        let last = rows.last().filter(|_| is_full).map(|row| row.id(0)).transpose()?;
        *self.seen_callbacks.lock().unwrap_or_else(PoisonError::into_inner) = last;
        Ok(last.is_some())
    }

    /// The catalogue changes, so that nobody accepts an event for them who looked them up before.
    async fn finish_callbacks(&self, tenant_id: TenantId, ids: &[CallbackId]) -> Result<()> {
        let Some(mut change) = self.begin_change(tenant_id).await? else { return Ok(()) };
        let sql = format!(
            "update callbacks as c set deleted_at = $1, metadata = null
             where c.id in (select r.id from {} r) and c.deleted_at is null and {NO_EVENTS}",
            DB::Rows::source(IDS, 2)
        );
        let query =
            Query::<DB>::assembled(sql).time(self.world.now()).bind_rows(id_rows::<DB>(ids.iter().map(|id| id.uuid())));
        query.run(&mut change.tx).await?;
        self.commit_change(change).await
    }

    /// False if it did not end in time.
    async fn forget_callbacks(&self, ids: &[CallbackId]) -> Result<bool> {
        if ids.is_empty() {
            return Ok(true);
        }
        let mut page = self.begin_page(Work::Retention).await?;
        let done = forget::<DB>(&mut page.tx, ids).await;
        Ok(self.end_page(page, done).await?.is_some())
    }
}

async fn forget<DB: Dialect>(db: &mut Connection<DB>, ids: &[CallbackId]) -> Result<()> {
    for (table, id) in [("callbacks", "id"), ("target_stats", "target_id")] {
        let sql = format!("delete from {table} where {id} in (select r.id from {} r)", DB::Rows::source(IDS, 1));
        Query::<DB>::assembled(sql).bind_rows(id_rows::<DB>(ids.iter().map(|id| id.uuid()))).run(db).await?;
    }
    Ok(())
}
