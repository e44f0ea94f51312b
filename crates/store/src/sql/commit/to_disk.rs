//! How a commit comes to the disk: at once while there is little to do, beside the next ones while there is much.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};
use std::time::Instant;

use super::batch::{Batch, Committed};
use super::closed;
use super::finish::Finish;
use super::inbox::{Inbox, LINGER};
use super::sync::Syncs;

/// Most commits that wait for one sync.
const MAX_UNSYNCED: usize = 16;

/// Has commits synced.
pub(super) struct ToDisk {
    syncs: Arc<Syncs>,
    inbox: Arc<Inbox>,
    /// Whose other end syncs what comes, on a thread of its own.
    beside: SyncSender<(Batch, Committed)>,
    /// Outcomes, which nobody waits for: the next sync is theirs too.
    held: Vec<(Batch, Committed)>,
    /// When the first of them was committed.
    since: Instant,
}

impl ToDisk {
    /// One, and what is to be synced beside it.
    pub(super) fn new(syncs: Arc<Syncs>, inbox: Arc<Inbox>) -> (Self, Receiver<(Batch, Committed)>) {
        let (beside, committed) = sync_channel(MAX_UNSYNCED);
        (Self { syncs, inbox, beside, held: Vec::new(), since: Instant::now() }, committed)
    }

    fn hold(&mut self, batch: Batch, committed: Committed) {
        if self.held.is_empty() {
            self.since = Instant::now();
        }
        self.held.push((batch, committed));
    }

    /// With nothing accepted in it, nor unsynced before it, nobody waits for its sync: what was claimed is on disk
    /// itself, and a claim that power undoes was of a process that sends nothing any more.
    fn put_off(&mut self, mut batch: Batch, mut committed: Committed) {
        if !batch.claims.is_empty() {
            self.syncs.none(batch.take_claims(&mut committed));
        }
        if !batch.settles.is_empty() {
            self.hold(batch, committed);
        }
        if self.held.len() > MAX_UNSYNCED {
            self.catch_up();
        }
    }

    fn sync_beside(&mut self) {
        for one in self.held.drain(..) {
            self.inbox.committed();
            if let Err(SendError((batch, _))) = self.beside.send(one) {
                self.inbox.close();
                batch.fail(&closed());
            }
        }
    }
}

impl Finish for ToDisk {
    fn committed(&mut self, batch: Batch, committed: Committed) {
        if !self.inbox.is_calm() {
            self.hold(batch, committed);
            self.sync_beside();
        } else if batch.accepts.is_empty() {
            self.put_off(batch, committed);
        } else {
            self.hold(batch, committed);
            // Another thread would only have to be woken for it.
            self.catch_up();
        }
    }

    fn due(&self) -> Option<Instant> {
        (!self.held.is_empty()).then(|| self.since + LINGER)
    }

