//! Replays going on, a few deliveries at a time.

use std::time::Duration;

use postrider_core::lanes::LaneId;
use postrider_core::notice::Notice;
use postrider_core::replay::{Replay, ReplayState, pace};
use postrider_core::{ReplayId, TenantId, Timestamp};
use uuid::Uuid;

use super::query::SPARE;
use super::replay_search::{Found, Hit, Place, Stage, Wanted};
use super::replays::{COLUMNS, read};
use super::upkeep::Work;
use super::{Dialect, Query, Row, Sql, tenants};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::journal::ReopenError;
use crate::shares::Who;

/// How long one waits that could not go on, so that others can.
const PAUSE: Duration = Duration::from_secs(10);

/// The replay whose turn it is.
struct Due {
    replay: Replay,
    place: Place,
    at: Timestamp,
}

impl<DB: Dialect> Sql<DB> {
    /// Lets the next replay go on, if it is time. When to come again; `None` if none is running.
    pub(super) async fn replay_step(&self) -> Result<Option<Timestamp>> {
        let now = self.world.now();
        let Some(due) = self.next_running().await? else { return Ok(None) };
        // Further ahead than any pause, it is of a clock that was set back.
        if due.at > now && due.at <= now + PAUSE {
            return Ok(Some(due.at));
        }
        if let Err(error) = self.go_on(&due, now).await {
            let id = due.replay.id;
            tracing::warn!(%error, replay_id = %id, "a replay cannot go on; trying again soon");
            let query = Query::<DB>::new("update replays set next_at = $2 where id = $1 and state = 0");
            self.change(query.id(id.uuid()).time(now + PAUSE)).await?;
        }
        Ok(Some(now))
    }

    /// The running replay whose turn it is, of those that can be read.
    async fn next_running(&self) -> Result<Option<Due>> {
        let sql = format!(
            "select {COLUMNS}, stage, cursor_id, next_at from replays where state = 0 order by next_at limit $1"
        );
        let rows = Query::<DB>::assembled(sql).bind(1 + SPARE).rows(&mut *self.reader(Who::Background).await?).await?;
        for row in &rows {
            let id: Uuid = row.get(0)?;
            match read_due(row) {
                Ok(due) => return Ok(Some(due)),
                Err(_) if self.is_passed_over(Work::Replay, id) => {}
                Err(error) => self.note_passed_over(Work::Replay, id, &format_args!("replay {id}"), &error),
            }
        }
        Ok(None)
    }

    /// Opens the next deliveries and moves the place in the same transaction, unless somebody else has moved it.
    async fn go_on(&self, due: &Due, now: Timestamp) -> Result<()> {
        let (at_once, pause) = pace(due.replay.rate);
        let most = usize::try_from(at_once).unwrap_or(1).min(self.page_limit(Work::Replay));
        let tenant_id = due.replay.tenant_id;
        let found = self.search(tenant_id, &due.replay.scope, due.place, most).await?;
        let next_at = if found.hits.len() < most { now } else { now + pause };
        let mut page = self.begin_page(Work::Replay).await?;
        let done = self.open_found(&mut page.tx, due, found, (now, next_at)).await;
        // One that did not end in time is tried again at once, with fewer.
        let lanes = self.end_page(page, done).await?.unwrap_or_default();
        lanes.into_iter().for_each(|lane| self.hand_over.wake(lane));
        Ok(())
    }

    /// The lanes of what was opened; none if the replay was paused, or somebody else has moved its place.
    async fn open_found(
        &self,
        db: &mut Connection<DB>,
        due: &Due,
        found: Found,
        (now, next_at): (Timestamp, Timestamp),
    ) -> Result<Vec<LaneId>> {
        let Replay { id: replay_id, tenant_id, .. } = due.replay;
        let version = tenants::locked_version::<DB>(db, tenant_id).await?;
        let version = version.ok_or(StoreError::Damaged("a replay of a tenant that is gone"))?;
        let (mut lanes, mut skipped) = (Vec::new(), 0);
        if !move_on::<DB>(db, due, &found, now, next_at).await? {
            return Ok(lanes);
        }
        let is_last = found.next.is_none();
        for hit in in_order(found.hits) {
            match self.send_again(db, tenant_id, &hit, version, replay_id).await {
                Ok(lane) => lanes.push(lane),
                Err(ReopenError::Store(error)) if error.is_of_a_row() => {
                    let id = hit.sample.event_id;
                    self.note_passed_over(Work::Replay, id.uuid(), &format_args!("event {id}"), &error);
                    skipped += 1;
                }
                Err(ReopenError::Store(error)) => return Err(error),
                Err(_) => skipped += 1,
            }
        }
        let replayed = i64::try_from(lanes.len()).unwrap_or(i64::MAX);
        let query =
            Query::<DB>::new("update replays set replayed = replayed + $2, skipped = skipped + $3 where id = $1");
        query.id(replay_id.uuid()).bind(replayed).bind(skipped).run(db).await?;
        if is_last {
            let (replayed, skipped) = (due.replay.replayed + replayed, due.replay.skipped + skipped);
            self.put_notice(db, &Notice::ReplayFinished { tenant_id, id: replay_id, replayed, skipped }).await?;
        }
        Ok(lanes)
    }

    async fn send_again(
        &self,
        db: &mut Connection<DB>,
        tenant_id: TenantId,
        hit: &Hit,
        version: i64,
        replay_id: ReplayId,
    ) -> Result<LaneId, ReopenError> {
        match hit.wanted {
            Wanted::Existing(id) => self.reopen_by_id(db, tenant_id, id, version, Some(replay_id)).await,
            Wanted::Missed(id) => {
                self.replay_to(db, tenant_id, hit.sample.event_id, id, version, Some(replay_id)).await
            }
        }
    }
}

/// Events are locked before their deliveries, those in the order of their ids, as all do who lock several.
fn in_order(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by_key(|hit| hit.sample.event_id);
    hits
}

fn read_due<DB: Dialect>(row: &Row<DB>) -> Result<Due> {
    let stage = Stage::from_code(row.get(16)?).ok_or(StoreError::Damaged("a replay's stage"))?;
    Ok(Due { replay: read(row)?, place: Place { stage, after: row.get(17)? }, at: row.time(18)? })
}

/// Moves the place on, or ends the replay; false if it was paused, or somebody else has moved it.
async fn move_on<DB: Dialect>(
    db: &mut Connection<DB>,
    due: &Due,
    found: &Found,
    now: Timestamp,
    next_at: Timestamp,
) -> Result<bool> {
    let next = found.next.unwrap_or(due.place);
    let state = if found.next.is_some() { ReplayState::Running } else { ReplayState::Finished };
    let query = Query::<DB>::new(
        "update replays set state = $4, stage = $5, cursor_id = $6, next_at = $7, updated_at = $8, finished_at = $9
         where id = $1 and state = 0 and stage = $2 and cursor_id = $3",
    );
    let moved = query
        .id(due.replay.id.uuid())
        .bind(due.place.stage.code())
        .id(due.place.after)
        .bind(state.code())
        .bind(next.stage.code())
        .id(next.after)
        .time(next_at)
        .time(now)
        .bind((state == ReplayState::Finished).then(|| now.as_micros()))
        .run(db)
        .await?;
    Ok(moved == 1)
}
