//! Payloads that are kept only until they were delivered.
//!
//! Events are gone through in the order of their ids, and each round begins where something was pending in the last. What
//! failed and is opened again lies behind that: what was opened is gone through in an order of its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postrider_core::{EventId, TenantId, Timestamp};
use uuid::Uuid;

use super::dialect::RowSet;
use super::ended::{Ending, EventSize};
use super::ids::{IDS, id_rows};
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

/// A reopening: when, and of what.
type Reopening = (i64, Uuid);

/// How far those that were opened again were looked at.
#[derive(Debug, Default)]
pub(super) struct Reopened(Mutex<Option<ReopenedProgress>>);

#[derive(Clone, Copy, Debug)]
struct ReopenedProgress {
    /// Nothing is pending up to here.
    settled: Reopening,
    /// Where this round is.
    at: Reopening,
}

impl ReopenedProgress {
    const fn from(at: Timestamp) -> Self {
        let begin = (at.as_micros(), Uuid::nil());
        Self { settled: begin, at: begin }
    }
}

/// What was opened so lately may be found late: it is looked at again in the next round.
const LATELY: Duration = Duration::from_secs(60);
/// Reopenings looked at in one step.
const REOPENINGS: i64 = 1_000;

/// An event whose deliveries were looked at.
struct Look {
    event: EventSize,
    /// Nothing is pending, nothing failed, and there is a payload.
    goes: bool,
    pending: bool,
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
    async fn look_at(&self, tenant_id: TenantId, events: &[EventId]) -> Result<Vec<Look>> {
        let rows = Query::<DB>::assembled(look::<DB>())
            .id(tenant_id.uuid())
            .bind_rows(id_rows::<DB>(events.iter().map(|id| id.uuid())))
            .rows(&mut *self.reader(Who::Background).await?)
            .await?;
        let read = |row: &Row<DB>| {
            let rows = usize::try_from(row.get::<i64>(3)?).unwrap_or(usize::MAX);
            Ok(Look { event: EventSize { id: row.id(0)?, rows }, goes: row.get(1)?, pending: row.get(2)? })
        };
        Ok(readable("events", &rows, read))
    }

    /// The same of the next events of these tenants that were opened again. When it begins, all events are gone through from
    /// the oldest on, so that nothing from before is missing. False at the end of a round.
    pub(super) async fn wipe_reopened(&self, tenants: &HashSet<TenantId>) -> Result<bool> {
        // Of whoever wipes no more, all is looked at again should it do so later.
        self.wiping(|looked| looked.retain(|tenant_id, _| tenants.contains(tenant_id)));
        let lately = self.world.now() - LATELY;
        let known = *self.reopened.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(progress) = known.filter(|_| !tenants.is_empty()) else {
            self.note_reopened(ReopenedProgress::from(lately));
            return Ok(false);
        };
        let rows = next_reopened::<DB>(&mut *self.reader(Who::Background).await?, progress.at).await?;
        let has_more = i64::try_from(rows.len()).is_ok_and(|rows| rows == REOPENINGS);
        let mut events: BTreeMap<TenantId, BTreeMap<EventId, Reopening>> = BTreeMap::new();
        let mut last = progress.at;
        for (at, tenant_id, event_id) in rows {
            last = at;
            if tenants.contains(&tenant_id) {
                events.entry(tenant_id).or_default().entry(event_id).or_insert(at);
            }
        }
        let mut pending = None;
        for (tenant_id, events) in events {
            match self.wipe_those(tenant_id, &events).await {
                Ok(Some(first)) => pending = pending.into_iter().chain(first).min(),
                Ok(None) => return Ok(true),
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => {
                    self.note_passed_over(
                        Work::Retention,
                        tenant_id.uuid(),
                        &format_args!("tenant {tenant_id}"),
                        &error,
                    );
                    pending = pending.into_iter().chain(events.values().copied()).min();
                }
            }
        }
        let is_settled_so_far = progress.settled == progress.at;
        let until = pending.unwrap_or(last).min((lately.as_micros(), Uuid::nil())).max(progress.settled);
        let settled = if is_settled_so_far { until } else { progress.settled };
        self.note_reopened(ReopenedProgress { settled, at: if has_more { last } else { settled } });
        Ok(has_more)
    }

    /// Wipes those of these events that everybody has. The first reopening of one that is still pending; `None` if a page did
    /// not end in time.
    async fn wipe_those(
        &self,
        tenant_id: TenantId,
        events: &BTreeMap<EventId, Reopening>,
    ) -> Result<Option<Option<Reopening>>> {
        let ids: Vec<EventId> = events.keys().copied().collect();
        let mut pending = None;
        for some in ids.chunks(STEP) {
            let looks = self.look_at(tenant_id, some).await?;
            let goes = looks.iter().filter(|look| look.goes).map(|look| look.event).collect();
            if !self.end_events(tenant_id, Ending::Wipe, goes).await? {
                return Ok(None);
            }
            let still = looks.iter().filter(|look| look.pending).filter_map(|look| events.get(&look.event.id).copied());
            pending = pending.into_iter().chain(still).min();
        }
        Ok(Some(pending))
    }

    fn note_reopened(&self, progress: ReopenedProgress) {
        *self.reopened.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    fn wiping<T>(&self, change: impl FnOnce(&mut HashMap<TenantId, Progress>) -> T) -> T {
        change(&mut self.looked_at_by_wiping.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The next reopenings from one on, in the order of their times, and the events of the deliveries.
async fn next_reopened<DB: Dialect>(
    db: &mut DB::Connection,
    from: Reopening,
) -> Result<Vec<(Reopening, TenantId, EventId)>> {
    let query = Query::<DB>::new(NEXT_REOPENED).bind(from.0).id(from.1).bind(REOPENINGS);
    let rows = query.rows(db).await?;
    rows.iter().map(|row| Ok(((row.get(0)?, row.get(1)?), row.id(2)?, row.id(3)?))).collect()
}

const NEXT_REOPENED: &str = "
    select r.at, r.delivery_id, r.tenant_id, coalesce(d.event_id, r.delivery_id)
    from (select at, delivery_id, tenant_id from reopenings where (at, delivery_id) >= ($1, $2)
          order by at, delivery_id limit $3) r
    left join deliveries d on d.tenant_id = r.tenant_id and d.id = r.delivery_id
    order by r.at, r.delivery_id";

/// Whether the payloads of events go, whether something is pending, and how many rows they have. Of what has no payload,
/// nothing can be pending.
fn look<DB: Dialect>() -> String {
    let (ids, by_event) = (DB::Rows::source(IDS, 2), DB::BY_EVENT);
    format!(
        "select e.id,
             e.fan_out_after is null and e.payload is not null and not exists (
                 select 1 from deliveries d {by_event} where d.event_id = e.id and d.state in (0, 2)),
             e.fan_out_after is not null or (e.payload is not null and exists (
                 select 1 from deliveries d {by_event} where d.event_id = e.id and d.state = 0)),
             case when e.payload is null then 0 else (
                 select cast(coalesce(sum(1 + d.attempts), 0) as bigint) from deliveries d {by_event}
                 where d.event_id = e.id) end
         from events e where e.tenant_id = $1 and e.id in (select r.id from {ids} r) order by e.id"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::plan::plan_of;

    #[tokio::test]
    async fn reopenings_are_found_by_their_time() {
        let plan = plan_of(NEXT_REOPENED).await;
        for expected in ["SEARCH reopenings USING INDEX reopenings_by_time", "SEARCH d USING PRIMARY KEY"] {
            assert!(plan.iter().any(|step| step.contains(expected)), "{plan:#?}");
        }
    }
}
