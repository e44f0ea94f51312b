//! A clock that was set back.

use std::time::Duration;

use postrider_core::Timestamp;
use uuid::Uuid;

use super::query::note_unreadable;
use super::{Dialect, Query, begin};
use crate::db::{Connection, Pool};
use crate::error::Result;

/// What the newest row may lie ahead by: clocks are not that exact.
const EXACTNESS: Duration = Duration::from_secs(1);
/// Deliveries looked at in one transaction.
const PAGE: i64 = 1_000;

/// What is moved, and how far that is.
struct Rollback {
    by_us: i64,
    at: Timestamp,
    /// The last delivery that was looked at, and whose it is.
    after: (Uuid, Uuid),
}

/// Lets what waits go out when it would have by the clock of then, if the newest that was written down lies in the future: a
/// retry that was due in 5 s is due in 5 s, and not an hour later. By how much the clock was set back, if it was. Nobody serves
/// meanwhile; should the process end, the next goes on where this one was.
pub(crate) async fn follow_clock<DB: Dialect>(pool: &Pool<DB>, now: Timestamp) -> Result<Duration> {
    move_rest(pool).await?;
    let ahead = newest::<DB>(&mut pool.acquire().await?).await?.since(now);
    if ahead <= EXACTNESS {
        return Ok(Duration::ZERO);
    }
    let query = Query::<DB>::new(
        "insert into clock_rollbacks (id, by_us, at, tenant_id, delivery_id) values (1, $1, $2, $3, $3)",
    );
    let query = query.bind(i64::try_from(ahead.as_micros()).unwrap_or(i64::MAX)).time(now).id(Uuid::nil());
    query.run(&mut pool.acquire().await?).await?;
    move_rest(pool).await?;
    Ok(ahead)
}

/// Moves what is still to be moved, in pages.
async fn move_rest<DB: Dialect>(pool: &Pool<DB>) -> Result<()> {
    loop {
        let mut tx = begin(pool).await?;
        let is_done = move_page::<DB>(&mut tx).await?;
        tx.commit().await?;
        if is_done {
            return Ok(());
        }
    }
}

/// Each delivery is looked at once, in the order of the ids: when it is due does not change that order. True at the end.
async fn move_page<DB: Dialect>(db: &mut Connection<DB>) -> Result<bool> {
    let Some(Rollback { by_us, at, after }) = under_way::<DB>(db).await? else { return Ok(true) };
    let sql = format!(
        "select tenant_id, id from deliveries {} where state <> 1 and (tenant_id, id) > ($1, $2)
         order by tenant_id, id limit $3",
        DB::UNDELIVERED
    );
    let rows = Query::<DB>::assembled(sql).id(after.0).id(after.1).bind(PAGE).rows(db).await?;
    let Some(last) = rows.last().map(|row| Ok::<_, crate::StoreError>((row.get(0)?, row.get(1)?))).transpose()? else {
        Query::<DB>::new("delete from clock_rollbacks").run(db).await?;
        return Ok(true);
    };
    let moved = Query::<DB>::new(
        "update deliveries set due_at = due_at - $1
         where state + 0 = 0 and due_at > $2 and (tenant_id, id) > ($3, $4) and (tenant_id, id) <= ($5, $6)",
    );
    let (last_tenant, last_id): (Uuid, Uuid) = last;
    moved.bind(by_us).time(at).id(after.0).id(after.1).id(last_tenant).id(last_id).run(db).await?;
    let query = Query::<DB>::new("update clock_rollbacks set tenant_id = $1, delivery_id = $2");
    query.id(last_tenant).id(last_id).run(db).await?;
    Ok(false)
}

async fn under_way<DB: Dialect>(db: &mut Connection<DB>) -> Result<Option<Rollback>> {
    let row = Query::<DB>::new("select by_us, at, tenant_id, delivery_id from clock_rollbacks").row(db).await?;
    row.map(|row| Ok(Rollback { by_us: row.get(0)?, at: row.time(1)?, after: (row.get(2)?, row.get(3)?) })).transpose()
}

/// When the last event was accepted or the last request ended, whichever was later.
async fn newest<DB: Dialect>(db: &mut Connection<DB>) -> Result<Timestamp> {
    let sql = "select (select created_at from events order by rowid desc limit 1),
            (select started_at + total_us from attempts order by log_id desc limit 1)";
    let Some(row) = Query::<DB>::new(sql).row(db).await? else { return Ok(Timestamp::default()) };
    // What cannot be read says nothing of the time.
    let times =
        [("events", 0), ("attempts", 1)].map(|(table, column)| note_unreadable(table, &row, row.maybe_time(column)));
    Ok(times.into_iter().flatten().flatten().max().unwrap_or_default())
}
