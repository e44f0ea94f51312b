//! Counts what was written down: attempts, failed deliveries and events, into tallies of minutes and hours.
//!
//! All is counted once: the marks that say how far are moved in the transaction that writes the tallies. What is younger
//! than [`SETTLED`] is left for later, so that nothing is committed behind a mark.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_core::attempt::AttemptOutcome;
use postrider_core::failing::StreakChange;
use postrider_core::notice::{DELIVERY_FAILED, Notice};
use postrider_core::tally::{Tally, Width, begin_of};
use postrider_core::target::TargetId;
use postrider_core::{SubscriptionId, TenantId, Timestamp};
use uuid::Uuid;

use super::dialect::{Cells, Kind, RowSet, Schema};
use super::window::first_id_at;
use super::{Dialect, Query, Row, Sql, notices, tenants};
use crate::error::{Result, StoreError};

/// Commits that were begun so long ago have ended.
const SETTLED: Duration = Duration::from_secs(5);
/// Attempts, or failed deliveries, counted in one step: few enough to be written in a moment.
const STEP: i64 = 1_000;
/// The one row of marks.
const MARKS: i64 = 1;

const KEY: Schema = &[("tenant_id", Kind::Uuid), ("target_id", Kind::Uuid), ("width", Kind::Int), ("at", Kind::Int)];
const ROLLUP: Schema = &[
    ("tenant_id", Kind::Uuid),
    ("target_id", Kind::Uuid),
    ("width", Kind::Int),
    ("at", Kind::Int),
    ("tally", Kind::Text),
];

/// How far has been counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks {
    log_id: i64,
    failed_at: Timestamp,
    failed_id: Uuid,
    events_before: Timestamp,
}

/// Whose tally, of how long a time, and from when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    tenant_id: Uuid,
    target_id: Uuid,
    width: i64,
    at: i64,
}

impl Key {
    fn put(self, rows: &mut impl Cells) {
        rows.uuid(Some(self.tenant_id));
        rows.uuid(Some(self.target_id));
        rows.int(Some(self.width));
        rows.int(Some(self.at));
    }
}

/// What one step counts.
#[derive(Default)]
struct Counts {
    tallies: BTreeMap<Key, Tally>,
    streaks: BTreeMap<SubscriptionId, (TenantId, StreakChange)>,
    /// What failed, if somebody wants to hear of each.
    notices: Vec<Notice>,
    is_full: bool,
}

impl Counts {
    /// Counts for the subscription, if it is one, for the tenant and for all.
    fn add(&mut self, tenant_id: TenantId, target: Option<TargetId>, at: Timestamp, change: impl Fn(&mut Tally)) {
        let subscription = target.and_then(TargetId::subscription_id).map(SubscriptionId::uuid);
        let of_target = subscription.map(|id| (tenant_id.uuid(), id));
        let whose = [Some((Uuid::nil(), Uuid::nil())), Some((tenant_id.uuid(), Uuid::nil())), of_target];
        for (tenant_id, target_id) in whose.into_iter().flatten() {
            for width in Width::ALL.map(Width::seconds) {
                let at = begin_of(at, width).as_micros();
                change(self.tallies.entry(Key { tenant_id, target_id, width, at }).or_default());
            }
        }
    }
}

impl<DB: Dialect> Sql<DB> {
    /// Counts the next of what was written down. Whether there is more.
    pub(super) async fn roll_up_step(&self) -> Result<bool> {
        let now = self.world.now();
        let until = now - SETTLED;
        let mut reader = self.reader().await?;
        let marks = read_marks::<DB>(&mut reader).await?;
        let (mut counts, mut next) = (Counts::default(), marks.unwrap_or_default());
        // A mark of the future is of a clock that was set back.
        if next.failed_at > now {
            (next.failed_at, next.failed_id) = (until, Uuid::nil());
        }
        next.log_id = count_attempts::<DB>(&mut reader, next.log_id, now, &mut counts).await?;
        (next.failed_at, next.failed_id) = count_failed::<DB>(&mut reader, &next, until, &mut counts).await?;
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
        if marks != Some(next) {
            self.keep(marks, next, &counts).await?;
        }
        Ok(counts.is_full)
    }

