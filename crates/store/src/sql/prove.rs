//! Proves once a second that a commit is possible, while nothing else does.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Dialect, Query, begin, commit};
use crate::db::{Connection, Pool};
use crate::error::Result;
use crate::health::Health;
use crate::node_number::NodeNumber;

/// Between proofs, and how long one may take.
const INTERVAL: Duration = Duration::from_secs(1);

/// Commits a row of this node.
pub(crate) struct Prover<DB: Dialect> {
    /// Of one connection, where many write at a time: other work must not look like an outage.
    pub(crate) pool: Pool<DB>,
    /// Held by whoever writes, where a process must have but one writer at a time.
    pub(crate) turn: Option<Arc<Semaphore>>,
    /// Whose row.
    pub(crate) node: NodeNumber,
    pub(crate) health: Health,
    /// All pools of the process: what they keep without using it is looked through as often.
    pub(crate) pools: Vec<Pool<DB>>,
}

/// Proofs that are being made, until this is dropped.
pub(crate) struct Proofs(JoinHandle<()>);

impl Proofs {
    /// Ends them.
    pub(super) fn end(&self) {
        self.0.abort();
    }
}

impl Drop for Proofs {
    fn drop(&mut self) {
        self.end();
    }
}

impl<DB: Dialect> Prover<DB> {
    /// Proves it once, and goes on to.
    ///
    /// # Errors
    /// The first commit fails.
    pub(crate) async fn start(self) -> Result<Proofs> {
        self.commit().await?;
        self.health.committed();
        Ok(Proofs(tokio::spawn(async move {
            loop {
                sleep(INTERVAL).await;
                self.pools.iter().for_each(Pool::sweep);
                if !self.health.has_committed_within(INTERVAL) {
                    self.prove().await;
                }
            }
        })))
    }

    /// One proof. The next one waits until it has ended, though it counts for nothing by then.
    async fn prove(&self) {
        let mut commit = pin!(self.commit());
        let in_time = timeout(INTERVAL, &mut commit).await;
        match in_time {
            Ok(Ok(())) => self.health.committed(),
            Ok(Err(error)) => self.health.failed(&error),
            Err(_) => {
                self.health.slow();
                if let Err(error) = commit.await {
                    self.health.failed(&error);
                }
            }
        }
    }

    async fn commit(&self) -> Result<()> {
        let turn = match &self.turn {
            Some(turn) => Some(Arc::clone(turn).acquire_owned().await.map_err(|_| commit::closed())?),
            None => None,
        };
        let mut tx = begin(&self.pool).await?;
        tx.hold(turn);
        put::<DB>(&mut tx, self.node.get()).await?;
        tx.commit().await
    }
}

async fn put<DB: Dialect>(db: &mut Connection<DB>, node: i64) -> Result<()> {
    let query = Query::<DB>::new(
        "insert into commit_proofs (node, number) values ($1, 1)
         on conflict (node) do update set number = commit_proofs.number + 1",
    );
    query.bind(node).run(db).await.map(drop)
}
