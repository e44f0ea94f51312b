//! The writers: what arrives while one commit runs is the next one.
//!
//! Where a database has one writer, it takes settlements and events in one transaction, settlements
//! first, so that neither kind can wait for the other in a circle. Where it has many, each kind has
//! a writer of its own.

mod batch;
mod checkpoint;
mod finish;
mod inbox;
mod scripts;
mod statements;
mod sync;
mod to_disk;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use postrider_core::World;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::accept::Accept;
use super::claimed_row::{ClaimWish, ClaimedRow};
use crate::error::{Result, StoreError};
use crate::journal::Urgency;
use crate::queue::Settlement;
use batch::{Claim, Settle};
use checkpoint::Pace;
pub(crate) use checkpoint::{Checkpoints, MOST_LOG_PAGES};
pub(crate) use finish::Finisher;
use inbox::{Bell, Inbox, WAITING_BYTES, Waiting};
pub(crate) use scripts::Scripts;
pub(crate) use statements::Statements;
pub(crate) use sync::Log;
use sync::Syncs;
use to_disk::ToDisk;
use writer::{Ledger, Writer};

/// What a row weighs beside its event's payload, in bytes.
const DELIVERY_BYTES: usize = 256;

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
        finisher: Finisher,
    ) -> Self {
        let inbox = Inbox::of_one();
        let (pace, due) = Pace::new();
        let syncs = Arc::new(Syncs::new(log, Arc::clone(&inbox), finisher, pace));
        let (finish, committed) = ToDisk::new(Arc::clone(&syncs), Arc::clone(&inbox));
        let bell = inbox.settles.clone();
        let writer = Writer { ledger, finish, bell, world: world.clone(), inbox: Arc::clone(&inbox) };
        let runtime = Handle::current();
        let writing = tokio::task::spawn_blocking({
            let runtime = runtime.clone();
            move || runtime.block_on(writer.run())
        });
        let syncing = tokio::task::spawn_blocking(move || syncs.run(&committed));
        let checkpointing = tokio::task::spawn_blocking(move || checkpoints.run(&due, &runtime));
        Self { inbox, writers: Mutex::new(vec![writing, syncing, checkpointing]) }
    }

    /// A task for each kind.
    pub(crate) fn as_tasks<L: Ledger>([accepts, records]: [L; 2], world: &World, finisher: &Finisher) -> Self {
        let inbox = Inbox::of_two();
        let start = |ledger, bell: &Bell| {
            let (bell, world, inbox) = (bell.clone(), world.clone(), Arc::clone(&inbox));
            tokio::spawn(Writer { ledger, finish: finisher.clone(), bell, world, inbox }.run())
        };
        let writers = vec![start(accepts, &inbox.accepts), start(records, &inbox.settles)];
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
    pub(super) fn accept(&self, accept: Accept, urgency: Urgency) {
        let (tenant_id, weight) =
            (accept.event.tenant_id, Self::weight(accept.event.draft.payload.len(), accept.rows()));
        self.inbox.put(&self.inbox.accepts, |waiting| match urgency {
            Urgency::Pressing => waiting.accepts.push(tenant_id, weight, accept),
            Urgency::Patient => waiting.put_patient(tenant_id, weight, accept, Instant::now()),
        });
    }

    /// Writes a settlement down and waits for its commit. Whether it changed the delivery.
    pub(super) async fn settle(&self, settlement: Arc<Settlement>) -> Result<bool> {
        self.ask(|waiting, reply| waiting.settles.push_back(Settle { settlement, since: Instant::now(), reply })).await
    }

    /// Claims rows in the next commit, where one writer takes everything.
    pub(super) async fn claim(&self, wish: ClaimWish) -> Result<Vec<ClaimedRow>> {
        self.ask(|waiting, reply| waiting.claims.push(Claim { wish, reply })).await
    }

    /// Puts something in line and waits for what becomes of it: whose reply is dropped hears that it is shutting down.
    async fn ask<T>(&self, put: impl FnOnce(&mut Waiting, oneshot::Sender<Result<T>>)) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.inbox.put(&self.inbox.settles, |waiting| put(waiting, reply));
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
