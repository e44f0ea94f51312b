//! Commits reach the disk while the next ones are made: nobody hears of one before it has.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};

use super::batch::{Batch, Committed};
use super::checkpoint::Pace;
use super::finish::Finisher;
use super::inbox::Inbox;
use crate::error::{Result, StoreError};

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

    #[cfg(test)]
    pub(super) const fn in_file(file: File) -> Self {
        Self(file)
    }
}

/// Brings commits to the disk, and tells then what came of them.
pub(super) struct Syncs {
    log: Log,
    inbox: Arc<Inbox>,
    finisher: Finisher,
    pace: Pace,
    /// Why nothing more comes to the disk.
    broken: OnceLock<String>,
}

impl Syncs {
    pub(super) fn new(log: Log, inbox: Arc<Inbox>, finisher: Finisher, pace: Pace) -> Self {
        Self { log, inbox, finisher, pace, broken: OnceLock::new() }
    }

    /// One sync after the other, each for all that was committed during the last.
    pub(super) fn run(&self, committed: &Receiver<(Batch, Committed)>) {
        while let Ok(first) = committed.recv() {
            let batches: Vec<_> = std::iter::once(first).chain(committed.try_iter()).collect();
            let synced = self.sync();
            self.inbox.synced(batches.len());
            batches.into_iter().for_each(|(batch, committed)| self.tell(batch, committed, &synced));
        }
    }

    /// One sync for all of these, by whoever made them.
    pub(super) fn all(&self, batches: impl IntoIterator<Item = (Batch, Committed)>) {
        let synced = self.sync();
        batches.into_iter().for_each(|(batch, committed)| self.tell(batch, committed, &synced));
    }

    /// None: what it rests on is on disk, and nothing would be lost with it.
    pub(super) fn none(&self, (batch, committed): (Batch, Committed)) {
        self.tell(batch, committed, &self.state());
    }

    /// One that fails is the end: nobody knows what of the log is on disk, and the next one would say that all is well.
    fn sync(&self) -> Result<()> {
        if self.broken.get().is_none()
            && let Err(error) = self.log.0.sync_data()
        {
            tracing::error!(%error, "the log of the database cannot be synced; nothing more is accepted");
            self.inbox.close();
            // Nobody else syncs at the same time.
            let _ = self.broken.set(error.to_string());
        }
        self.state()
    }

    /// Whether commits still come to the disk.
    fn state(&self) -> Result<()> {
        self.broken.get().map_or(Ok(()), |error| Err(StoreError::Unavailable(error.clone())))
    }

    fn tell(&self, batch: Batch, committed: Committed, synced: &Result<()>) {
        match synced {
            Ok(()) => {
                self.pace.committed(batch.len());
                self.finisher.finish(batch, committed);
            }
            Err(error) => batch.fail(error),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::hand_over::HandOver;
    use crate::health::Health;
    use crate::sql::commit::batch::examples;

    fn syncs(log: File) -> Syncs {
        let finisher = Finisher::new(&HandOver::closed(), &Health::new());
        Syncs::new(Log(log), Inbox::of_one(), finisher, Pace::new().0)
    }

    /// What somebody hears whose claim was committed, and then `sync`ed or not.
    fn told(sync: impl FnOnce((Batch, Committed))) -> Result<usize> {
        let (claim, mut answer) = examples::claim(1);
        let batch = Batch { claims: vec![claim], ..Batch::default() };
        sync((batch, Committed { claimed: vec![Vec::new()], ..examples::nothing() }));
        answer.try_recv().expect("an answer").map(|rows| rows.len())
    }

    #[test]
    fn what_is_on_disk_is_told() {
        let syncs = syncs(tempfile::tempfile().expect("a file"));
        assert!(matches!(told(|one| syncs.all([one])), Ok(0)));
    }

    #[test]
    fn after_a_sync_that_failed_nothing_counts_as_being_on_disk() {
        // A device that cannot be synced.
        let device = File::options().write(true).open("/dev/null").expect("opens");
        let mut syncs = syncs(device);
        assert!(matches!(told(|one| syncs.all([one])), Err(StoreError::Unavailable(_))));
        assert!(syncs.inbox.lock().closed);
        syncs.log = Log(tempfile::tempfile().expect("a file"));
        let later = told(|one| syncs.all([one]));
        assert!(matches!(later, Err(StoreError::Unavailable(_))), "nobody knows what the next sync is of");
        assert!(matches!(told(|one| syncs.none(one)), Err(StoreError::Unavailable(_))));
    }
}
