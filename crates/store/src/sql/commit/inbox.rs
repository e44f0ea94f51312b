//! What waits for its commit, and who is told that there is something.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postrider_core::TenantId;
use tokio::sync::{Notify, Semaphore};

use super::batch::{Claim, Settle};
use crate::fair_queue::FairQueue;
use crate::sql::accept::Accept;

/// Bytes of events that may wait for their commit.
pub(super) const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// How long settlements wait for more, or for a sync that is not theirs alone, and pieces of batches for somebody else's
/// event: no publisher waits for the ones, the others are to take their time, and the database and the disk have less to do.
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
    /// Events that are committed along with another, or after [`LINGER`].
    patient: FairQueue<Accept>,
    /// Since when some of those wait.
    patient_since: Option<Instant>,
    /// Batches behind their commit that are not on disk yet, where that is a step of its own.
    pub(super) unsynced: usize,
    /// How many rows waited for the last commit.
    pub(super) last_rows: usize,
    pub(super) closed: bool,
}

impl Waiting {
    /// How many rows or more would be written, beside patient events.
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

    /// Puts an event in line that need not be committed by itself.
    pub(super) fn put_patient(&mut self, tenant_id: TenantId, weight: usize, accept: Accept, now: Instant) {
        self.patient.push(tenant_id, weight, accept);
        self.patient_since.get_or_insert(now);
    }

    /// Takes events for one commit, at most so many and about so many bytes. The patient ones come along with others;
    /// by themselves, and before others, once they have waited for long enough.
    pub(super) fn take_accepts(&mut self, count: usize, bytes: usize, now: Instant) -> Vec<Accept> {
        let has_waited = self.patient_since.is_some_and(|since| now >= since + LINGER);
        let is_due = has_waited || self.patient.len() >= ENOUGH || self.closed;
        let (first, second) =
            if is_due { (&mut self.patient, &mut self.accepts) } else { (&mut self.accepts, &mut self.patient) };
        let mut taken = first.take(count, bytes);
        if is_due || !taken.is_empty() {
            taken.extend(second.take(count - taken.len(), bytes));
        }
        self.patient_since = self.patient_since.filter(|_| self.patient.len() > 0);
        taken
    }

    /// When what waits is to be committed.
    pub(super) fn due(&self, takes: Takes) -> Due {
        let patient = if takes == Takes::Settles { 0 } else { self.patient.len() };
        match self.number(takes) + patient {
            0 => return Due::WhenRung,
            ENOUGH.. => return Due::Now,
            _ if self.closed => return Due::Now,
            _ => {}
        }
        match takes {
            // What is on its way to the disk takes nothing more along: a commit made at its end is synced no later,
            // and has more in it.
            Takes::Both if self.unsynced > 0 => Due::WhenRung,
            _ if self.is_pressing(takes) => Due::Now,
            _ => self.lingering_since(takes).map_or(Due::WhenRung, |since| Due::At(since + LINGER)),
        }
    }

    /// Whether something waits that is not to wait for company.
    fn is_pressing(&self, takes: Takes) -> bool {
        let has_accepts = self.accepts.len() > 0;
        match takes {
            Takes::Both => {
                let has_settles = !self.settles.is_empty() && self.last_rows < BUSY;
                has_accepts || has_settles || !self.claims.is_empty()
            }
            Takes::Settles => false,
            Takes::Accepts => has_accepts,
        }
    }

    /// Since when the first waits that waits for company.
    fn lingering_since(&self, takes: Takes) -> Option<Instant> {
        let settles = self.settles.front().map(|oldest| oldest.since).filter(|_| takes != Takes::Accepts);
        let patient = self.patient_since.filter(|_| takes != Takes::Settles);
        settles.into_iter().chain(patient).min()
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
            waiting.due(Takes::Both) != Due::WhenRung
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
        drop(Batch::of(&mut inbox.lock(), Takes::Both, Instant::now()));
        assert!(inbox.is_calm());
        inbox.committed();
        assert!(!inbox.is_calm());
        inbox.synced(1);
        put(&inbox, BUSY);
        drop(Batch::of(&mut inbox.lock(), Takes::Both, Instant::now()));
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
        drop(Batch::of(&mut inbox.lock(), Takes::Both, Instant::now()));
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

    /// Puts an event in line that need not be committed by itself; says since when the first such waits.
    fn put_patient(inbox: &Inbox) -> Option<Instant> {
        let (accept, _) = examples::accept();
        let (tenant_id, now) = (accept.event.tenant_id, Instant::now());
        inbox.put(&inbox.accepts, |waiting| waiting.put_patient(tenant_id, 1, accept, now));
        inbox.lock().patient_since
    }

    fn put_pressing(inbox: &Inbox) {
        let (accept, _) = examples::accept();
        inbox.put(&inbox.accepts, |waiting| waiting.accepts.push(accept.event.tenant_id, 1, accept));
    }

    #[test]
    fn patient_events_come_along_with_another() {
        for (inbox, takes) in [(Inbox::of_one(), Takes::Both), (Inbox::of_two(), Takes::Accepts)] {
            let taken = |now| inbox.lock().take_accepts(9, 9, now).len();
            let since = put_patient(&inbox).expect("it waits");
            assert_eq!(inbox.lock().due(takes), Due::At(since + LINGER));
            assert_eq!(taken(since), 0, "alone, too early");
            put_pressing(&inbox);
            assert_eq!(inbox.lock().due(takes), Due::Now);
            assert_eq!(taken(since), 2);
            assert_eq!(inbox.lock().due(takes), Due::WhenRung);
            assert_eq!(inbox.lock().patient_since, None);
        }
    }

    #[test]
    fn an_outcome_takes_no_patient_events_along() {
        let inbox = Inbox::of_one();
        let since = put_patient(&inbox).expect("it waits");
        settle(&inbox);
        assert_eq!(due(&inbox), Due::Now);
        let batch = Batch::of(&mut inbox.lock(), Takes::Both, since);
        assert_eq!((batch.settles.len(), batch.accepts.len()), (1, 0));
        assert_eq!(inbox.lock().last_rows, 1);
        assert_eq!(due(&inbox), Due::At(since + LINGER));
    }

    #[test]
    fn patient_events_wait_no_longer_than_until_they_are_due_or_many() {
        let inbox = Inbox::of_one();
        let since = put_patient(&inbox).expect("it waits");
        put_pressing(&inbox);
        assert_eq!(inbox.lock().take_accepts(1, 9, since + LINGER).len(), 1);
        assert_eq!(inbox.lock().accepts.take(9, 9).len(), 1, "they go before others");
        for _ in 0..ENOUGH {
            put_patient(&inbox);
        }
        assert_eq!(due(&inbox), Due::Now);
        assert_eq!(inbox.lock().take_accepts(ENOUGH, ENOUGH, since).len(), ENOUGH);
    }

    #[test]
    fn at_the_end_nothing_waits_for_company_and_nothing_more_is_taken() {
        let inbox = Inbox::of_one();
        inbox.committed();
        put(&inbox, 1);
        put_patient(&inbox);
        inbox.close();
        assert_eq!(due(&inbox), Due::Now);
        assert_eq!(Batch::of(&mut inbox.lock(), Takes::Both, Instant::now()).len(), 2);
        put(&inbox, 1);
        assert_eq!(inbox.lock().claims.len(), 0);
    }
}
