//! Work on what is pending to a target that a change makes necessary: written down with the change, done in pages. The call that
//! made the change does a good part of it before it answers; what is left goes on afterwards, whatever happens to the process.

use postrider_core::delivery::DiscardReason;
use postrider_core::lanes::LaneId;
use postrider_core::target::TargetId;
use postrider_core::{SubscriptionId, TenantId, Timestamp};
use uuid::Uuid;

use super::dialect::{Cells, Kind, RowSet, Schema};
use super::query::readable;
use super::upkeep::Work;
use super::{Dialect, Query, Row, Sql, discard};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::measure;
use crate::shares::Who;

/// Rows that a call works on before it answers.
const BEFORE_THE_ANSWER: u64 = 50_000;
/// A page costs as much as so many rows, however few it has: a call that makes many jobs does not wait for all of them.
const LEAST_COST: u64 = 100;
/// Rows looked for at once: they are found again and again behind those that are done already.
const FOUND_AT_ONCE: i64 = 10_000;
/// Jobs that are looked at to find one that can go on.
const LOOKED_AT: i64 = 100;

/// What is done with what is pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JobKind {
    /// It is discarded.
    Discard(DiscardReason),
    /// It goes into another lane.
    ChangeLane(LaneId),
}

impl JobKind {
    const fn code(&self) -> i64 {
        match self {
            Self::Discard(_) => 0,
            Self::ChangeLane(_) => 1,
        }
    }

    const fn work(&self) -> Work {
        match self {
            Self::Discard(_) => Work::Discard,
            Self::ChangeLane(_) => Work::ChangeOfLane,
        }
    }
}

/// Work on the pending deliveries of a tenant to a target, in a lane.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: Uuid,
    pub(super) tenant_id: TenantId,
    pub(super) target: TargetId,
    pub(super) lane: LaneId,
    /// Of what was opened at an earlier version of the catalogue or, if that is not known, up to when the job was made.
    pub(super) before_version: i64,
    pub(super) made_at: Timestamp,
    pub(super) kind: JobKind,
}

/// Whether somebody else at the same job is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IfLocked {
    Wait,
    Skip,
}

/// What became of a part of a job.
enum Went {
    /// So many rows were found.
    On(u64),
    /// Nothing was left, and the job is gone.
    Done,
    /// Somebody else is at it, or was.
    Skipped,
}

const JOB: Schema = &[
    ("id", Kind::Uuid),
    ("tenant_id", Kind::Uuid),
    ("work", Kind::Int),
    ("target_kind", Kind::Int),
    ("target_id", Kind::Uuid),
    ("lane", Kind::Int),
    ("to_lane", Kind::Int),
    ("before_version", Kind::Int),
    ("reason", Kind::Text),
    ("created_at", Kind::Int),
];

/// What [`read`] reads.
const COLUMNS: &str = "id, tenant_id, work, target_kind, target_id, lane, to_lane, before_version, reason, created_at";

fn read<DB: Dialect>(row: &Row<DB>) -> Result<Job> {
    let reason = row.get::<Option<String>>(8)?;
    let kind = match (row.get::<i64>(2)?, row.get::<Option<i64>>(6)?) {
        (0, _) => reason.as_deref().and_then(DiscardReason::of_target).map(JobKind::Discard),
        (1, Some(lane)) => Some(JobKind::ChangeLane(LaneId(lane))),
        _ => None,
    };
    Ok(Job {
        id: row.get(0)?,
        tenant_id: row.id(1)?,
        target: TargetId::from_stored(row.get(3)?, row.get(4)?).ok_or(StoreError::Damaged("a target"))?,
        lane: LaneId(row.get(5)?),
        before_version: row.get(7)?,
        made_at: row.time(9)?,
        kind: kind.ok_or(StoreError::Damaged("a job's kind"))?,
    })
}

/// What a job is about: parameters 1 to 5, bound by [`of_job`].
pub(super) const PENDING_BEFORE: &str = "d.state = 0 and d.lane = $1 and d.tenant_id = $2 and d.target_id = $3
    and (d.opened_version < $4 or (d.opened_version is null and d.opened_at <= $5))";

