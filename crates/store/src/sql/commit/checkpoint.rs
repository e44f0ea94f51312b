//! What is in the log comes into the database file while others write.

use std::path::Path;
use std::sync::mpsc::Receiver;

use rusqlite::Connection;

use crate::error::StoreError;

/// Copies pages from SQLite's log into its file. Where that was done all along, the writer finds little left to do when
/// it is to begin the log anew.
pub(crate) struct Checkpoints(Connection);

impl Checkpoints {
    /// On a connection of their own.
    pub(crate) fn of(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.execute_batch("pragma synchronous = normal; pragma cache_size = -200")?;
        Ok(Self(connection))
    }

    /// Makes one whenever it is due, until nobody says so any more.
    pub(super) fn run(&self, due: &Receiver<()>) {
        while due.recv().is_ok() {
            if let Err(error) = self.0.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(())) {
                tracing::warn!(%error, "the log is not copied into the database yet");
            }
        }
    }
}
