//! Payloads that are kept only until they were delivered, of events that were opened again: they lie behind where the rounds
//! over all events begin, so they are gone through in the order in which they were opened.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postrider_core::{EventId, TenantId, Timestamp};
use uuid::Uuid;

use super::ended::Ending;
use super::prune::STEP;
use super::query::readable;
use super::upkeep::Work;
use super::{Dialect, Query, Row, Sql};
use crate::db::Connection;
use crate::error::Result;
use crate::shares::Who;

/// A reopening: when, and of what.
type Reopening = (i64, Uuid);

/// How far those that were opened again were looked at.
#[derive(Debug, Default)]
pub(super) struct Reopened(Mutex<Option<Progress>>);

#[derive(Clone, Copy, Debug)]
struct Progress {
    /// Nothing is pending up to here.
    settled: Reopening,
    /// Where this round is.
    at: Reopening,
}

impl Progress {
    const fn from(at: Timestamp) -> Self {
        let begin = (at.as_micros(), Uuid::nil());
        Self { settled: begin, at: begin }
    }
}

/// What was opened so lately may be found late: it is looked at again in the next round.
const LATELY: Duration = Duration::from_secs(60);
/// Reopenings looked at in one step.
const REOPENINGS: i64 = 1_000;

impl<DB: Dialect> Sql<DB> {
    /// Wipes what everybody has of the next events of these tenants that were opened again. When it begins, all events are gone through from
    /// the oldest on, so that nothing from before is missing. False at the end of a round.
    pub(super) async fn wipe_reopened(&self, tenants: &HashSet<TenantId>) -> Result<bool> {
        // Of whoever wipes no more, all is looked at again should it do so later.
        self.wiping(|looked| looked.retain(|tenant_id, _| tenants.contains(tenant_id)));
        let lately = self.world.now() - LATELY;
        let known = *self.reopened.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(progress) = known.filter(|_| !tenants.is_empty()) else {
            self.note_reopened(Progress::from(lately));
            return Ok(false);
        };
        let (rows, has_more) = next_reopened::<DB>(&mut *self.reader(Who::Background).await?, progress.at).await?;
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
        self.note_reopened(Progress { settled, at: if has_more { last } else { settled } });
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

    fn note_reopened(&self, progress: Progress) {
        *self.reopened.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }
}

/// The next reopenings from one on, in the order of their times, and the events of the deliveries; and whether there are more.
async fn next_reopened<DB: Dialect>(
    db: &mut Connection<DB>,
    from: Reopening,
) -> Result<(Vec<(Reopening, TenantId, EventId)>, bool)> {
    let query = Query::<DB>::new(NEXT_REOPENED).bind(from.0).id(from.1).bind(REOPENINGS);
    let rows = query.rows(db).await?;
    let read = |row: &Row<DB>| Ok(((row.get(0)?, row.get(1)?), row.id(2)?, row.id(3)?));
    Ok((readable("reopenings", &rows, read), i64::try_from(rows.len()).is_ok_and(|rows| rows == REOPENINGS)))
}

const NEXT_REOPENED: &str = "
    select r.at, r.delivery_id, r.tenant_id, coalesce(d.event_id, r.delivery_id)
    from (select at, delivery_id, tenant_id from reopenings where (at, delivery_id) >= ($1, $2)
          order by at, delivery_id limit $3) r
    left join deliveries d on d.tenant_id = r.tenant_id and d.id = r.delivery_id
    order by r.at, r.delivery_id";

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
