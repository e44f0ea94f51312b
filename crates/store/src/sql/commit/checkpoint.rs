//! What is in the log comes into the database file while others write.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::error::StoreError;

/// Pages that the log has (32 MiB) when it is time to begin it anew.
const LOG_PAGES: i64 = 8192;

/// Pages of a log whose writers copy it themselves, because no checkpoint came to its end: readers held it open.
pub(crate) const MOST_LOG_PAGES: i64 = 4 * LOG_PAGES;

/// Rows written between two checkpoints.
const ROWS: usize = 4096;
/// As many as a commit counts for beside its own: it writes pages that have room for so many.
const COMMIT_ROWS: usize = 16;

/// Says when the next checkpoint is due.
pub(super) struct Pace {
    rows: AtomicUsize,
    due: SyncSender<()>,
}

impl Pace {
    /// And who is to hear of it.
    pub(super) fn new() -> (Self, Receiver<()>) {
        let (due, heard) = sync_channel(1);
        (Self { rows: AtomicUsize::new(0), due }, heard)
    }

    /// So many rows were committed.
    pub(super) fn committed(&self, rows: usize) {
        let more = COMMIT_ROWS + rows;
        if self.rows.fetch_add(more, Ordering::Relaxed) + more >= ROWS {
            self.rows.store(0, Ordering::Relaxed);
            // One that is due already takes these along.
            let _ = self.due.try_send(());
        }
    }
}

/// Copies pages from SQLite's log into its file.
pub(crate) struct Checkpoints {
    connection: Connection,
    /// The database itself. Never closed: that would take from this process the locks that SQLite holds on it (POSIX, `close`).
    database: ManuallyDrop<File>,
    /// Held by whoever writes in this process.
    turn: Arc<Semaphore>,
}

impl Checkpoints {
    /// On a connection of their own.
    pub(crate) fn of(path: &Path, turn: Arc<Semaphore>) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.execute_batch("pragma synchronous = normal; pragma cache_size = -200")?;
        let database =
            File::options().write(true).open(path).map_err(|error| StoreError::Unusable(error.to_string()))?;
        Ok(Self { connection, database: ManuallyDrop::new(database), turn })
    }

    /// Makes one whenever it is due, until nobody says so any more.
    pub(super) fn run(&self, due: &Receiver<()>, runtime: &Handle) {
        while due.recv().is_ok() {
            if let Err(error) = self.checkpoint(runtime) {
                tracing::warn!(%error, "the log is not copied into the database yet");
            }
        }
    }

    /// The log begins anew once all of it is copied and on disk, which never happens beside a busy writer. So when it
    /// is long, nobody writes for a moment; before that, as much as can be is copied and synced beside them.
    fn checkpoint(&self, runtime: &Handle) -> rusqlite::Result<()> {
        if self.pass()? < LOG_PAGES {
            return Ok(());
        }
        self.sync();
        self.pass()?;
        self.sync();
        let _turn = runtime.block_on(self.turn.acquire());
        self.pass()?;
        Ok(())
    }

    /// SQLite does this only with a log that is copied as a whole.
    ///
    /// A sync that fails is the end of the process, as it is for PostgreSQL: nobody knows which pages are on disk, the
    /// next sync would say that all is well, and the log, from which the next start copies them all again, would begin anew.
    fn sync(&self) {
        if let Err(error) = self.database.sync_data() {
            tracing::error!(%error, "the database cannot be synced; ending, so that the next start recovers it");
            std::process::abort();
        }
    }

    /// Copies what can be copied beside others. How many pages the log has.
    fn pass(&self) -> rusqlite::Result<i64> {
        self.connection.query_row("pragma wal_checkpoint(passive)", [], |row| row.get(1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_log_begins_anew_beside_a_busy_writer() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("test.db");
        let writer = Connection::open(&path).expect("opens");
        let prepare = "pragma journal_mode = wal; pragma synchronous = off; pragma wal_autocheckpoint = 0;
                       create table filled (page)";
        writer.execute_batch(prepare).expect("prepares");
        let turn = Arc::new(Semaphore::new(1));
        let checkpoints = Checkpoints::of(&path, Arc::clone(&turn)).expect("opens");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let fill = "with recursive n(i) as (select 1 union all select i + 1 from n where i < ?1)
                    insert into filled select zeroblob(4000) from n";
        writer.execute(fill, [LOG_PAGES]).expect("fills");
        let (handle, stop) = (runtime.handle().clone(), Arc::new(AtomicBool::new(false)));
        let writing = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let _turn = handle.block_on(turn.acquire());
                    writer.execute(fill, [1]).expect("fills");
                }
                writer
            }
        });
        checkpoints.checkpoint(runtime.handle()).expect("copies");
        stop.store(true, Ordering::Relaxed);
        let writer = writing.join().expect("writes");
        writer.execute(fill, [1]).expect("fills");
        assert!(checkpoints.pass().expect("copies") < LOG_PAGES / 2);
    }
}