    /// Those of failed deliveries that somebody subscribes to. The listener's own are not told, or each would make more.
    async fn keep_wanted(&self, notices: &mut Vec<Notice>) -> Result<()> {
        if notices.is_empty() {
            return Ok(());
        }
        let listener = notices::listener::<DB>(&mut *self.reader().await?).await?;
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

    /// Adds the counts to what is kept and moves the marks, unless somebody else has moved them.
    async fn keep(&self, from: Option<Marks>, to: Marks, counts: &Counts) -> Result<()> {
        let mut tx = self.begin().await?;
        if !move_marks::<DB>(&mut tx, from, to).await? {
            return Ok(());
        }
        add_tallies::<DB>(&mut tx, &counts.tallies).await?;
        for (id, (tenant_id, change)) in &counts.streaks {
            change_streak::<DB>(&mut tx, *tenant_id, *id, *change).await?;
        }
        for notice in &counts.notices {
            self.insert_notice(&mut tx, notice).await?;
        }
        tx.commit().await
    }
}

async fn read_marks<DB: Dialect>(db: &mut DB::Connection) -> Result<Option<Marks>> {
    let sql = "select log_id, failed_at, failed_id, events_before from rollup_marks where id = $1";
    let row = Query::<DB>::new(sql).bind(MARKS).row(db).await?;
    let read = |row: Row<DB>| {
        Ok(Marks { log_id: row.get(0)?, failed_at: row.time(1)?, failed_id: row.get(2)?, events_before: row.time(3)? })
    };
    row.map(read).transpose()
}

async fn move_marks<DB: Dialect>(db: &mut DB::Connection, from: Option<Marks>, to: Marks) -> Result<bool> {
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

/// Counts attempts in the order of their numbers, up to the first that is too young; the last that was.
async fn count_attempts<DB: Dialect>(
    db: &mut DB::Connection,
    after: i64,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<i64> {
    let rows = Query::<DB>::new(
        "select a.log_id, a.started_at + a.total_us, a.total_us, a.outcome, d.tenant_id, d.target_kind, d.target_id,
             d.opened_at
         from attempts a left join deliveries d on d.tenant_id = a.tenant_id and d.id = a.delivery_id
         where a.log_id > $1 order by a.log_id limit $2",
    )
    .bind(after)
    .bind(STEP)
    .rows(db)
    .await?;
    let mut last = after;
    counts.is_full |= is_full(rows.len());
    for row in &rows {
        let ended_at = row.time(1)?;
        // One further in the future than clocks differ is of a clock that was set back.
        if (now - SETTLED..=now + SETTLED).contains(&ended_at) {
            counts.is_full = false;
            break;
        }
        last = row.get(0)?;
        // A test, or of a delivery that retention has taken since.
        let Some(tenant_id) = row.get::<Option<Uuid>>(4)?.map(TenantId::from) else { continue };
        let target = TargetId::from_stored(row.get(5)?, row.get(6)?).ok_or(StoreError::Damaged("a target"))?;
        let outcome = AttemptOutcome::from_code(row.get(3)?).ok_or(StoreError::Damaged("an attempt's outcome"))?;
        let (took_us, opened_at): (i64, Timestamp) = (row.get(2)?, row.time(7)?);
        let is_success = outcome == AttemptOutcome::Success;
        // Sent again since, it began anew.
        let latency = (is_success && opened_at <= ended_at).then(|| ended_at.since(opened_at));
        counts.add(tenant_id, Some(target), ended_at, |tally| {
            tally.attempt(outcome, took_us);
            latency.into_iter().for_each(|time| tally.latency.note(time));
        });
        if let Some(id) = target.subscription_id() {
            counts.streaks.entry(id).or_insert((tenant_id, StreakChange::default())).1.note(is_success, ended_at);
        }
    }
    Ok(last)
}

fn is_full(rows: usize) -> bool {
    i64::try_from(rows).is_ok_and(|rows| rows == STEP)
}

/// Counts failed deliveries in the order in which they failed; the last that was counted.
async fn count_failed<DB: Dialect>(
    db: &mut DB::Connection,
    marks: &Marks,
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
    .bind(STEP)
    .rows(db)
    .await?;
    counts.is_full |= is_full(rows.len());
    let mut last = (marks.failed_at, marks.failed_id);
    for row in &rows {
        let (failed_at, tenant_id): (Timestamp, TenantId) = (row.time(0)?, row.id(2)?);
        let target = TargetId::from_stored(row.get(3)?, row.get(4)?).ok_or(StoreError::Damaged("a target"))?;
        counts.add(tenant_id, Some(target), failed_at, |tally| tally.failed += 1);
        counts.notices.push(Notice::DeliveryFailed {
            tenant_id,
            id: row.id(1)?,
            event_id: row.id(5)?,
            event_type: row.get(7)?,
            target,
            reason: row.get(6)?,
            failed_at,
        });
        last = (failed_at, row.get(1)?);
    }
    Ok(last)
}

/// Counts the events of some whole minutes.
async fn count_events<DB: Dialect>(
    db: &mut DB::Connection,
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
        for row in &rows {
            let (minute, events): (i64, i64) = (row.get(0)?, row.get(1)?);
            let at = Timestamp::from_micros(minute * 60_000_000);
            counts.add(tenant_id, None, at, |tally| tally.events += events);
        }
    }
    Ok(())
}

async fn add_tallies<DB: Dialect>(db: &mut DB::Connection, tallies: &BTreeMap<Key, Tally>) -> Result<()> {
    let mut keys = DB::Rows::new(KEY);
    for key in tallies.keys() {
        key.put(&mut keys);
        keys.end_row();
    }
    let sql = format!(
        "select s.tenant_id, s.target_id, s.width, s.at, s.tally from {} r join rollups s
             on s.tenant_id = r.tenant_id and s.target_id = r.target_id and s.width = r.width and s.at = r.at",
        DB::Rows::source(KEY, 1)
    );
    let mut sums = tallies.clone();
    for row in Query::<DB>::assembled(sql).bind_rows(keys).rows(db).await? {
        let key = Key { tenant_id: row.get(0)?, target_id: row.get(1)?, width: row.get(2)?, at: row.get(3)? };
        let known: Tally = row.parsed(4, "a tally", |text| serde_json::from_str(text).ok())?;
        sums.entry(key).or_default().add(&known);
    }
    let mut rows = DB::Rows::new(ROLLUP);
    for (key, tally) in &sums {
        key.put(&mut rows);
        rows.text(Some(&serde_json::to_string(tally).map_err(|_| StoreError::Damaged("a tally"))?));
        rows.end_row();
    }
    let sql = format!(
        "insert into rollups (tenant_id, target_id, width, at, tally)
         select tenant_id, target_id, width, at, tally from {} r where true
         on conflict (tenant_id, target_id, width, at) do update set tally = excluded.tally",
        DB::Rows::source(ROLLUP, 1)
    );
    Query::<DB>::assembled(sql).bind_rows(rows).run(db).await?;
    Ok(())
}

async fn change_streak<DB: Dialect>(
    db: &mut DB::Connection,
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
