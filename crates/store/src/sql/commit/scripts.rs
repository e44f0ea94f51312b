//! A batch as scripts: few round trips, however large it is. For any database.

use std::collections::HashSet;

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
use crate::sql::kept::Kept;
use crate::sql::query::Row;
use crate::sql::settle::{self, Settled};

/// Writes on a connection of its own pool.
pub(crate) struct Scripts<DB: Dialect> {
    connection: Kept<DB>,
    node: NodeNumber,
    accept: DB::Prepared,
    /// Settlements that find their rows as their claims left them, where a script is one statement.
    settle: Option<DB::Prepared>,
    /// A settlement of which that is not known.
    update: DB::Prepared,
    /// What follows once it is known what it changed.
    record: DB::Prepared,
}

impl<DB: Dialect> Scripts<DB> {
    pub(crate) fn new(pool: Pool<DB>, node: NodeNumber) -> Self {
        let script = |begins, steps, commits| DB::prepare(Script { begins, steps, commits });
        Self {
            connection: Kept::of(pool),
            node,
            accept: script(true, accept::steps::<DB>(), true),
            settle: DB::SHARED.then(|| script(true, settle::whole_steps::<DB>(), true)),
            update: script(true, vec![settle::update_step::<DB>()], false),
            record: script(false, settle::record_steps::<DB>(), true),
        }
    }

    /// Commits events.
    async fn accept(&mut self, accepts: &[&Accept], now: Timestamp) -> Result<HashSet<EventId>> {
        let mut arguments = DB::Arguments::default();
        accept::bind::<DB>(&mut arguments, accepts, self.node.get(), now).map_err(sqlx::Error::Encode)?;
        let mut connection = self.connection.take().await?;
        let result = DB::run_script(&mut connection, &self.accept, arguments).await;
        let rows = self.keep(connection, result.map_err(Into::into)).await?;
        ids::<DB, _>(rows)
    }

    /// Commits settlements: those that are in time together, the others each by itself.
    async fn settle_all(&mut self, settlements: &[&Settlement], now: Timestamp) -> Result<Vec<Result<Settled>>> {
        let mut changed = HashSet::new();
        if let Some(script) = &self.settle {
            let mut arguments = DB::Arguments::default();
            settle::bind_whole::<DB>(&mut arguments, settlements, self.node.get(), now).map_err(sqlx::Error::Encode)?;
            let mut connection = self.connection.take().await?;
            let result = DB::run_script(&mut connection, script, arguments).await;
            changed = ids::<DB, DeliveryId>(self.keep(connection, result.map_err(Into::into)).await?)?;
        }
        let mut settled = Vec::with_capacity(settlements.len());
        for settlement in settlements {
            let is_changed = changed.contains(&settlement.delivery_id);
            settled.push(if is_changed { Ok(Settled::IN_TIME) } else { self.settle(settlement, now).await });
        }
        Ok(settled)
    }

    /// Commits one settlement, whatever its row says by now.
    pub(super) async fn settle(&mut self, settlement: &Settlement, now: Timestamp) -> Result<Settled> {
        let mut connection = self.connection.take().await?;
        let result = self.settle_on(&mut connection, settlement, now).await;
        self.keep(connection, result).await
    }

    async fn settle_on(&mut self, db: &mut DB::Connection, settlement: &Settlement, now: Timestamp) -> Result<Settled> {
        let mut arguments = DB::Arguments::default();
        settle::bind_update::<DB>(&mut arguments, &[settlement], now).map_err(sqlx::Error::Encode)?;
        let is_changed = !DB::run_script(db, &self.update, arguments).await?.is_empty();
        let settled =
            if is_changed { Settled::IN_TIME } else { settle::settle_late::<DB>(db, settlement, now).await? };
        let mut arguments = DB::Arguments::default();
        settle::bind_record::<DB>(&mut arguments, settlement, &settled, self.node.get())
            .map_err(sqlx::Error::Encode)?;
        DB::run_script(db, &self.record, arguments).await?;
        Ok(settled)
    }

    /// Keeps the connection for the next commit, or undoes what failed on it.
    async fn keep<T>(&mut self, mut connection: PoolConnection<DB>, result: Result<T>) -> Result<T> {
        match &result {
            // Where there is but one, others want it too.
            Ok(_) if DB::SHARED => self.connection.keep(connection),
            Ok(_) => {}
            Err(_) => DB::roll_back(&mut connection).await,
        }
        result
    }
}

impl<DB: Dialect> Ledger for Scripts<DB> {
    async fn commit(&mut self, batch: &Batch, now: Timestamp) -> Result<Committed> {
        batch.written();
        let mut committed = Committed { inserted: HashSet::new(), settled: Vec::new(), claimed: Vec::new(), at: now };
        if !batch.settles.is_empty() {
            committed.settled = self.settle_all(&batch.settlements(), now).await?;
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