pub(super) fn of_job<DB: Dialect>(query: Query<DB>, job: &Job) -> Query<DB> {
    let query = query.bind(job.lane.0).id(job.tenant_id.uuid()).id(job.target.uuid());
    query.bind(job.before_version).time(job.made_at)
}

/// Writes jobs down, with what makes them necessary.
pub(super) async fn insert<DB: Dialect>(db: &mut Connection<DB>, jobs: &[Job]) -> Result<()> {
    for some in jobs.chunks(1_000) {
        let columns = JOB.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "insert into bulk_jobs ({columns}) select {columns} from {} r where true",
            DB::Rows::source(JOB, 1)
        );
        let mut rows = DB::Rows::new(JOB);
        for job in some {
            let (reason, to_lane) = match &job.kind {
                JobKind::Discard(reason) => (Some(reason.name()), None),
                JobKind::ChangeLane(lane) => (None, Some(lane.0)),
            };
            rows.uuid(Some(job.id));
            rows.uuid(Some(job.tenant_id.uuid()));
            rows.int(Some(job.kind.code()));
            rows.int(Some(job.target.kind()));
            rows.uuid(Some(job.target.uuid()));
            rows.int(Some(job.lane.0));
            rows.int(to_lane);
            rows.int(Some(job.before_version));
            rows.text(reason);
            rows.time(Some(job.made_at));
            rows.end_row();
        }
        Query::<DB>::assembled(sql).bind_rows(rows).run(db).await?;
    }
    Ok(())
}

/// What made the job is committed, and the job is on disk: a database that is too busy now keeps nobody waiting.
fn left_for_later(done: Result<()>) -> Result<()> {
    match done {
        Err(error) if error.is_temporary() => {
            tracing::warn!(%error, "bulk work is left to be done later");
            Ok(())
        }
        other => other,
    }
}

impl<DB: Dialect> Sql<DB> {
    /// A job that is not written down yet.
    pub(super) fn job(&self, tenant_id: TenantId, target: TargetId, lane: LaneId, version: i64, kind: JobKind) -> Job {
        let made_at = self.world.now();
        let id = self.world.new_id_at::<SubscriptionId>(made_at).uuid();
        Job { id, tenant_id, target, lane, before_version: version, made_at, kind }
    }

    /// Goes on with a target's jobs, oldest first, until none is left or as much was done as a call does before it answers.
    pub(super) async fn run_jobs_of(&self, tenant_id: TenantId, target: TargetId) -> Result<()> {
        left_for_later(self.run_some_jobs_of(tenant_id, target, &mut 0).await)
    }

    /// The same of several targets together.
    pub(super) async fn run_jobs_of_all(&self, jobs: &[Job]) -> Result<()> {
        let mut rows = 0;
        for job in jobs {
            if rows >= BEFORE_THE_ANSWER {
                break;
            }
            left_for_later(self.run_some_jobs_of(job.tenant_id, job.target, &mut rows).await)?;
        }
        Ok(())
    }

