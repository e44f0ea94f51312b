//! What waits for its commit, and who is told that there is something.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};

use super::batch::{Claim, Settle};
use crate::fair_queue::FairQueue;
use crate::sql::accept::Accept;

/// Bytes of events that may wait for their commit.
pub(super) const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// How long settlements wait for more, or for a sync that is not theirs alone: no publisher waits for them, and the
/// database and the disk have less to do.
pub(super) const LINGER: Duration = Duration::from_millis(5);
/// So many need not wait.
const ENOUGH: usize = 64;
/// So many rows for one commit say that more come soon. After fewer, waiting would only make the next one larger.
const BUSY: usize = 16;

/// When something is to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// When somebody rings.
    WhenRung,
    /// Then, or when somebody rings.
    At(Instant),
    Now,
}

/// What a writer takes of what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Both,
    Settles,
    Accepts,
}

/// What waits for its commit.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) settles: VecDeque<Settle>,
    pub(super) claims: Vec<Claim>,
    pub(super) accepts: FairQueue<Accept>,
    /// Batches behind their commit that are not on disk yet, where that is a step of its own.
    pub(super) unsynced: usize,
    /// How many rows waited for the last commit.
    pub(super) last_rows: usize,
    pub(super) closed: bool,
}

impl Waiting {
    /// How many rows or more would be written.
    pub(super) fn number(&self, takes: Takes) -> usize {
        match takes {
            Takes::Both => {
                let claims: usize = self.claims.iter().map(|claim| claim.wish.limit.max(1)).sum();
                self.settles.len() + claims + self.accepts.len()
            }
            Takes::Settles => self.settles.len(),
            Takes::Accepts => self.accepts.len(),
        }
    }

    /// When what waits is to be committed.
    pub(super) fn due(&self, takes: Takes) -> Due {
        match self.number(takes) {
            0 => return Due::WhenRung,
            ENOUGH.. => return Due::Now,
            _ if self.closed => return Due::Now,
            _ => {}
        }
        match takes {
            // What is on its way to the disk takes nothing more along: a commit made at its end is synced no later,
            // and has more in it.
            Takes::Both if self.unsynced > 0 => Due::WhenRung,
            Takes::Both if self.last_rows >= BUSY && self.has_only_settles() => self.lingering(),
            Takes::Both | Takes::Accepts => Due::Now,
            Takes::Settles => self.lingering(),
        }
    }

    fn has_only_settles(&self) -> bool {
        self.claims.is_empty() && self.accepts.len() == 0
    }

    fn lingering(&self) -> Due {
        self.settles.front().map_or(Due::WhenRung, |oldest| Due::At(oldest.since + LINGER))
    }
}

/// Tells a writer that there is something to do.
#[derive(Clone)]
pub(super) struct Bell {
    pub(super) takes: Takes,
    rung: Arc<Notify>,
}

impl Bell {
    fn of(takes: Takes) -> Self {
        Self { takes, rung: Arc::default() }
    }

    fn ring(&self) {
        self.rung.notify_one();
    }

    /// Ends when somebody rings; at once, if somebody has since the last time.
    pub(super) async fn rung(&self) {
        self.rung.notified().await;
    }
}

pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    pub(super) settles: Bell,
    pub(super) accepts: Bell,
    pub(super) room: Arc<Semaphore>,
}

impl Inbox {
    /// For one writer.
    pub(super) fn of_one() -> Arc<Self> {
        let bell = Bell::of(Takes::Both);
        Self::new(bell.clone(), bell)
    }

    /// For a writer of settlements and one of events.
    pub(super) fn of_two() -> Arc<Self> {
        Self::new(Bell::of(Takes::Settles), Bell::of(Takes::Accepts))
    }

