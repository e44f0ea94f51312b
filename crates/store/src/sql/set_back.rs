//! A clock that was set back.

use postrider_core::Timestamp;
use std::time::Duration;

use super::query::note_unreadable;
use super::{Dialect, Query};
use crate::error::Result;

/// What the newest row may lie ahead by: clocks are not that exact.
const EXACTNESS: Duration = Duration::from_secs(1);

/// Lets what waits go out when it would have by the clock of then, if the newest that was written down lies in the future: a
/// retry that was due in 5 s is due in 5 s, and not an hour later. By how much the clock was set back, if it was.
pub(crate) async fn follow_clock<DB: Dialect>(db: &mut DB::Connection, now: Timestamp) -> Result<Duration> {
    let ahead = newest::<DB>(db).await?.since(now);
    if ahead <= EXACTNESS {
        return Ok(Duration::ZERO);
    }
    Query::<DB>::new("update deliveries set due_at = due_at - $1 where state = 0 and due_at > $2")
        .bind(i64::try_from(ahead.as_micros()).unwrap_or(i64::MAX))
        .time(now)
        .run(db)
        .await?;
    Ok(ahead)
}

/// When the last event was accepted or the last request ended, whichever was later.
async fn newest<DB: Dialect>(db: &mut DB::Connection) -> Result<Timestamp> {
    let sql = "select (select created_at from events order by rowid desc limit 1),
            (select started_at + total_us from attempts order by log_id desc limit 1)";
    let Some(row) = Query::<DB>::new(sql).row(db).await? else { return Ok(Timestamp::default()) };
    // What cannot be read says nothing of the time.
    let times =
        [("events", 0), ("attempts", 1)].map(|(table, column)| note_unreadable(table, &row, row.maybe_time(column)));
    Ok(times.into_iter().flatten().flatten().max().unwrap_or_default())
}