    async fn run_some_jobs_of(&self, tenant_id: TenantId, target: TargetId, rows: &mut u64) -> Result<()> {
        let sql = format!("select {COLUMNS} from bulk_jobs where tenant_id = $1 and target_id = $2 order by id");
        let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(target.uuid());
        let jobs = query.rows(&mut self.lookup().await?).await?;
        for job in readable("bulk_jobs", &jobs, read) {
            while *rows < BEFORE_THE_ANSWER {
                let went = self.run_part(&job, IfLocked::Wait).await?;
                *rows += if let Went::On(found) = went { found } else { LEAST_COST };
                if matches!(went, Went::Done | Went::Skipped) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Goes on with the oldest job that can: a part of it. False if there is none.
    pub(super) async fn run_next_job(&self) -> Result<bool> {
        let sql = format!("select {COLUMNS} from bulk_jobs order by id limit $1");
        let rows = Query::<DB>::assembled(sql).bind(LOOKED_AT).rows(&mut self.lookup().await?).await?;
        for row in &rows {
            let id: Uuid = row.get(0)?;
            if self.is_passed_over(Work::Discard, id) {
                continue;
            }
            let went = match read(row) {
                Ok(job) => self.run_part(&job, IfLocked::Skip).await,
                Err(error) => Err(error),
            };
            match went {
                Ok(Went::On(_) | Went::Done) => return Ok(true),
                Ok(Went::Skipped) => {}
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => self.note_passed_over(Work::Discard, id, &format_args!("job {id}"), &error),
            }
        }
        Ok(false)
    }

    /// Looks for rows of a job, and does what is to be done with them, page by page.
    async fn run_part(&self, job: &Job, if_locked: IfLocked) -> Result<Went> {
        let found = discard::find::<DB>(&mut self.lookup().await?, job, FOUND_AT_ONCE).await?;
        if found.is_empty() {
            return self.end_job(job).await;
        }
        let mut rest = &found[..];
        while !rest.is_empty() {
            let (ids, later) = rest.split_at(self.page_limit(job.kind.work()).min(rest.len()));
            let mut page = self.begin_page(job.kind.work()).await?;
            let done = self.page_of(&mut page.tx, job, ids, if_locked).await;
            match self.end_page(page, done).await? {
                // It did not end in time: fewer of them are tried again.
                None => continue,
                Some(None) => return Ok(Went::Skipped),
                Some(Some(changed)) => match &job.kind {
                    JobKind::Discard(reason) => measure::discarded(reason, changed),
                    JobKind::ChangeLane(lane) => self.hand_over.wake(*lane),
                },
            }
            rest = later;
        }
        Ok(Went::On(found.len() as u64))
    }

    /// How many rows changed; `None` if somebody else is at the job, or has ended it.
    async fn page_of(
        &self,
        db: &mut Connection<DB>,
        job: &Job,
        ids: &[Uuid],
        if_locked: IfLocked,
    ) -> Result<Option<u64>> {
        let locked = if if_locked == IfLocked::Wait { DB::LOCKED } else { DB::LOCKED_OR_SKIPPED };
        let query = Query::<DB>::assembled(format!("select id from bulk_jobs where id = $1 {locked}"));
        if query.id(job.id).row(db).await?.is_none() {
            return Ok(None);
        }
        let changed = match &job.kind {
            JobKind::Discard(reason) => discard::discard::<DB>(db, job, ids, reason, self.world.now()).await?,
            JobKind::ChangeLane(lane) => discard::change_lane::<DB>(db, job, ids, *lane).await?,
        };
        Ok(Some(changed))
    }

    async fn end_job(&self, job: &Job) -> Result<Went> {
        let query = Query::<DB>::new("delete from bulk_jobs where id = $1").id(job.id);
        let mut page = self.begin_page(job.kind.work()).await?;
        let done = query.run(&mut page.tx).await;
        Ok(self.end_page(page, done).await?.map_or(Went::On(0), |_| Went::Done))
    }

    /// How many deliveries to a target wait to be discarded.
    pub(super) async fn count_left_to_discard(&self, tenant_id: TenantId, target: TargetId) -> Result<u64> {
        let sql = format!("select {COLUMNS} from bulk_jobs where tenant_id = $1 and target_id = $2 and work = 0");
        let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(target.uuid());
        let mut reader = self.reader(Who::Tenant(tenant_id)).await?;
        let mut left = 0;
        for row in query.rows(&mut reader).await? {
            let job = read(&row)?;
            let sql = format!("select count(*) from deliveries d {} where {PENDING_BEFORE}", DB::BY_LANE);
            let row = of_job(Query::<DB>::assembled(sql), &job).row(&mut reader).await?;
            left += row.ok_or(StoreError::Damaged("a count"))?.get::<i64>(0)?.unsigned_abs();
        }
        Ok(left)
    }
}
