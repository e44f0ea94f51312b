//! Commits batch after batch.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use postrider_core::{Timestamp, World};

use super::batch::{Batch, Committed};
use super::finish::Finish;
use super::inbox::{Bell, Due, Inbox, Takes};
use crate::error::{Result, StoreError};
use crate::measure;

/// How often a batch is committed that meets others.
const MAX_ROUNDS: usize = 5;

/// Writes a batch down, as a whole or not at all. Settlements that find their row otherwise than
/// their claim left it may be written by themselves.
pub(crate) trait Ledger: Send + 'static {
    fn commit(&mut self, batch: &Batch, now: Timestamp) -> impl Future<Output = Result<Committed>> + Send;
}

pub(super) struct Writer<L: Ledger, F: Finish> {
    pub(super) ledger: L,
    /// Hears of each commit.
    pub(super) finish: F,
    /// Says what it takes, and when.
    pub(super) bell: Bell,
    pub(super) world: World,
    pub(super) inbox: Arc<Inbox>,
}

impl<L: Ledger, F: Finish> Writer<L, F> {
    pub(super) async fn run(mut self) {
        while let Some(batch) = self.next_batch().await {
            let mut parts = vec![batch];
            while let Some(part) = parts.pop() {
                match self.commit(&part).await {
                    Ok(committed) => self.finish.committed(part, committed),
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

    /// Commits a batch; again, if another transaction was in the way.
    async fn commit(&mut self, batch: &Batch) -> Result<Committed> {
        let mut rounds = 1;
        loop {
            let begun = Instant::now();
            let result = self.ledger.commit(batch, self.world.now()).await;
            measure::commit_took(begun.elapsed());
            match result {
                Err(StoreError::Contended(why)) if rounds < MAX_ROUNDS => {
                    tracing::info!(why, rounds, "a commit met another; committing again");
                    rounds += 1;
                }
                other => return other,
            }
        }
    }

    /// What is to be committed next. `None` when closed and empty, and nothing is held back.
    async fn next_batch(&mut self) -> Option<Batch> {
        loop {
            match Next::of(&self.inbox, self.bell.takes) {
                Next::Commit(batch) => return Some(batch),
                Next::Wait(due) => self.wait(due).await,
                Next::End => {
                    self.finish.catch_up();
                    return None;
                }
            }
        }
    }

    /// Until somebody rings, `due`, or what is held back is finished.
    async fn wait(&mut self, due: Option<Instant>) {
        let held = self.finish.due();
        if held.is_some_and(|at| at <= Instant::now()) {
            return self.finish.catch_up();
        }
        match due.into_iter().chain(held).min() {
            Some(at) => drop(tokio::time::timeout_at(at.into(), self.bell.rung()).await),
            None => self.bell.rung().await,
        }
    }
}

/// What a writer does next.
enum Next {
    Commit(Batch),
    /// Until somebody rings, or until then.
    Wait(Option<Instant>),
    End,
}

impl Next {
    fn of(inbox: &Inbox, takes: Takes) -> Self {
        let now = Instant::now();
        let mut waiting = inbox.lock();
        match waiting.due(takes) {
            Due::WhenRung if waiting.closed => Self::End,
            Due::WhenRung => Self::Wait(None),
            Due::At(at) if at > now => Self::Wait(Some(at)),
            Due::Now | Due::At(_) => Self::Commit(Batch::of(&mut waiting, takes, now)),
        }
    }
}
