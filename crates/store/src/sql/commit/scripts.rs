//! A batch as scripts: few round trips, however large it is. For any database.

use std::collections::HashSet;

use postrider_core::{DeliveryId, EventId, Timestamp};
use uuid::Uuid;

use super::batch::{Batch, Committed};
use super::writer::Ledger;
use crate::db::{Connection, Pool};
use crate::error::Result;
use crate::node_number::NodeNumber;
use crate::queue::Settlement;
use crate::sql::accept::{self, Accept};
use crate::sql::dialect::{Dialect, Script};
use crate::sql::query::Row;
use crate::sql::settle::{self, Settled};

/// Writes on a connection of its own pool.
pub(crate) struct Scripts<DB: Dialect> {
    pool: Pool<DB>,
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
            pool,
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
        let mut connection = self.pool.acquire().await?;
        let result = connection.run_script(&self.accept, arguments).await;
        ids::<DB, _>(undone(&mut connection, result).await?)
    }

    /// Commits settlements: those that are in time together, the others each by itself.
    async fn settle_all(&mut self, settlements: &[&Settlement], now: Timestamp) -> Result<Vec<Result<Settled>>> {
        let mut changed = HashSet::new();
        if let Some(script) = &self.settle {
            let mut arguments = DB::Arguments::default();
            settle::bind_whole::<DB>(&mut arguments, settlements, self.node.get(), now).map_err(sqlx::Error::Encode)?;
            let mut connection = self.pool.acquire().await?;
            let result = connection.run_script(script, arguments).await;
            changed = ids::<DB, DeliveryId>(undone(&mut connection, result).await?)?;
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
        let mut connection = self.pool.acquire().await?;
        let result = self.settle_on(&mut connection, settlement, now).await;
        undone(&mut connection, result).await
    }

    async fn settle_on(&mut self, db: &mut Connection<DB>, settlement: &Settlement, now: Timestamp) -> Result<Settled> {
        let mut arguments = DB::Arguments::default();
        settle::bind_update::<DB>(&mut arguments, &[settlement], now).map_err(sqlx::Error::Encode)?;
        let is_changed = !db.run_script(&self.update, arguments).await?.is_empty();
        let settled =
            if is_changed { Settled::IN_TIME } else { settle::settle_late::<DB>(db, settlement, now).await? };
        let mut arguments = DB::Arguments::default();
        settle::bind_record::<DB>(&mut arguments, settlement, &settled, self.node.get())
            .map_err(sqlx::Error::Encode)?;
        db.run_script(&self.record, arguments).await?;
        Ok(settled)
    }
}

/// What a script had; undone on its connection if it failed.
async fn undone<DB: Dialect, T>(connection: &mut Connection<DB>, result: Result<T>) -> Result<T> {
    if result.is_err() {
        connection.roll_back_script().await;
    }
    result
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
