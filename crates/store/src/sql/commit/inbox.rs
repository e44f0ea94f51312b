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

/// How long settlements wait for more where they have a writer of their own: no publisher waits for them, and the
/// database has less to do.
const LINGER: Duration = Duration::from_millis(5);
/// So many need not wait.
const ENOUGH: usize = 64;

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
    pub(super) closed: bool,
}

impl Waiting {
    /// How many rows or more would be written.
    fn number(&self, takes: Takes) -> usize {
        match takes {
            Takes::Both => {
                let claims: usize = self.claims.iter().map(|claim| claim.wish.limit.max(1)).sum();
                self.settles.len() + claims + self.accepts.len()
            }
            Takes::Settles => self.settles.len(),
            Takes::Accepts => self.accepts.len(),
        }
    }

    /// How long until there is something to be committed. `None`: until somebody rings.
    pub(super) fn due_in(&self, takes: Takes, now: Instant) -> Option<Duration> {
        match self.number(takes) {
            0 => return None,
            ENOUGH.. => return Some(Duration::ZERO),
            _ if self.closed => return Some(Duration::ZERO),
            _ => {}
        }
        match takes {
            // What is on its way to the disk takes nothing more along: a commit made at its end is synced no later,
            // and has more in it.
            Takes::Both => (self.unsynced == 0).then_some(Duration::ZERO),
            Takes::Accepts => Some(Duration::ZERO),
            Takes::Settles => self.settles.front().map(|oldest| (oldest.since + LINGER).saturating_duration_since(now)),
        }
    }

    /// Whether a writer is to look, now that something was put behind so many: it knows already that something waits,
    /// unless that is the first, and it may wait for more, unless these are enough.
    fn is_worth_a_look(&self, before: usize, takes: Takes) -> bool {
        let is_first = before == 0 && self.unsynced == 0;
        is_first || (before < ENOUGH && self.number(takes) >= ENOUGH)
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
            let before = waiting.number(bell.takes);
            put(&mut waiting);
            waiting.is_worth_a_look(before, bell.takes)
        };
        if is_worth_a_look {
            bell.ring();
        }
    }

    /// A batch is behind its commit.
    pub(super) fn committed(&self) {
        self.lock().unsynced += 1;
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

    use postrider_core::lanes::LaneId;
    use tokio::sync::oneshot;

    use super::*;
    use crate::sql::claimed_row::ClaimWish;

    fn put(inbox: &Inbox, rows: usize) {
        let wish = ClaimWish { lane: LaneId(1), limit: rows };
        inbox.put(&inbox.settles, |waiting| waiting.claims.push(Claim { wish, reply: oneshot::channel().0 }));
    }

    fn is_rung(inbox: &Inbox) -> bool {
        pin!(inbox.settles.rung()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn due_in(inbox: &Inbox) -> Option<Duration> {
        inbox.lock().due_in(Takes::Both, Instant::now())
    }

    #[test]
    fn the_first_rings_and_what_makes_enough() {
        let inbox = Inbox::of_one();
        assert_eq!(due_in(&inbox), None);
        put(&inbox, 1);
        assert!(is_rung(&inbox));
        assert_eq!(due_in(&inbox), Some(Duration::ZERO));
        put(&inbox, ENOUGH - 2);
        assert!(!is_rung(&inbox));
        put(&inbox, 5);
        assert!(is_rung(&inbox));
        put(&inbox, 5);
        assert!(!is_rung(&inbox));
    }

    #[test]
    fn few_wait_for_a_sync_and_enough_do_not() {
        let inbox = Inbox::of_one();
        inbox.committed();
        put(&inbox, ENOUGH - 1);
        assert!(!is_rung(&inbox));
        assert_eq!(due_in(&inbox), None);
        put(&inbox, 1);
        assert!(is_rung(&inbox));
        assert_eq!(due_in(&inbox), Some(Duration::ZERO));
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
        assert_eq!(due_in(&inbox), Some(Duration::ZERO));
    }

    #[test]
    fn at_the_end_nothing_waits_for_company_and_nothing_more_is_taken() {
        let inbox = Inbox::of_one();
        inbox.committed();
        put(&inbox, 1);
        inbox.close();
        assert_eq!(due_in(&inbox), Some(Duration::ZERO));
        put(&inbox, 1);
        assert_eq!(inbox.lock().claims.len(), 1);
    }
}
