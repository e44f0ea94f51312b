//! Payloads that are kept only until they were delivered.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use postrider_core::{EventId, TenantId};
use uuid::Uuid;

use super::ended::{lock_ended, wipe_payloads};
use super::prune::STEP;
use super::{Dialect, Query, Sql};
use crate::error::Result;

/// How far each tenant's events were looked at. Gone with the process; the next begins with the oldest again.
pub(super) type Looked = Mutex<HashMap<TenantId, Progress>>;

/// How far one was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Nothing is pending up to here.
    settled: Uuid,
    /// Where this round is.
    at: Uuid,
}

/// An event that was looked at.
struct Look {
    id: EventId,
    /// Nothing is pending, nothing failed, and there is a payload.
    goes: bool,
    pending: bool,
}

impl<DB: Dialect> Sql<DB> {
    /// Wipes what everybody has of the next events. Each round begins where something was pending in the last. False at
    /// the end of a round.
    pub(super) async fn wipe_delivered(&self, tenant_id: TenantId) -> Result<bool> {
        let Progress { settled, at } = self.wiping(|looked| looked.get(&tenant_id).copied().unwrap_or_default());
        let looks = self.look_at_next(tenant_id, at).await?;
        let delivered: Vec<EventId> = looks.iter().filter(|look| look.goes).map(|look| look.id).collect();
        if !delivered.is_empty() {
            let mut tx = self.begin().await?;
            let delivered = lock_ended::<DB>(&mut tx, tenant_id, &delivered).await?;
            wipe_payloads::<DB>(&mut tx, tenant_id, &delivered).await?;
            tx.commit().await?;
        }
        let is_settled_so_far = settled == at;
        let last = looks.last().map_or(at, |look| look.id.uuid());
        let before_pending = looks.iter().take_while(|look| !look.pending).last().map_or(at, |look| look.id.uuid());
        let settled = if is_settled_so_far { before_pending } else { settled };
        let is_full = i64::try_from(looks.len()).is_ok_and(|count| count == STEP);
        let at = if is_full { last } else { settled };
        self.wiping(|looked| looked.insert(tenant_id, Progress { settled, at }));
        Ok(is_full)
    }

    async fn look_at_next(&self, tenant_id: TenantId, after: Uuid) -> Result<Vec<Look>> {
        let rows = Query::<DB>::new(
            "select e.id,
                 e.fan_out_after is null and e.payload is not null
                     and not exists (select 1 from deliveries d where d.event_id = e.id and d.state in (0, 2)),
                 e.fan_out_after is not null
                     or exists (select 1 from deliveries d where d.event_id = e.id and d.state = 0)
             from events e where e.tenant_id = $1 and e.id > $2 order by e.id limit $3",
        )
        .id(tenant_id.uuid())
        .id(after)
        .bind(STEP)
        .rows(&mut *self.reader().await?)
        .await?;
        rows.iter().map(|row| Ok(Look { id: row.id(0)?, goes: row.get(1)?, pending: row.get(2)? })).collect()
    }

    fn wiping<T>(&self, change: impl FnOnce(&mut HashMap<TenantId, Progress>) -> T) -> T {
        change(&mut self.looked_at_by_wiping.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