    fn catch_up(&mut self) {
        if !self.held.is_empty() {
            self.syncs.all(self.held.drain(..));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::TryRecvError;

    use tokio::sync::oneshot;

    use super::super::batch::examples;
    use super::super::checkpoint::Pace;
    use super::super::finish::Finisher;
    use super::super::sync::Log;
    use super::*;
    use crate::error::Result;
    use crate::hand_over::HandOver;
    use crate::health::Health;
    use crate::sql::claimed_row::ClaimedRow;
    use crate::sql::settle::Settled;

    fn to_disk() -> (ToDisk, Receiver<(Batch, Committed)>) {
        let finisher = Finisher::new(&HandOver::closed(), &Health::new());
        let inbox = Inbox::of_one();
        let log = Log::in_file(tempfile::tempfile().expect("a file"));
        let syncs = Syncs::new(log, Arc::clone(&inbox), finisher, Pace::new().0);
        ToDisk::new(Arc::new(syncs), inbox)
    }

    /// Commits an outcome; who recorded it hears of it.
    fn settle(to_disk: &mut ToDisk) -> oneshot::Receiver<Result<bool>> {
        let (settle, told) = examples::settle();
        let committed = Committed { settled: vec![Ok(Settled::IN_TIME)], ..examples::nothing() };
        to_disk.committed(Batch { settles: vec![settle], ..Batch::default() }, committed);
        told
    }

    /// Commits an event; its publisher hears of it.
    fn accept(to_disk: &mut ToDisk) -> oneshot::Receiver<Result<bool>> {
        let (accept, told) = examples::accept();
        to_disk.committed(Batch { accepts: vec![accept], ..Batch::default() }, examples::nothing());
        told
    }

    /// Commits a claim; who made it hears of it.
    fn claim(to_disk: &mut ToDisk) -> oneshot::Receiver<Result<Vec<ClaimedRow>>> {
        let (claim, told) = examples::claim(1);
        let committed = Committed { claimed: vec![Vec::new()], ..examples::nothing() };
        to_disk.committed(Batch { claims: vec![claim], ..Batch::default() }, committed);
        told
    }

    #[test]
    fn outcomes_wait_for_the_sync_of_an_event() {
        let (mut to_disk, beside) = to_disk();
        assert_eq!(to_disk.due(), None);
        let before = Instant::now();
        let mut outcome = settle(&mut to_disk);
        assert!(outcome.try_recv().is_err());
        assert!(to_disk.due().is_some_and(|at| at >= before + LINGER && at <= Instant::now() + LINGER));
        let mut accepted = accept(&mut to_disk);
        assert!(accepted.try_recv().is_ok_and(|answer| answer.is_ok()));
        assert!(outcome.try_recv().is_ok_and(|is_changed| matches!(is_changed, Ok(true))));
        assert_eq!(to_disk.due(), None);
        assert!(matches!(beside.try_recv(), Err(TryRecvError::Empty)));
    }

    #[test]
    fn claims_wait_for_no_sync_while_all_that_was_accepted_is_on_disk() {
        let (mut to_disk, _beside) = to_disk();
        let mut alone = claim(&mut to_disk);
        assert!(alone.try_recv().is_ok_and(|rows| rows.is_ok()));
        assert_eq!(to_disk.due(), None, "nobody needs it on disk");
        let mut outcome = settle(&mut to_disk);
        let mut beside_outcome = claim(&mut to_disk);
        assert!(beside_outcome.try_recv().is_ok_and(|rows| rows.is_ok()));
        assert!(outcome.try_recv().is_err());
    }

    #[test]
    fn a_claim_and_an_outcome_of_one_commit_are_told_apart() {
        let (mut to_disk, _beside) = to_disk();
        let (claim, mut claimed) = examples::claim(1);
        let (settle, mut outcome) = examples::settle();
        let committed =
            Committed { settled: vec![Ok(Settled::IN_TIME)], claimed: vec![Vec::new()], ..examples::nothing() };
        to_disk.committed(Batch { claims: vec![claim], settles: vec![settle], ..Batch::default() }, committed);
        assert!(claimed.try_recv().is_ok_and(|rows| rows.is_ok()));
        assert!(outcome.try_recv().is_err());
        to_disk.catch_up();
        assert!(outcome.try_recv().is_ok_and(|is_changed| matches!(is_changed, Ok(true))));
    }

    #[test]
    fn a_claim_beside_an_event_waits_for_its_sync() {
        let (mut to_disk, beside) = to_disk();
        to_disk.inbox.committed();
        let mut accepted = accept(&mut to_disk);
        let mut claimed = claim(&mut to_disk);
        assert!(accepted.try_recv().is_err() && claimed.try_recv().is_err());
        assert_eq!(beside.try_iter().count(), 2);
    }

    #[test]
    fn outcomes_wait_no_longer_than_until_they_are_due_or_many() {
        let (mut to_disk, _beside) = to_disk();
        let mut outcome = settle(&mut to_disk);
        to_disk.catch_up();
        assert!(outcome.try_recv().is_ok_and(|is_changed| matches!(is_changed, Ok(true))));
        let mut outcomes: Vec<_> = (0..=MAX_UNSYNCED).map(|_| settle(&mut to_disk)).collect();
        assert!(outcomes.iter_mut().all(|outcome| outcome.try_recv().is_ok()));
        assert_eq!(to_disk.due(), None);
    }

    #[test]
    fn with_much_to_do_all_is_synced_beside() {
        let (mut to_disk, beside) = to_disk();
        let mut outcome = settle(&mut to_disk);
        to_disk.inbox.committed();
        let mut claimed = claim(&mut to_disk);
        assert!(outcome.try_recv().is_err() && claimed.try_recv().is_err());
        assert_eq!(beside.try_iter().count(), 2);
        assert_eq!(to_disk.due(), None);
    }
}
