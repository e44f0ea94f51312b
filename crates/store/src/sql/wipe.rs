//! Payloads that are kept only until they were delivered.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use postrider_core::{EventId, TenantId};
use uuid::Uuid;

use super::dialect::RowSet;
use super::ended::{Ending, EventSize};
use super::ids::{KEYS, key_rows};
use super::prune::{Candidate, STEP};
use super::query::readable;
use super::upkeep::{Work, fitting};
use super::{Dialect, Query, Row, Sql};
use crate::error::Result;
use crate::shares::Who;

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

/// An event whose deliveries were looked at.
pub(super) struct Look {
    pub(super) event: EventSize,
    /// Nothing is pending, nothing failed, and there is a payload.
    pub(super) goes: bool,
    pub(super) pending: bool,
}

impl<DB: Dialect> Sql<DB> {
    /// Wipes what everybody has of the next events. Each round begins where something was pending in the last. False at
    /// the end of a round.
    pub(super) async fn wipe_delivered(&self, tenant_id: TenantId) -> Result<bool> {
        let Progress { settled, at } = self.wiping(|looked| looked.get(&tenant_id).copied().unwrap_or_default());
        let candidates = self.next_events(tenant_id, at, Uuid::max()).await?;
        let deliveries = |candidate: &Candidate| if candidate.has_payload { candidate.deliveries } else { 0 };
        let batch = fitting(&candidates, self.page_limit(Work::Retention), deliveries);
        let ids: Vec<EventId> = batch.iter().map(|event| event.id).collect();
        let looks = self.look_at(tenant_id, &ids).await?;
        let events = looks.iter().filter(|look| look.goes).map(|look| look.event).collect();
        if !self.end_events(tenant_id, Ending::Wipe, events).await? {
            return Ok(true);
        }
        let is_settled_so_far = settled == at;
        let last = looks.last().map_or(at, |look| look.event.id.uuid());
        let before_pending =
            looks.iter().take_while(|look| !look.pending).last().map_or(at, |look| look.event.id.uuid());
        let settled = if is_settled_so_far { before_pending } else { settled };
        let has_more = batch.len() < candidates.len() || candidates.len() == STEP;
        let at = if has_more { last } else { settled };
        self.wiping(|looked| looked.insert(tenant_id, Progress { settled, at }));
        Ok(has_more)
    }

    /// Looks at the deliveries of events, without holding up any writer.
    pub(super) async fn look_at(&self, tenant_id: TenantId, events: &[EventId]) -> Result<Vec<Look>> {
        let rows = Query::<DB>::assembled(look::<DB>())
            .bind_rows(key_rows::<DB>(tenant_id, events.iter().map(|id| id.uuid())))
            .rows(&mut *self.reader(Who::Background).await?)
            .await?;
        let read = |row: &Row<DB>| {
            let rows = usize::try_from(row.get::<i64>(3)?).unwrap_or(usize::MAX);
            Ok(Look { event: EventSize { id: row.id(0)?, rows }, goes: row.get(1)?, pending: row.get(2)? })
        };
        Ok(readable("events", &rows, read))
    }

    pub(super) fn wiping<T>(&self, change: impl FnOnce(&mut HashMap<TenantId, Progress>) -> T) -> T {
        change(&mut self.looked_at_by_wiping.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether the payloads of events go, whether something is pending, and how many rows they have. Of what has no payload,
/// nothing can be pending.
fn look<DB: Dialect>() -> String {
    let keys = DB::Rows::source(KEYS, 1);
    let (by_event, order) = (DB::BY_EVENT, DB::sorted("e.id"));
    format!(
        "select e.id,
             e.fan_out_after is null and e.payload is not null and not exists (
                 select 1 from deliveries d {by_event} where d.event_id = e.id and d.state in (0, 2)),
             e.fan_out_after is not null or (e.payload is not null and exists (
                 select 1 from deliveries d {by_event} where d.event_id = e.id and d.state = 0)),
             case when e.payload is null then 0 else (
                 select cast(coalesce(sum(1 + d.attempts), 0) as bigint) from deliveries d {by_event}
                 where d.event_id = e.id) end
         from {keys} r join events e on e.tenant_id = r.tenant_id and e.id = r.id order by {order}"
    )
}
