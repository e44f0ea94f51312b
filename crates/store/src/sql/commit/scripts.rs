//! A batch as scripts: few round trips, however large it is. For any database.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use postrider_core::{DeliveryId, EventId, Timestamp};
use sqlx::Pool;
use sqlx::pool::PoolConnection;
use uuid::Uuid;

use super::batch::{Batch, Committed};
use super::writer::Ledger;
use crate::error::Result;
use crate::node_number::NodeNumber;
use crate::queue::Settlement;
use crate::sql::accept::{self, Accept};
use crate::sql::dialect::{Dialect, Script};
use crate::sql::query::Row;
use crate::sql::settle::{self, Settled};

/// How long a writer trusts its connection without asking.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// Writes on a connection of its own pool.
pub(crate) struct Scripts<DB: Dialect> {
    pool: Pool<DB>,
    node: NodeNumber,
    /// The connection of the last commit, and when that was.
    kept: Option<(PoolConnection<DB>, Instant)>,
    accept: DB::Prepared,
    settle: DB::Prepared,
    /// What follows once it is known what the settlements changed.
    record: DB::Prepared,
}

impl<DB: Dialect> Scripts<DB> {
    pub(crate) fn new(pool: Pool<DB>, node: NodeNumber) -> Self {
        let script = |begins, steps, commits| DB::prepare(Script { begins, steps, commits });
        Self {
            pool,
            node,
            kept: None,
            accept: script(true, accept::steps::<DB>(1), true),
            settle: script(true, vec![settle::update_step::<DB>(1)], false),
            record: script(false, settle::record_steps::<DB>(), true),
        }
    }

    /// The connection of the last commit, if that was just now; a pool would ask the database whether
    /// it is well.
    async fn connection(&mut self) -> Result<PoolConnection<DB>> {
        // An old one goes back before the pool is asked: it may be the only one there is.
        let fresh = self.kept.take().filter(|(_, used_at)| used_at.elapsed() < KEPT_FOR);
        match fresh {
            Some((connection, _)) => Ok(connection),
            None => Ok(self.pool.acquire().await?),
        }
    }

    /// Commits events.
    async fn accept(&mut self, accepts: &[&Accept], now: Timestamp) -> Result<HashSet<EventId>> {
        let mut arguments = DB::Arguments::default();
        accept::bind::<DB>(&mut arguments, accepts, self.node.get(), now).map_err(sqlx::Error::Encode)?;
        let mut connection = self.connection().await?;
        let result = DB::run_script(&mut connection, &self.accept, arguments).await;
        let rows = self.keep(connection, result.map_err(Into::into)).await?;
        ids::<DB, _>(rows)
    }

    /// Commits settlements.
    pub(super) async fn settle(&mut self, settlements: &[&Settlement], now: Timestamp) -> Result<Vec<Settled>> {
        let mut connection = self.connection().await?;
        let result = self.settle_on(&mut connection, settlements, now).await;
        self.keep(connection, result).await
    }

    async fn settle_on(
        &mut self,
        db: &mut DB::Connection,
        settlements: &[&Settlement],
        now: Timestamp,
    ) -> Result<Vec<Settled>> {
        let mut arguments = DB::Arguments::default();
        settle::bind_update::<DB>(&mut arguments, settlements, now).map_err(sqlx::Error::Encode)?;
        let changed: HashSet<DeliveryId> = ids::<DB, _>(DB::run_script(db, &self.settle, arguments).await?)?;
        let settled = settle::resolve::<DB>(db, settlements, &changed, now).await?;
        let mut arguments = DB::Arguments::default();
        let node = self.node.get();
        settle::bind_records::<DB>(&mut arguments, settlements, &settled, node).map_err(sqlx::Error::Encode)?;
        DB::run_script(db, &self.record, arguments).await?;
        Ok(settled)
    }

    /// Keeps the connection for the next commit, or undoes what failed on it.
    async fn keep<T>(&mut self, mut connection: PoolConnection<DB>, result: Result<T>) -> Result<T> {
        match &result {
            // Where there is but one, others want it too.
            Ok(_) if DB::SHARED => self.kept = Some((connection, Instant::now())),
            Ok(_) => {}
            Err(_) => DB::roll_back(&mut connection).await,
        }
        result
    }
}

impl<DB: Dialect> Ledger for Scripts<DB> {
    async fn commit(&mut self, batch: &Batch, now: Timestamp) -> Result<Committed> {
        let mut committed = Committed { inserted: HashSet::new(), settled: Vec::new(), claimed: Vec::new(), at: now };
        if !batch.settles.is_empty() {
            let settled = self.settle(&batch.settlements(), now).await?;
            committed.settled = settled.into_iter().map(Ok).collect();
        }
        if !batch.accepts.is_empty() {
            let accepts: Vec<&Accept> = batch.accepts.iter().collect();
            committed.inserted = self.accept(&accepts, now).await?;
        }
        Ok(committed)
    }
}

fn ids<DB: Dialect, T: From<Uuid> + Eq + std::hash::Hash>(rows: Vec<DB::Row>) -> Result<HashSet<T>> {
    rows.into_iter().map(|row| Row::<DB>(row).id(0)).collect()
}
