//! Commits reach the disk while the next ones are made: nobody hears of one before it has.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use super::Inbox;
use super::batch::{Batch, Committed};
use super::finish::finish;
use crate::error::StoreError;
use crate::hand_over::HandOver;

/// Rows written between two checkpoints.
const CHECKPOINT_ROWS: usize = 4096;
/// As many as a commit counts for beside its own: it writes pages that have room for so many.
const COMMIT_ROWS: usize = 16;

/// SQLite's write-ahead log, which holds all that was committed and is not in the database file yet.
pub(crate) struct Log(File);

impl Log {
    /// The log of the database at `path`, which is open and was written to.
    ///
    /// # Errors
    /// The log, or its folder, cannot be opened and synced.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        // Links are followed: the log lies beside the file itself.
        let path = path.canonicalize()?;
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        let log = File::options().write(true).open(Path::new(&name))?;
        // The file's own entry must last too.
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self(log))
    }
}

/// Finishes batches once they are on disk: all that were committed during one sync share the next.
///
/// A sync that fails is the end: nobody knows what of the log is on disk, and the next one would say
/// that all is well.
pub(super) fn run(
    log: &Log,
    committed: &Receiver<(Batch, Committed)>,
    inbox: &Arc<Inbox>,
    hand_over: &HandOver,
    checkpoint: &SyncSender<()>,
) {
    let mut rows = 0;
    while let Ok(first) = committed.recv() {
        let batches: Vec<_> = std::iter::once(first).chain(committed.try_iter()).collect();
        if let Err(error) = log.0.sync_data() {
            tracing::error!(%error, "the log of the database cannot be synced; nothing more is accepted");
            inbox.close();
            let error = StoreError::Unavailable(error.to_string());
            return batches.into_iter().for_each(|(batch, _)| batch.fail(&error));
        }
        rows += batches.iter().map(|(batch, _)| COMMIT_ROWS + batch.len()).sum::<usize>();
        if rows >= CHECKPOINT_ROWS {
            rows = 0;
            // One that is due already takes these along.
            let _ = checkpoint.try_send(());
        }
        batches.into_iter().for_each(|(batch, committed)| finish(batch, committed, hand_over));
    }
}
