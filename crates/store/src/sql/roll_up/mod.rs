//! Counts what was written down: attempts, failed deliveries and events, into tallies of minutes and hours.
//!
//! All is counted once: the marks that say how far are moved in the transaction that writes the tallies. What is younger
//! than [`SETTLED`] is left for later, so that nothing is committed behind a mark.

mod attempts;
mod counts;

use std::time::Duration;

use attempts::count_attempts;
use counts::{Counts, add_tallies};
use postrider_core::failing::StreakChange;
use postrider_core::notice::{DELIVERY_FAILED, Notice};
use postrider_core::tally::{Width, begin_of};
use postrider_core::target::TargetId;
use postrider_core::{SubscriptionId, TenantId, Timestamp};
use uuid::Uuid;

use super::query::{note_unreadable, readable};
use super::upkeep::Work;
use super::window::first_id_at;
use super::{Dialect, Query, Row, Sql, notices, tenants};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::measure;
use crate::shares::Who;

/// Commits that were begun so long ago have ended.
const SETTLED: Duration = Duration::from_secs(5);
/// Attempts, or failed deliveries, read at once.
const PAGE: i64 = 1_000;
/// Pages of attempts that are counted in one step, so that one commit is for many.
const PAGES: usize = 4;
/// The one row of marks.
const MARKS: i64 = 1;

/// How far has been counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks {
    log_id: i64,
    failed_at: Timestamp,
    failed_id: Uuid,
    events_before: Timestamp,
}

impl<DB: Dialect> Sql<DB> {
    /// Counts the next of what was written down. Whether there is more, and no other node at it.
    pub(super) async fn roll_up_step(&self) -> Result<bool> {
        let now = self.world.now();
        let until = now - SETTLED;
        let mut reader = self.reader(Who::Background).await?;
        let marks = match read_marks::<DB>(&mut reader).await {
            Err(StoreError::Damaged(what)) => {
                drop(reader);
                measure::damaged("rollup_marks");
                tracing::error!(what, "how far was counted cannot be read; counting goes on from here");
                return self.count_from_here(until).await;
            }
            other => other?,
        };
        let (mut counts, mut next) = (Counts::default(), marks.unwrap_or_default());
        // A mark of the future is of a clock that was set back.
        if next.failed_at > now {
            (next.failed_at, next.failed_id) = (until, Uuid::nil());
        }
        let limit = i64::try_from(self.page_limit(Work::Statistics)).unwrap_or(PAGE).min(PAGE);
        for _ in 0..if limit == PAGE { PAGES } else { 1 } {
            (next.log_id, counts.is_full) =
                count_attempts::<DB>(&mut reader, next.log_id, limit, now, &mut counts).await?;
            if !counts.is_full || counts.is_wide() {
                break;
            }
        }
        (next.failed_at, next.failed_id) = count_failed::<DB>(&mut reader, &next, limit, until, &mut counts).await?;
        // Minutes are counted when they are over.
        let minute = begin_of(until, Width::Minute.seconds());
        if minute > next.events_before {
            count_events::<DB>(&mut reader, next.events_before, minute, &mut counts).await?;
        }
        if minute > next.events_before || next.events_before > now {
            next.events_before = minute;
        }
        drop(reader);
        self.keep_wanted(&mut counts.notices).await?;
        let is_ours = marks == Some(next) || self.keep(marks, next, &counts).await?;
        // Another node counts: the rest is its own, or all would read the same again and again.
        Ok(counts.is_full && is_ours)
    }

    /// Sets the marks to where all that is settled ends. What was not counted by then is not counted any more: to count all again
    /// would count most of it twice.
    async fn count_from_here(&self, until: Timestamp) -> Result<bool> {
        let query = Query::<DB>::new(
            "update rollup_marks set log_id = coalesce((select max(log_id) from attempts), 0), failed_at = $2,
                 failed_id = $3, events_before = $4 where id = $1",
        )
        .bind(MARKS)
        .time(until)
        .id(Uuid::nil())
        .time(begin_of(until, Width::Minute.seconds()));
        self.change(query).await?;
        Ok(true)
    }

    /// Those of failed deliveries that somebody subscribes to. The listener's own are not told, or each would make more.
    async fn keep_wanted(&self, notices: &mut Vec<Notice>) -> Result<()> {
        if notices.is_empty() {
            return Ok(());
        }
        let listener = notices::listener::<DB>(&mut *self.reader(Who::Background).await?).await?;
        let catalogue = match listener {
            Some(id) => self.current_snapshot(id).await?,
            None => None,
        };
        let is_wanted = catalogue.is_some_and(|catalogue| catalogue.has_subscriber(DELIVERY_FAILED));
        notices.retain(|notice| match notice {
            Notice::DeliveryFailed { tenant_id, .. } => is_wanted && Some(*tenant_id) != listener,
            _ => true,
        });
        Ok(())
    }

    /// Adds the counts to what is kept and moves the marks. Not if somebody else has moved them: then it is false.
    async fn keep(&self, from: Option<Marks>, to: Marks, counts: &Counts) -> Result<bool> {
        let mut page = self.begin_page(Work::Statistics).await?;
        let done = self.write(&mut page.tx, from, to, counts).await;
        // What did not end in time is counted again, less of it.
        Ok(self.end_page(page, done).await?.unwrap_or(true))
    }

    async fn write(&self, db: &mut Connection<DB>, from: Option<Marks>, to: Marks, counts: &Counts) -> Result<bool> {
        if !move_marks::<DB>(db, from, to).await? {
            return Ok(false);
        }
        add_tallies::<DB>(db, counts).await?;
        for (id, (tenant_id, change)) in &counts.streaks {
            change_streak::<DB>(db, *tenant_id, *id, *change).await?;
        }
        for notice in &counts.notices {
            self.insert_notice(db, notice).await?;
        }
        Ok(true)
    }
}

