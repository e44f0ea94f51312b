//! Retention, in pages so small that nobody notices.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postrider_core::tally::Width;
use postrider_core::tenant::PayloadRetention;
use postrider_core::{EventId, TenantId, Timestamp};
use uuid::Uuid;

use super::dialect::RowSet;
use super::ended::{Ending, EventSize};
use super::ids::{KEYS, key_rows};
use super::query::readable;
use super::upkeep::{Work, fitting};
use super::window::first_id_at;
use super::{Dialect, Query, Row, Sql, tenants};
use crate::error::Result;
use crate::queue::Retention;
use crate::shares::Who;

/// Events, tests or rows of statistics looked at in one step.
pub(super) const STEP: usize = 200;

/// Tenants whose pages may fail one after the other before it is taken for the database's own trouble.
const FAILURES_IN_A_ROW: usize = 3;

/// An idempotency key is kept at least so long, whatever retention says.
const KEY_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// How far retention has looked: for each tenant the event behind which it goes on. Gone with the
/// process; the next begins with the oldest events again.
pub(super) type Seen = Mutex<HashMap<TenantId, Uuid>>;

/// An event whose deliveries are still to be looked at.
pub(super) struct Candidate {
    pub(super) id: EventId,
    /// Those that it was accepted with.
    pub(super) deliveries: usize,
    pub(super) has_payload: bool,
}

/// What retention keeps of an event whose deliveries were looked at.
struct Found {
    event: EventSize,
    kept: Kept,
}

/// What is kept of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    All,
    /// Everything but its payload, and what receivers answered.
    Record,
    Nothing,
}

impl<DB: Dialect> Sql<DB> {
    /// One page for each tenant, and one for tests. False when all was looked at once. A tenant whose page fails is passed
    /// over: the others are not to wait for it.
    ///
    /// # Errors
    /// What was wrong, if it was so for several tenants in a row: then it is not theirs.
    pub(super) async fn prune_step(&self, retention: Retention) -> Result<bool> {
        let now = self.world.now();
        let tenants = tenants::all_retentions::<DB>(&mut *self.reader(Who::Background).await?).await?;
        let on_success =
            tenants.iter().filter(|(_, own)| *own == PayloadRetention::OnSuccess).map(|(id, _)| *id).collect();
        let mut has_more = self.wipe_reopened(&on_success).await?;
        let mut failures = 0;
        for (tenant_id, own) in tenants {
            match self.prune_tenant(tenant_id, own, retention, now).await {
                Ok(more) => (has_more, failures) = (has_more | more, 0),
                Err(error) if failures < FAILURES_IN_A_ROW => {
                    failures += 1;
                    self.note_passed_over(
                        Work::Retention,
                        tenant_id.uuid(),
                        &format_args!("tenant {tenant_id}"),
                        &error,
                    );
                }
                Err(error) => return Err(error),
            }
        }
        has_more |= self.prune_versions(now - retention.deliveries.max(KEY_RETENTION)).await?;
        has_more |= self.prune_callbacks(now - retention.deliveries).await?;
        has_more |= self.prune_tallies(now - retention.statistics).await?;
        Ok(has_more | self.prune_tests(now - retention.deliveries).await?)
    }

    async fn prune_tenant(
        &self,
        tenant_id: TenantId,
        own: PayloadRetention,
        retention: Retention,
        now: Timestamp,
    ) -> Result<bool> {
        let retention = match own {
            PayloadRetention::For(payloads) => Retention { payloads, ..retention },
            PayloadRetention::Default | PayloadRetention::OnSuccess => retention,
        };
        let wiped = own == PayloadRetention::OnSuccess && self.wipe_delivered(tenant_id).await?;
        Ok(wiped | self.prune_page(tenant_id, retention, now).await?)
    }

    /// Prunes what a page has room for. False when all events were looked at once.
    async fn prune_page(&self, tenant_id: TenantId, retention: Retention, now: Timestamp) -> Result<bool> {
        let limit = self.page_limit(Work::Retention);
        let after = self.seen(|seen| seen.get(&tenant_id).copied().unwrap_or_default());
        let before = first_id_at(now - retention.payloads.min(retention.deliveries));
        let candidates = self.next_events(tenant_id, after, before).await?;
        let is_last_page = candidates.len() < STEP;
        let batch = fitting(&candidates, limit, |candidate| candidate.deliveries);
        let last = batch.last().map(|candidate| candidate.id.uuid());
        let found = self.judge_candidates(tenant_id, batch, retention, now).await?;
        for (kept, ending) in [(Kept::Record, Ending::Wipe), (Kept::Nothing, Ending::Delete)] {
            let events = found.iter().filter(|found| found.kept == kept).map(|found| found.event).collect();
            if !self.end_events(tenant_id, ending, events).await? {
                // There is more of the same events: they are looked at again.
                return Ok(true);
            }
        }
        let has_more = batch.len() < candidates.len() || !is_last_page;
        self.seen(|seen| match last.filter(|_| has_more) {
            Some(last) => seen.insert(tenant_id, last),
            None => seen.remove(&tenant_id),
        });
        Ok(has_more)
    }

