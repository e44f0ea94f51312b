//! The writers: what arrives while one commit runs is the next one. No timer.
//!
//! Where a database has one writer, it takes settlements and events in one transaction, settlements
//! first, so that neither kind can wait for the other in a circle. Where it has many, each kind has
//! a writer of its own.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postrider_core::{DeliveryId, EventId, Timestamp, World};
use sqlx::Pool;
use sqlx::pool::PoolConnection;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::accept::{self, Accept};
use super::dialect::{Dialect, Script};
use super::query::Row;
use super::settle::{self, Settled};
use crate::error::{Result, StoreError};
use crate::fair_queue::FairQueue;
use crate::hand_over::HandOver;
use crate::measure::{self, Rows};
use crate::node_number::NodeNumber;
use crate::queue::Settlement;

/// Bytes of events that may wait for their commit.
const WAITING_BYTES: usize = 64 * 1024 * 1024;
/// Most events and most settlements of one commit.
const BATCH_ROWS: usize = 512;
/// About how many bytes of events one commit takes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How often a batch is committed that meets others.
const MAX_ROUNDS: usize = 5;
/// How long a writer trusts its connection without asking.
const KEPT_FOR: Duration = Duration::from_secs(1);
/// What a row weighs beside its event's payload, in bytes.
const DELIVERY_BYTES: usize = 256;

/// A settlement on its way into the store.
struct Settle {
    settlement: Settlement,
    /// Hears whether the delivery was changed.
    reply: oneshot::Sender<Result<bool>>,
}

/// What waits for its commit.
#[derive(Default)]
struct Waiting {
    settles: VecDeque<Settle>,
    accepts: FairQueue<Accept>,
    closed: bool,
}

struct Inbox {
    waiting: Mutex<Waiting>,
    settle_arrived: Arc<Notify>,
    accept_arrived: Arc<Notify>,
    room: Arc<Semaphore>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections that group commits run on.
pub(crate) enum CommitLanes<DB: Dialect> {
    /// One writer for everything.
    One(Pool<DB>),
    /// A writer for each kind.
    Two {
        /// For events.
        accepts: Pool<DB>,
        /// For settlements.
        records: Pool<DB>,
    },
}

/// What a writer takes of what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Both,
    Settles,
    Accepts,
}

/// A handle to the writers.
pub(super) struct GroupCommit {
    inbox: Arc<Inbox>,
    writers: Mutex<Vec<JoinHandle<()>>>,
}

impl GroupCommit {
    /// Starts a task for each writer.
    pub(super) fn start<DB: Dialect>(
        lanes: CommitLanes<DB>,
        node: &NodeNumber,
        world: &World,
        hand_over: &HandOver,
    ) -> Self {
        let settle_arrived = Arc::new(Notify::new());
        let accept_arrived = match lanes {
            CommitLanes::One(_) => Arc::clone(&settle_arrived),
            CommitLanes::Two { .. } => Arc::new(Notify::new()),
        };
        let room = Arc::new(Semaphore::new(WAITING_BYTES));
        let inbox = Arc::new(Inbox { waiting: Mutex::default(), settle_arrived, accept_arrived, room });
        let writer = |pool, takes| {
            let (world, hand_over, inbox) = (world.clone(), hand_over.clone(), Arc::clone(&inbox));
            tokio::spawn(Writer::<DB>::new(pool, takes, node.clone(), world, hand_over, inbox).run())
        };
        let writers = match lanes {
            CommitLanes::One(pool) => vec![writer(pool, Takes::Both)],
            CommitLanes::Two { accepts, records } => {
                vec![writer(accepts, Takes::Accepts), writer(records, Takes::Settles)]
            }
        };
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
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = self.inbox.lock();
            if waiting.closed {
                return Err(closed());
            }
            waiting.settles.push_back(Settle { settlement, reply });
        }
        self.inbox.settle_arrived.notify_one();
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Whether what is put in line will be written.
    pub(super) fn is_running(&self) -> bool {
        let writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        !writers.is_empty() && !writers.iter().any(JoinHandle::is_finished)
    }

