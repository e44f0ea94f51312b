//! Commits reach the disk while the next ones are made: nobody hears of one before it has.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::batch::{Batch, Committed};
use super::checkpoint::Pace;
use super::finish::finish;
use super::inbox::Inbox;
use crate::error::StoreError;
use crate::hand_over::HandOver;

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
    mut pace: Pace,
) {
    while let Ok(first) = committed.recv() {
        let batches: Vec<_> = std::iter::once(first).chain(committed.try_iter()).collect();
        if let Err(error) = log.0.sync_data() {
            tracing::error!(%error, "the log of the database cannot be synced; nothing more is accepted");
            inbox.close();
            let error = StoreError::Unavailable(error.to_string());
            return batches.into_iter().for_each(|(batch, _)| batch.fail(&error));
        }
        inbox.synced(batches.len());
        batches.iter().for_each(|(batch, _)| pace.committed(batch.len()));
        batches.into_iter().for_each(|(batch, committed)| finish(batch, committed, hand_over));
    }
}
