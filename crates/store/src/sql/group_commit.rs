//! The writer: what arrives while one commit runs is the next one. No timer.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postrider_core::{DeliveryId, EventId, Timestamp, World};
use sqlx::Pool;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::accept::{self, Accept};
use super::dialect::{Dialect, RowSet, Script};
use super::query::Row;
use super::settle;
use crate::error::{Result, StoreError};
use crate::fair_queue::FairQueue;
use crate::hand_over::HandOver;
use crate::queue::Settlement;

/// Bytes of events that may wait for their commit.
const WAITING_BYTES: usize = 64 * 1024 * 1024;
/// Most events and most settlements of one commit.
const BATCH_ROWS: usize = 512;
/// About how many bytes of events one commit takes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// What a delivery weighs beside its event's payload, in bytes.
const DELIVERY_BYTES: usize = 256;

/// A settlement on its way into the store.
struct Settle {
    settlement: Settlement,
    reply: oneshot::Sender<Result<()>>,
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
    arrived: Notify,
    room: Arc<Semaphore>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle to the writer.
pub(super) struct GroupCommit {
    inbox: Arc<Inbox>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl GroupCommit {
    /// Starts the writer's task.
    pub(super) fn start<DB: Dialect>(pool: Pool<DB>, world: World, hand_over: HandOver) -> Self {
        let room = Arc::new(Semaphore::new(WAITING_BYTES));
        let inbox = Arc::new(Inbox { waiting: Mutex::default(), arrived: Notify::new(), room });
        let writer = Writer::<DB>::new(pool, world, hand_over, Arc::clone(&inbox));
        let task = tokio::spawn(writer.run());
        Self { inbox, writer: Mutex::new(Some(task)) }
    }

    /// What an event with so many deliveries takes of the room for what waits.
    pub(super) fn weight(payload: usize, deliveries: usize) -> usize {
        (payload + (deliveries + 1) * DELIVERY_BYTES).min(WAITING_BYTES)
    }

    /// Waits for room for an event.
    pub(super) async fn room(&self, weight: usize) -> Result<tokio::sync::OwnedSemaphorePermit> {
        let permits = u32::try_from(weight).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.inbox.room).acquire_many_owned(permits).await;
        room.map_err(|_| closed())
    }

    /// Puts an event in line; its `reply` hears after the commit.
    pub(super) fn accept(&self, accept: Accept) {
        let weight = Self::weight(accept.event.draft.payload.len(), accept.targets.len());
        let mut waiting = self.inbox.lock();
        if waiting.closed {
            drop(accept.reply.send(Err(closed())));
            return;
        }
        waiting.accepts.push(accept.event.tenant_id, weight, accept);
        drop(waiting);
        self.inbox.arrived.notify_one();
    }

    /// Writes a settlement down and waits for its commit.
    pub(super) async fn settle(&self, settlement: Settlement) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = self.inbox.lock();
            if waiting.closed {
                return Err(closed());
            }
            waiting.settles.push_back(Settle { settlement, reply });
        }
        self.inbox.arrived.notify_one();
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Takes nothing more, and waits until all that waited is committed.
    pub(super) async fn close(&self) {
        self.inbox.lock().closed = true;
        self.inbox.room.close();
        self.inbox.arrived.notify_one();
        let task = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the writer ended badly");
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
        let copy = || match error {
            StoreError::Unavailable(why) => StoreError::Unavailable(why.clone()),
            other => StoreError::Refused(other.to_string()),
        };
        self.settles.into_iter().for_each(|settle| drop(settle.reply.send(Err(copy()))));
        self.accepts.into_iter().for_each(|accept| drop(accept.reply.send(Err(copy()))));
    }
}

struct Writer<DB: Dialect> {
    pool: Pool<DB>,
    world: World,
    hand_over: HandOver,
    inbox: Arc<Inbox>,
    /// Events alone: one round trip.
    accept: DB::Prepared,
    /// Settlements and events, whose records follow once it is known what changed.
    settle_and_accept: DB::Prepared,
    record: DB::Prepared,
}