async fn read_marks<DB: Dialect>(db: &mut Connection<DB>) -> Result<Option<Marks>> {
    let sql = "select log_id, failed_at, failed_id, events_before from rollup_marks where id = $1";
    let row = Query::<DB>::new(sql).bind(MARKS).row(db).await?;
    let read = |row: Row<DB>| {
        Ok(Marks { log_id: row.get(0)?, failed_at: row.time(1)?, failed_id: row.get(2)?, events_before: row.time(3)? })
    };
    row.map(read).transpose()
}

async fn move_marks<DB: Dialect>(db: &mut Connection<DB>, from: Option<Marks>, to: Marks) -> Result<bool> {
    let known = from.unwrap_or_default();
    Query::<DB>::new(
        "insert into rollup_marks (id, log_id, failed_at, failed_id, events_before) values ($1, 0, 0, $2, 0)
         on conflict (id) do nothing",
    )
    .bind(MARKS)
    .id(Uuid::nil())
    .run(db)
    .await?;
    let query = Query::<DB>::new(
        "update rollup_marks set log_id = $2, failed_at = $3, failed_id = $4, events_before = $5
         where id = $1 and log_id = $6 and failed_at = $7 and failed_id = $8 and events_before = $9",
    );
    let bound = [to, known].into_iter().fold(query.bind(MARKS), |query, marks| {
        query.bind(marks.log_id).time(marks.failed_at).id(marks.failed_id).time(marks.events_before)
    });
    Ok(bound.run(db).await? == 1)
}

fn is_full(rows: usize, limit: i64) -> bool {
    i64::try_from(rows).is_ok_and(|rows| rows == limit)
}

/// Counts failed deliveries in the order in which they failed; the last that was counted.
async fn count_failed<DB: Dialect>(
    db: &mut Connection<DB>,
    marks: &Marks,
    limit: i64,
    until: Timestamp,
    counts: &mut Counts,
) -> Result<(Timestamp, Uuid)> {
    let rows = Query::<DB>::new(
        "select d.settled_at, d.id, d.tenant_id, d.target_kind, d.target_id, d.event_id, d.reason, e.event_type
         from deliveries d join events e on e.tenant_id = d.tenant_id and e.id = d.event_id
         where d.state = 2 and (d.settled_at, d.id) > ($1, $2) and d.settled_at < $3
         order by d.settled_at, d.id limit $4",
    )
    .time(marks.failed_at)
    .id(marks.failed_id)
    .time(until)
    .bind(limit)
    .rows(db)
    .await?;
    counts.is_full |= is_full(rows.len(), limit);
    let mut last = (marks.failed_at, marks.failed_id);
    for row in &rows {
        last = (row.time(0)?, row.get(1)?);
        let Some((tenant_id, target, notice)) = note_unreadable("deliveries", row, read_failed(row)) else { continue };
        counts.minute(tenant_id, Some(target), last.0).failed += 1;
        counts.notices.push(notice);
    }
    Ok(last)
}

fn read_failed<DB: Dialect>(row: &Row<DB>) -> Result<(TenantId, TargetId, Notice)> {
    let tenant_id = row.id(2)?;
    let target = TargetId::from_stored(row.get(3)?, row.get(4)?).ok_or(StoreError::Damaged("a target"))?;
    let (id, event_id, event_type) = (row.id(1)?, row.id(5)?, row.get(7)?);
    let (reason, failed_at) = (row.get(6)?, row.time(0)?);
    let notice = Notice::DeliveryFailed { tenant_id, id, event_id, event_type, target, reason, failed_at };
    Ok((tenant_id, target, notice))
}

/// Counts the events of some whole minutes.
async fn count_events<DB: Dialect>(
    db: &mut Connection<DB>,
    since: Timestamp,
    before: Timestamp,
    counts: &mut Counts,
) -> Result<()> {
    for (tenant_id, _) in tenants::all_retentions::<DB>(db).await? {
        let rows = Query::<DB>::new(
            "select created_at / 60000000, count(*) from events
             where tenant_id = $1 and id >= $2 and id < $3 group by created_at / 60000000",
        )
        .id(tenant_id.uuid())
        .id(first_id_at(since))
        .id(first_id_at(before))
        .rows(db)
        .await?;
        let read = |row: &Row<DB>| Ok::<(i64, i64), StoreError>((row.get(0)?, row.get(1)?));
        for (minute, events) in readable("events", &rows, read) {
            let at = Timestamp::from_micros(minute * 60_000_000);
            counts.minute(tenant_id, None, at).events += events;
        }
    }
    Ok(())
}

async fn change_streak<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    id: SubscriptionId,
    change: StreakChange,
) -> Result<()> {
    if change.is_over {
        Query::<DB>::new("delete from failing where subscription_id = $1").id(id.uuid()).run(db).await?;
    }
    let Some(more) = change.more else { return Ok(()) };
    Query::<DB>::new(
        "insert into failing (subscription_id, tenant_id, since, last_at, attempts, warnings)
         values ($1, $2, $3, $4, $5, 0)
         on conflict (subscription_id) do update set
             last_at = excluded.last_at, attempts = failing.attempts + excluded.attempts",
    )
    .id(id.uuid())
    .id(tenant_id.uuid())
    .time(more.since)
    .time(more.last_at)
    .bind(more.attempts)
    .run(db)
    .await?;
    Ok(())
}
