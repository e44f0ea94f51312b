//! The writers: what arrives while one commit runs is the next one.
//!
//! Where a database has one writer, it takes settlements and events in one transaction, settlements
//! first, so that neither kind can wait for the other in a circle. Where it has many, each kind has
//! a writer of its own.

mod batch;
mod checkpoint;
mod finish;
mod scripts;
mod statements;
mod sync;
mod writer;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use postrider_core::World;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;

use super::accept::Accept;
use super::claimed_row::{ClaimWish, ClaimedRow};
use crate::error::{Result, StoreError};
use crate::fair_queue::FairQueue;
use crate::hand_over::HandOver;
use crate::queue::Settlement;
use batch::{Batch, Claim, Committed, Settle};
use checkpoint::Pace;
pub(crate) use checkpoint::{Checkpoints, MOST_LOG_PAGES};
use finish::finish;
pub(crate) use scripts::Scripts;
pub(crate) use statements::Statements;
pub(crate) use sync::Log;
use writer::{Ledger, Takes, Writer};

/// Bytes of events that may wait for their commit.
const WAITING_BYTES: usize = 64 * 1024 * 1024;
/// What a row weighs beside its event's payload, in bytes.
const DELIVERY_BYTES: usize = 256;

/// How long settlements wait for more where they have a writer of their own: no publisher waits for them, and the
/// database has less to do. Nothing else ever waits.
const LINGER: Duration = Duration::from_millis(5);
/// So many need not wait.
const ENOUGH: usize = 64;

/// Most commits that wait for one sync.
const MAX_UNSYNCED: usize = 16;

/// What waits for its commit.
#[derive(Default)]
struct Waiting {
    settles: VecDeque<Settle>,
    claims: Vec<Claim>,
    accepts: FairQueue<Accept>,
    closed: bool,
}

impl Waiting {
    /// How long until there is something to be committed. `None` if nothing waits.
    fn due_in(&self, takes: Takes, now: Instant) -> Option<Duration> {
        let has_accepts = takes != Takes::Settles && !self.accepts.is_empty();
        let has_claims = takes == Takes::Both && !self.claims.is_empty();
        if has_accepts || has_claims {
            return Some(Duration::ZERO);
        }
        let oldest = self.settles.front().filter(|_| takes != Takes::Accepts)?;
        let is_time = self.closed || takes == Takes::Both || self.settles.len() >= ENOUGH;
        Some(if is_time { Duration::ZERO } else { (oldest.since + LINGER).saturating_duration_since(now) })
    }

    /// Whether the writer of settlements is to look: when there is one, and when there are enough.
    fn is_worth_a_look(&self) -> bool {
        matches!(self.settles.len(), 1 | ENOUGH)
    }
}

struct Inbox {
    waiting: Mutex<Waiting>,
    settle_arrived: Arc<Notify>,
    accept_arrived: Arc<Notify>,
    room: Arc<Semaphore>,
}

impl Inbox {
    fn new(settle_arrived: Arc<Notify>, accept_arrived: Arc<Notify>) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(WAITING_BYTES));
        Arc::new(Self { waiting: Mutex::default(), settle_arrived, accept_arrived, room })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.accept_arrived.notify_one();
        self.settle_arrived.notify_one();
    }
}

/// A handle to the writers. When it is dropped, they write what waits and end.
pub(crate) struct GroupCommit {
    inbox: Arc<Inbox>,
    writers: Mutex<Vec<JoinHandle<()>>>,
}

