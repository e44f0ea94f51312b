//! Commits batch after batch.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use postrider_core::{Timestamp, World};

use super::batch::{Batch, Committed};
use super::inbox::{Bell, Due, Inbox};
use crate::error::{Result, StoreError};
use crate::measure;

/// How often a batch is committed that meets others.
const MAX_ROUNDS: usize = 5;

/// Writes a batch down, as a whole or not at all. Settlements that find their row otherwise than
/// their claim left it may be written by themselves.
pub(crate) trait Ledger: Send + 'static {
    fn commit(&mut self, batch: &Batch, now: Timestamp) -> impl Future<Output = Result<Committed>> + Send;
}

pub(super) struct Writer<L: Ledger> {
    pub(super) ledger: L,
    /// Says what it takes, and when.
    pub(super) bell: Bell,
    pub(super) world: World,
    pub(super) inbox: Arc<Inbox>,
    /// Called with each batch behind its commit.
    pub(super) done: Box<dyn FnMut(Batch, Committed) + Send>,
}

impl<L: Ledger> Writer<L> {
    pub(super) async fn run(mut self) {
        while let Some(batch) = next_batch(&self.inbox, &self.bell).await {
            let mut parts = vec![batch];
            while let Some(part) = parts.pop() {
                match self.commit(&part).await {
                    Ok(committed) => (self.done)(part, committed),
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
}

/// What is to be committed next. `None` when closed and empty.
async fn next_batch(inbox: &Inbox, bell: &Bell) -> Option<Batch> {
    loop {
        let due = {
            let mut waiting = inbox.lock();
            match waiting.due(bell.takes) {
                Due::WhenRung if waiting.closed => return None,
                Due::At(at) if at > Instant::now() => Some(at),
                Due::WhenRung => None,
                Due::Now | Due::At(_) => return Some(Batch::of(&mut waiting, bell.takes)),
            }
        };
        match due {
            // Whatever comes first: more, or the end of the wait.
            Some(at) => drop(tokio::time::timeout_at(at.into(), bell.rung()).await),
            None => bell.rung().await,
        }
    }
}