    fn new(settles: Bell, accepts: Bell) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(WAITING_BYTES));
        Arc::new(Self { waiting: Mutex::default(), settles, accepts, room })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something in line; drops it, if that is closed.
    pub(super) fn put(&self, bell: &Bell, put: impl FnOnce(&mut Waiting)) {
        let is_worth_a_look = {
            let mut waiting = self.lock();
            if waiting.closed {
                return;
            }
            let known = waiting.due(bell.takes);
            put(&mut waiting);
            let due = waiting.due(bell.takes);
            due != known && due != Due::WhenRung
        };
        if is_worth_a_look {
            bell.ring();
        }
    }

    /// A batch is behind its commit, and will be synced beside the next.
    pub(super) fn committed(&self) {
        self.lock().unsynced += 1;
    }

    /// Whether the last commit was of few rows, and nothing is on its way to the disk.
    pub(super) fn is_calm(&self) -> bool {
        let waiting = self.lock();
        waiting.unsynced == 0 && waiting.last_rows < BUSY
    }

    /// So many batches are on disk: what waited for that is committed.
    pub(super) fn synced(&self, batches: usize) {
        let is_worth_a_look = {
            let mut waiting = self.lock();
            waiting.unsynced -= batches;
            waiting.number(Takes::Both) > 0
        };
        if is_worth_a_look {
            self.settles.ring();
        }
    }

    /// Nothing more is put in line, and all that waits is committed at once.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.accepts.ring();
        self.settles.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::sql::commit::batch::{Batch, examples};

    fn put(inbox: &Inbox, rows: usize) {
        inbox.put(&inbox.settles, |waiting| waiting.claims.push(examples::claim(rows).0));
    }

    /// Puts an outcome in line, and says when.
    fn settle(inbox: &Inbox) -> Instant {
        let (settle, _) = examples::settle();
        let since = settle.since;
        inbox.put(&inbox.settles, |waiting| waiting.settles.push_back(settle));
        since
    }

    fn is_rung(inbox: &Inbox) -> bool {
        pin!(inbox.settles.rung()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn due(inbox: &Inbox) -> Due {
        inbox.lock().due(inbox.settles.takes)
    }

    #[test]
    fn the_first_rings() {
        let inbox = Inbox::of_one();
        assert_eq!(due(&inbox), Due::WhenRung);
        put(&inbox, 1);
        assert!(is_rung(&inbox));
        assert_eq!(due(&inbox), Due::Now);
        put(&inbox, ENOUGH);
        assert!(!is_rung(&inbox), "the writer knows");
        assert_eq!(due(&inbox), Due::Now);
    }

    #[test]
    fn few_wait_for_a_sync_and_enough_do_not() {
        let inbox = Inbox::of_one();
        inbox.committed();
        put(&inbox, ENOUGH - 1);
        assert!(!is_rung(&inbox));
        assert_eq!(due(&inbox), Due::WhenRung);
        put(&inbox, 1);
        assert!(is_rung(&inbox));
        assert_eq!(due(&inbox), Due::Now);
    }

    #[test]
    fn it_is_calm_while_little_is_committed_and_all_of_it_is_on_disk() {
        let inbox = Inbox::of_one();
        put(&inbox, BUSY - 1);
        drop(Batch::of(&mut inbox.lock(), Takes::Both));
        assert!(inbox.is_calm());
        inbox.committed();
        assert!(!inbox.is_calm());
        inbox.synced(1);
        put(&inbox, BUSY);
        drop(Batch::of(&mut inbox.lock(), Takes::Both));
        assert!(!inbox.is_calm());
    }

    #[test]
    fn the_end_of_a_sync_rings_for_what_waited() {
        let inbox = Inbox::of_one();
        inbox.committed();
        inbox.committed();
        inbox.synced(1);
        assert!(!is_rung(&inbox), "nothing waits");
        put(&inbox, 1);
        inbox.synced(1);
        assert!(is_rung(&inbox));
        assert_eq!(due(&inbox), Due::Now);
    }

    #[test]
    fn outcomes_wait_for_company_while_there_is_some() {
        let inbox = Inbox::of_one();
        settle(&inbox);
        assert_eq!(due(&inbox), Due::Now, "nothing else goes on");
        drop(Batch::of(&mut inbox.lock(), Takes::Both));
        inbox.lock().last_rows = BUSY;
        assert!(is_rung(&inbox));
        let first = settle(&inbox);
        assert!(is_rung(&inbox), "the writer is to know how long");
        settle(&inbox);
        assert!(!is_rung(&inbox));
        assert_eq!(due(&inbox), Due::At(first + LINGER));
        put(&inbox, 1);
        assert!(is_rung(&inbox));
        assert_eq!(due(&inbox), Due::Now);
    }

    #[test]
    fn outcomes_with_a_writer_of_their_own_wait_for_more() {
        let inbox = Inbox::of_two();
        let first = settle(&inbox);
        assert!(is_rung(&inbox));
        for _ in 2..ENOUGH {
            settle(&inbox);
        }
        assert!(!is_rung(&inbox));
        assert_eq!(due(&inbox), Due::At(first + LINGER));
        settle(&inbox);
        assert!(is_rung(&inbox));
        assert_eq!(due(&inbox), Due::Now);
    }

    #[test]
    fn at_the_end_nothing_waits_for_company_and_nothing_more_is_taken() {
        let inbox = Inbox::of_one();
        inbox.committed();
        put(&inbox, 1);
        inbox.close();
        assert_eq!(due(&inbox), Due::Now);
        put(&inbox, 1);
        assert_eq!(inbox.lock().claims.len(), 1);
    }
}