impl GroupCommit {
    /// One writer for everything, the sync of what it wrote, and checkpoints, each on a thread of its own.
    pub(crate) fn on_threads<L: Ledger>(
        ledger: L,
        log: Log,
        checkpoints: Checkpoints,
        world: &World,
        hand_over: &HandOver,
    ) -> Self {
        let arrived = Arc::new(Notify::new());
        let inbox = Inbox::new(Arc::clone(&arrived), arrived);
        let (to_sync, committed) = mpsc::sync_channel::<(Batch, Committed)>(MAX_UNSYNCED);
        let (pace, due) = Pace::new();
        let done = Box::new(move |batch, committed| {
            if let Err(mpsc::SendError((batch, _))) = to_sync.send((batch, committed)) {
                batch.fail(&closed());
            }
        });
        let writer = Writer { ledger, takes: Takes::Both, world: world.clone(), inbox: Arc::clone(&inbox), done };
        let runtime = Handle::current();
        let writing = tokio::task::spawn_blocking({
            let runtime = runtime.clone();
            move || runtime.block_on(writer.run())
        });
        let syncing = tokio::task::spawn_blocking({
            let (inbox, hand_over) = (Arc::clone(&inbox), hand_over.clone());
            move || sync::run(&log, &committed, &inbox, &hand_over, pace)
        });
        let checkpointing = tokio::task::spawn_blocking(move || checkpoints.run(&due, &runtime));
        Self { inbox, writers: Mutex::new(vec![writing, syncing, checkpointing]) }
    }

    /// A task for each kind.
    pub(crate) fn as_tasks<L: Ledger>(accepts: L, records: L, world: &World, hand_over: &HandOver) -> Self {
        let inbox = Inbox::new(Arc::default(), Arc::default());
        let start = |ledger, takes| {
            let (inbox, hand_over) = (Arc::clone(&inbox), hand_over.clone());
            let done = Box::new(move |batch, committed| finish(batch, committed, &hand_over));
            tokio::spawn(Writer { ledger, takes, world: world.clone(), inbox, done }.run())
        };
        let writers = vec![start(accepts, Takes::Accepts), start(records, Takes::Settles)];
        Self { inbox, writers: Mutex::new(writers) }
    }

    /// What an event with so many rows beside its own takes of the room for what waits.
    pub(super) fn weight(payload: usize, rows: usize) -> usize {
        (payload + (rows + 1) * DELIVERY_BYTES).min(WAITING_BYTES)
    }

    /// Waits for room for an event.
    pub(super) async fn room(&self, weight: usize) -> Result<tokio::sync::OwnedSemaphorePermit> {
        let permits = u32::try_from(weight).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.inbox.room).acquire_many_owned(permits).await;
        room.map_err(|_| closed())
    }

    /// Puts an event in line; its `reply` hears after the commit.
    pub(super) fn accept(&self, accept: Accept) {
        let weight = Self::weight(accept.event.draft.payload.len(), accept.rows());
        let mut waiting = self.inbox.lock();
        if waiting.closed {
            drop(accept.reply.send(Err(closed())));
            return;
        }
        waiting.accepts.push(accept.event.tenant_id, weight, accept);
        drop(waiting);
        self.inbox.accept_arrived.notify_one();
    }

    /// Writes a settlement down and waits for its commit. Whether it changed the delivery.
    pub(super) async fn settle(&self, settlement: Settlement) -> Result<bool> {
        self.ask(|waiting, reply| {
            waiting.settles.push_back(Settle { settlement, since: Instant::now(), reply });
            waiting.is_worth_a_look()
        })
        .await
    }

    /// Claims rows in the next commit, where one writer takes everything.
    pub(super) async fn claim(&self, wish: ClaimWish) -> Result<Vec<ClaimedRow>> {
        self.ask(|waiting, reply| {
            waiting.claims.push(Claim { wish, reply });
            true
        })
        .await
    }

    /// Puts something in line and waits for what becomes of it. `put` says whether the writer is to look.
    async fn ask<T>(&self, put: impl FnOnce(&mut Waiting, oneshot::Sender<Result<T>>) -> bool) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let is_to_look = {
            let mut waiting = self.inbox.lock();
            if waiting.closed {
                return Err(closed());
            }
            put(&mut waiting, reply)
        };
        if is_to_look {
            self.inbox.settle_arrived.notify_one();
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Whether what is put in line will be written.
    pub(super) fn is_running(&self) -> bool {
        let writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        !writers.is_empty() && !writers.iter().any(JoinHandle::is_finished)
    }

    /// Takes nothing more, and waits until all that waited is committed.
    pub(super) async fn close(&self) {
        self.inbox.close();
        let writers = std::mem::take(&mut *self.writers.lock().unwrap_or_else(PoisonError::into_inner));
        for writer in writers {
            if let Err(error) = writer.await {
                tracing::error!(%error, "a writer ended badly");
            }
        }
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("it is shutting down".to_owned())
}
