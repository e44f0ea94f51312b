//! Retention of callbacks: those of finished resources go.

use std::sync::{Mutex, PoisonError};

use postrider_core::{CallbackId, Timestamp};

use super::dialect::RowSet;
use super::events::IDS;
use super::{Dialect, Query, Sql};
use crate::error::Result;

/// Callbacks looked at in one step.
const STEP: i64 = 200;

/// The callback behind which the next step goes on. Gone with the process.
pub(super) type SeenCallbacks = Mutex<Option<CallbackId>>;

impl<DB: Dialect> Sql<DB> {
    /// Looks at the next callbacks and removes those whose resource is finished: that fired once, and
    /// whose events retention took since. One that never fired is kept: its resource may take its time.
    /// Deleted ones go with the log of their deliveries. False when all were looked at once.
    pub(super) async fn prune_callbacks(&self, before: Timestamp) -> Result<bool> {
        let after = *self.seen_callbacks.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = Query::<DB>::new(
            "select c.id,
                 c.created_at < $2
                     and (coalesce(c.deleted_at, $2) < $2
                          or exists (select 1 from target_stats t
                                     where t.target_id = c.id and coalesce(t.last_attempt_at, 0) < $2))
                     and not exists (select 1 from events e
                                     where e.tenant_id = c.tenant_id and e.resource_id = c.resource_id)
             from callbacks c where c.id > $1 order by c.id limit $3",
        )
        .id(after.unwrap_or(CallbackId::NIL).uuid())
        .time(before)
        .bind(STEP)
        .rows(&mut *self.reader().await?)
        .await?;
        let mut finished = DB::Rows::new(IDS);
        let mut has_finished = false;
        for row in &rows {
            if row.get::<bool>(1)? {
                finished.uuid(Some(row.get(0)?));
                finished.end_row();
                has_finished = true;
            }
        }
        if has_finished {
            self.delete_callbacks(finished).await?;
        }
        let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == STEP);
        let last = rows.last().filter(|_| is_full).map(|row| row.id(0)).transpose()?;
        *self.seen_callbacks.lock().unwrap_or_else(PoisonError::into_inner) = last;
        Ok(last.is_some())
    }

    async fn delete_callbacks(&self, ids: DB::Rows) -> Result<()> {
        let source = DB::Rows::source(IDS, 1);
        let callbacks = format!("delete from callbacks where id in (select r.id from {source} r) returning id");
        let mut tx = self.begin().await?;
        let deleted = Query::<DB>::assembled(callbacks).bind_rows(ids).rows(&mut tx).await?;
        for row in deleted {
            let query = Query::<DB>::new("delete from target_stats where target_id = $1");
            query.bind(row.get::<uuid::Uuid>(0)?).run(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