impl<DB: Dialect> Writer<DB> {
    fn new(pool: Pool<DB>, world: World, hand_over: HandOver, inbox: Arc<Inbox>) -> Self {
        let update = settle::update_statement::<DB>(1);
        let beside = accept::statements::<DB>(2 + DB::Rows::PARAMETERS);
        let script = |begins, statements, commits| DB::prepare(Script { begins, statements, commits });
        Self {
            pool,
            world,
            hand_over,
            inbox,
            accept: script(true, accept::statements::<DB>(1), true),
            settle_and_accept: script(true, std::iter::once(update).chain(beside).collect(), false),
            record: script(false, settle::record_statements::<DB>(), true),
        }
    }

    async fn run(self) {
        while let Some(batch) = self.next_batch().await {
            let mut parts = vec![batch];
            while let Some(part) = parts.pop() {
                match self.commit(&part).await {
                    Ok((inserted, now)) => self.finish(part, &inserted, now),
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

    /// What waits now; settlements go first, so that neither kind can wait for the other in a
    /// circle. `None` when closed and empty.
    async fn next_batch(&self) -> Option<Batch> {
        loop {
            {
                let mut waiting = self.inbox.lock();
                let batch = Batch {
                    settles: take_settles(&mut waiting.settles),
                    accepts: waiting.accepts.take(BATCH_ROWS, BATCH_BYTES),
                };
                if batch.len() > 0 {
                    return Some(batch);
                }
                if waiting.closed {
                    return None;
                }
            }
            self.inbox.arrived.notified().await;
        }
    }

    async fn commit(&self, batch: &Batch) -> Result<(HashSet<EventId>, Timestamp)> {
        let mut connection = self.pool.acquire().await?;
        let now = self.world.now();
        let result = self.write(&mut connection, batch, now).await;
        if result.is_err() {
            DB::roll_back(&mut connection).await;
        }
        Ok((result?, now))
    }

    /// Returns the ids of the events that were inserted.
    async fn write(&self, db: &mut DB::Connection, batch: &Batch, now: Timestamp) -> Result<HashSet<EventId>> {
        let accepts: Vec<&Accept> = batch.accepts.iter().collect();
        let mut arguments = DB::Arguments::default();
        if batch.settles.is_empty() {
            accept::bind::<DB>(&mut arguments, &accepts, now).map_err(sqlx::Error::Encode)?;
            return ids::<DB, _>(DB::run_script(db, &self.accept, arguments).await?);
        }
        let settlements: Vec<&Settlement> = batch.settles.iter().map(|settle| &settle.settlement).collect();
        settle::bind_update::<DB>(&mut arguments, &settlements, now).map_err(sqlx::Error::Encode)?;
        accept::bind::<DB>(&mut arguments, &accepts, now).map_err(sqlx::Error::Encode)?;
        let returned: HashSet<Uuid> = ids::<DB, _>(DB::run_script(db, &self.settle_and_accept, arguments).await?)?;
        let changed: HashSet<DeliveryId> = returned.iter().copied().map(DeliveryId::from).collect();
        let settled = settle::resolve::<DB>(db, &settlements, &changed, now).await?;
        let mut arguments = DB::Arguments::default();
        settle::bind_records::<DB>(&mut arguments, &settlements, &settled).map_err(sqlx::Error::Encode)?;
        DB::run_script(db, &self.record, arguments).await?;
        Ok(returned.into_iter().map(EventId::from).collect())
    }

    fn finish(&self, batch: Batch, inserted: &HashSet<EventId>, now: Timestamp) {
        for accept in batch.accepts {
            accept::finish(accept, inserted, now, &self.hand_over);
        }
        for settle in batch.settles {
            drop(settle.reply.send(Ok(())));
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