    fn seen<T>(&self, look: impl FnOnce(&mut HashMap<TenantId, Uuid>) -> T) -> T {
        look(&mut self.seen_by_retention.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next events between two ids, in their order. Reads no deliveries: some events have very many.
    pub(super) async fn next_events(&self, tenant_id: TenantId, after: Uuid, before: Uuid) -> Result<Vec<Candidate>> {
        let rows = Query::<DB>::new(
            "select e.id, e.delivery_count, e.payload is not null from events e
             where e.tenant_id = $1 and e.id > $2 and e.id < $3 order by e.id limit $4",
        )
        .id(tenant_id.uuid())
        .id(after)
        .id(before)
        .bind(i64::try_from(STEP).unwrap_or(i64::MAX))
        .rows(&mut *self.reader(Who::Background).await?)
        .await?;
        let read = |row: &Row<DB>| {
            let deliveries = usize::try_from(row.get::<i64>(1)?).unwrap_or(usize::MAX);
            Ok(Candidate { id: row.id(0)?, deliveries, has_payload: row.get(2)? })
        };
        Ok(readable("events", &rows, read))
    }

    /// Looks at the deliveries of events, without holding up any writer.
    async fn judge_candidates(
        &self,
        tenant_id: TenantId,
        candidates: &[Candidate],
        retention: Retention,
        now: Timestamp,
    ) -> Result<Vec<Found>> {
        let (payloads_before, events_before) = (now - retention.payloads, now - retention.deliveries);
        let rows = Query::<DB>::assembled(judge::<DB>())
            .id(first_id_at(payloads_before))
            .time(payloads_before)
            .id(first_id_at(events_before))
            .time(events_before)
            .time(now - KEY_RETENTION)
            .bind_rows(key_rows::<DB>(tenant_id, candidates.iter().map(|candidate| candidate.id.uuid())))
            .rows(&mut *self.reader(Who::Background).await?)
            .await?;
        let read = |row: &Row<DB>| {
            let kept = match (row.get::<bool>(1)?, row.get::<bool>(2)?) {
                (_, true) => Kept::Nothing,
                (true, false) => Kept::Record,
                (false, false) => Kept::All,
            };
            let rows = usize::try_from(row.get::<i64>(3)?).unwrap_or(usize::MAX);
            Ok(Found { event: EventSize { id: row.id(0)?, rows }, kept })
        };
        Ok(readable("events", &rows, read))
    }

    async fn prune_tallies(&self, before: Timestamp) -> Result<bool> {
        let mut has_more = false;
        for width in Width::ALL {
            // Up to the time of the last of them: those of the same time go together.
            let query = Query::<DB>::new(
                "delete from rollups where width = $1 and at <= coalesce((
                     select max(o.at) from (
                         select r.at from rollups r where r.width = $1 and r.at < $2 order by r.at limit $3) o), -1)",
            );
            let query = query.bind(width.seconds()).time(before);
            has_more |= self.run_as_page(Work::Retention, |limit| query.bind(limit)).await?;
        }
        Ok(has_more)
    }

    async fn prune_tests(&self, before: Timestamp) -> Result<bool> {
        let query = Query::<DB>::new(
            "delete from attempts where delivery_id is null and log_id in (
                 select a.log_id from attempts a where a.delivery_id is null and a.started_at < $1
                 order by a.log_id limit $2)",
        );
        self.run_as_page(Work::Retention, |limit| query.time(before).bind(limit)).await
    }
}

/// Whether the payloads and whether the whole of events goes, and how many rows they have.
fn judge<DB: Dialect>() -> String {
    let keys = DB::Rows::source(KEYS, 6);
    let order = DB::sorted("e.id");
    let none_since = |parameter: u8| {
        format!(
            "not exists (select 1 from deliveries d {} where d.event_id = e.id
                 and (d.state = 0 or d.settled_at >= ${parameter}))",
            DB::BY_EVENT
        )
    };
    format!(
        "select e.id,
             e.fan_out_after is null and e.payload is not null and e.id < $1 and {},
             e.fan_out_after is null and e.id < $3 and (e.idempotency_key is null or e.created_at < $5) and {},
             (select cast(coalesce(sum(1 + d.attempts), 0) as bigint) from deliveries d {} where d.event_id = e.id)
         from {keys} r join events e on e.tenant_id = r.tenant_id and e.id = r.id order by {order}",
        none_since(2),
        none_since(4),
        DB::BY_EVENT
    )
}