    /// Takes nothing more, and waits until all that waited is committed.
    pub(super) async fn close(&self) {
        self.inbox.lock().closed = true;
        self.inbox.room.close();
        self.inbox.accept_arrived.notify_one();
        self.inbox.settle_arrived.notify_one();
        let writers = std::mem::take(&mut *self.writers.lock().unwrap_or_else(PoisonError::into_inner));
        for writer in writers {
            if let Err(error) = writer.await {
                tracing::error!(%error, "a writer ended badly");
            }
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is shutting down".to_owned())
}

/// Settlements and events of one commit.
struct Batch {
    settles: Vec<Settle>,
    accepts: Vec<Accept>,
}

impl Batch {
    fn len(&self) -> usize {
        self.settles.len() + self.accepts.len()
    }

    /// Two halves; settlements and events part first.
    fn split(mut self) -> [Self; 2] {
        if !self.settles.is_empty() && !self.accepts.is_empty() {
            let accepts = Self { settles: Vec::new(), accepts: self.accepts };
            return [Self { settles: self.settles, accepts: Vec::new() }, accepts];
        }
        let settles = self.settles.split_off(self.settles.len() / 2);
        let accepts = self.accepts.split_off(self.accepts.len() / 2);
        [self, Self { settles, accepts }]
    }

    fn fail(self, error: &StoreError) {
        self.settles.into_iter().for_each(|settle| drop(settle.reply.send(Err(error.copy()))));
        self.accepts.into_iter().for_each(|accept| drop(accept.reply.send(Err(error.copy()))));
    }
}

/// What a commit did.
struct Committed {
    /// The events that were inserted.
    inserted: HashSet<EventId>,
    /// What became of each settlement, in order.
    settled: Vec<Settled>,
    at: Timestamp,
}

struct Writer<DB: Dialect> {
    pool: Pool<DB>,
    takes: Takes,
    node: NodeNumber,
    world: World,
    hand_over: HandOver,
    inbox: Arc<Inbox>,
    /// Events alone: one round trip.
    accept: DB::Prepared,
    /// Settlements, and events if this writer takes both. The records of the settlements follow, once
    /// it is known what changed.
    settle: DB::Prepared,
    record: DB::Prepared,
}

/// The connection of a writer's last commit, and when that was.
type Kept<DB> = Option<(PoolConnection<DB>, Instant)>;

impl<DB: Dialect> Writer<DB> {
    fn new(
        pool: Pool<DB>,
        takes: Takes,
        node: NodeNumber,
        world: World,
        hand_over: HandOver,
        inbox: Arc<Inbox>,
    ) -> Self {
        let script = |begins, steps, commits| DB::prepare(Script { begins, steps, commits });
        let mut settle = vec![settle::update_step::<DB>(1)];
        if takes == Takes::Both {
            settle.extend(accept::steps::<DB>(1 + settle::update_parameters::<DB>()));
        }
        Self {
            pool,
            takes,
            node,
            world,
            hand_over,
            inbox,
            accept: script(true, accept::steps::<DB>(1), true),
            settle: script(true, settle, false),
            record: script(false, settle::record_steps::<DB>(), true),
        }
    }

    fn arrived(&self) -> &Notify {
        match self.takes {
            Takes::Accepts => &self.inbox.accept_arrived,
            Takes::Both | Takes::Settles => &self.inbox.settle_arrived,
        }
    }

    async fn run(self) {
        let mut kept = None;
        while let Some(batch) = self.next_batch().await {
            let mut parts = vec![batch];
            while let Some(part) = parts.pop() {
                match self.commit(&mut kept, &part).await {
                    Ok(committed) => self.finish(part, &committed),
                    // Only the culprit may fail: halve until it stands alone.
                    Err(error) if !error.is_temporary() && part.len() > 1 => {
                        tracing::warn!(%error, size = part.len(), "a batch failed; halving it");
                        let [first, second] = part.split();
                        parts.extend([second, first]);
                    }
                    Err(error) => {
                        tracing::error!(%error, size = part.len(), "a commit failed");
                        part.fail(&error);
                    }
                }
            }
        }
    }

    /// What waits now. `None` when closed and empty.
    async fn next_batch(&self) -> Option<Batch> {
        loop {
            {
                let mut waiting = self.inbox.lock();
                let mut batch = Batch { settles: Vec::new(), accepts: Vec::new() };
                if self.takes != Takes::Accepts {
                    batch.settles = take_settles(&mut waiting.settles);
                }
                if self.takes != Takes::Settles {
                    batch.accepts = waiting.accepts.take(BATCH_ROWS, BATCH_BYTES);
                }
                if batch.len() > 0 {
                    return Some(batch);
                }
                if waiting.closed {
                    return None;
                }
            }
            self.arrived().notified().await;
        }
    }

    /// Commits a batch; again, if another transaction was in the way.
    async fn commit(&self, kept: &mut Kept<DB>, batch: &Batch) -> Result<Committed> {
        let mut rounds = 1;
        loop {
            match self.commit_once(kept, batch).await {
                Err(StoreError::Contended(why)) if rounds < MAX_ROUNDS => {
                    tracing::info!(why, rounds, "a commit met another; committing again");
                    rounds += 1;
                }
                other => return other,
            }
        }
    }

    async fn commit_once(&self, kept: &mut Kept<DB>, batch: &Batch) -> Result<Committed> {
        let mut connection = self.connection(kept).await?;
        let begun = Instant::now();
        let now = self.world.now();
        let result = self.write(&mut connection, batch, now).await;
        measure::commit_took(begun.elapsed());
        match &result {
            Ok(_) if self.takes != Takes::Both => *kept = Some((connection, Instant::now())),
            Ok(_) => {}
            Err(_) => DB::roll_back(&mut connection).await,
        }
        result
    }

    /// The connection of the last commit, if it is this writer's own and was used just now; a pool
    /// would ask the database whether it is well.
    async fn connection(&self, kept: &mut Kept<DB>) -> Result<PoolConnection<DB>> {
        // An old one goes back before the pool is asked: it may be the only one there is.
        let fresh = kept.take().filter(|(_, used_at)| used_at.elapsed() < KEPT_FOR);
        match fresh {
            Some((connection, _)) => Ok(connection),
            None => Ok(self.pool.acquire().await?),
        }
    }

    async fn write(&self, db: &mut DB::Connection, batch: &Batch, now: Timestamp) -> Result<Committed> {
        let accepts: Vec<&Accept> = batch.accepts.iter().collect();
        let node = self.node.get();
        let mut arguments = DB::Arguments::default();
        if batch.settles.is_empty() {
            accept::bind::<DB>(&mut arguments, &accepts, node, now).map_err(sqlx::Error::Encode)?;
            let inserted = ids::<DB, _>(DB::run_script(db, &self.accept, arguments).await?)?;
            return Ok(Committed { inserted, settled: Vec::new(), at: now });
        }
        let settlements: Vec<&Settlement> = batch.settles.iter().map(|settle| &settle.settlement).collect();
        settle::bind_update::<DB>(&mut arguments, &settlements, now).map_err(sqlx::Error::Encode)?;
        if self.takes == Takes::Both {
            accept::bind::<DB>(&mut arguments, &accepts, node, now).map_err(sqlx::Error::Encode)?;
        }
        let returned: HashSet<Uuid> = ids::<DB, _>(DB::run_script(db, &self.settle, arguments).await?)?;
        let changed: HashSet<DeliveryId> = returned.iter().copied().map(DeliveryId::from).collect();
        let settled = settle::resolve::<DB>(db, &settlements, &changed, now).await?;
        let mut arguments = DB::Arguments::default();
        settle::bind_records::<DB>(&mut arguments, &settlements, &settled, node).map_err(sqlx::Error::Encode)?;
        DB::run_script(db, &self.record, arguments).await?;
        let inserted = returned.into_iter().map(EventId::from).collect();
        Ok(Committed { inserted, settled, at: now })
    }

    fn finish(&self, batch: Batch, committed: &Committed) {
        let is_in = |accept: &&Accept| committed.inserted.contains(&accept.event.id);
        measure::accepted(batch.accepts.iter().filter(is_in).count());
        measure::committed(Rows::Events, batch.accepts.len());
        measure::committed(Rows::Outcomes, batch.settles.len());
        for accept in batch.accepts {
            accept::finish(accept, &committed.inserted, committed.at, &self.hand_over);
        }
        for (settle, settled) in batch.settles.into_iter().zip(&committed.settled) {
            match settled.from {
                Some(_) => measure::settled(&settle.settlement.decision),
                None if settled.is_news => measure::settled_late(),
                None => {}
            }
            drop(settle.reply.send(Ok(settled.from.is_some())));
        }
    }
}

fn ids<DB: Dialect, T: From<Uuid> + Eq + std::hash::Hash>(rows: Vec<DB::Row>) -> Result<HashSet<T>> {
    rows.into_iter().map(|row| Row::<DB>(row).id(0)).collect()
}

/// Up to a batch of settlements, no two of the same delivery: the second must see the first.
fn take_settles(waiting: &mut VecDeque<Settle>) -> Vec<Settle> {
    let mut taken: Vec<Settle> = Vec::new();
    let mut seen = HashSet::new();
    while taken.len() < BATCH_ROWS
        && let Some(next) = waiting.front()
        && seen.insert(next.settlement.delivery_id)
    {
        taken.extend(waiting.pop_front());
    }
    taken
}
