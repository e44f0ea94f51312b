//! One connection, whose every statement ends: by its answer, or by giving up the connection.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::Object;
use sqlx::{Connection as _, SqlStr};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::pool::Manager;
use crate::error::Result;
use crate::sql::{Dialect, Loss};

/// A connection that statements run on, of a pool or owned. A statement without an answer within
/// [`Dialect::STATEMENT_LIMIT`] fails, and the connection is dropped without a goodbye: a server that vanished says nothing.
/// An open transaction is rolled back when this is dropped.
pub(crate) struct Connection<DB: Dialect> {
    /// Until it is dropped.
    slot: Option<Slot<DB>>,
    /// The turn to write, where one writes at a time.
    turn: Option<OwnedSemaphorePermit>,
}

enum Slot<DB: Dialect> {
    Pooled(Object<Manager<DB>>),
    Owned(Box<Live<DB>>),
}

/// An open connection and what is known of it.
pub(crate) struct Live<DB: Dialect> {
    raw: DB::Connection,
    source: Arc<DB::Source>,
    /// That of the source when this was opened: with another one, it leads to a server of the past.
    epoch: u64,
    opened_at: Instant,
    used_at: Instant,
    /// A statement is under way, or was given up half-way.
    is_busy: bool,
    /// A transaction was begun, and not ended.
    in_transaction: bool,
    /// It is of no use any more.
    is_lost: bool,
}

impl<DB: Dialect> Live<DB> {
    /// Opens one.
    pub(super) async fn open(source: Arc<DB::Source>) -> Result<Self> {
        let (raw, epoch) = DB::open(&source).await?;
        let now = Instant::now();
        Ok(Self {
            raw,
            source,
            epoch,
            opened_at: now,
            used_at: now,
            is_busy: false,
            in_transaction: false,
            is_lost: false,
        })
    }

    /// Whether it was opened longer ago.
    pub(super) fn is_older_than(&self, age: Duration) -> bool {
        self.opened_at.elapsed() > age
    }

    /// Whether it was used more recently.
    pub(super) fn was_used_within(&self, time: Duration) -> bool {
        self.used_at.elapsed() < time
    }

    /// Whether it leads to the server that is written to now.
    pub(super) fn is_of_this_epoch(&self) -> bool {
        self.epoch == DB::epoch(&self.source)
    }

    /// Whether the server answers.
    pub(super) async fn ping(&mut self) -> Result<()> {
        self.is_busy = true;
        let answered = self.raw.ping().await;
        self.ended(answered)
    }

    /// Says goodbye.
    pub(super) async fn close(self) -> Result<()> {
        Ok(self.raw.close().await?)
    }

    /// Ends what is under way, and the transaction that it may be in.
    async fn clean_up(&mut self) -> Result<()> {
        let in_transaction = std::mem::take(&mut self.in_transaction);
        let cleaned_up = async {
            let raw = self.began();
            if in_transaction {
                DB::roll_back(raw).await;
            }
            raw.ping().await
        };
        let cleaned_up = limited::<DB, _>(cleaned_up).await;
        self.ended(cleaned_up)
    }

    fn began(&mut self) -> &mut DB::Connection {
        self.is_busy = true;
        &mut self.raw
    }

    fn ended<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T> {
        self.is_busy = false;
        self.used_at = Instant::now();
        if let Some(loss) = result.as_ref().err().and_then(DB::loss) {
            self.is_lost = true;
            if loss == Loss::Server {
                DB::retire(&self.source, self.epoch);
            }
        }
        Ok(result?)
    }
}

impl<DB: Dialect> Connection<DB> {
    pub(super) const fn pooled(object: Object<Manager<DB>>) -> Self {
        Self { slot: Some(Slot::Pooled(object)), turn: None }
    }

    /// Opens one that is of no pool.
    pub(crate) async fn open(source: Arc<DB::Source>) -> Result<Self> {
        Ok(Self { slot: Some(Slot::Owned(Box::new(Live::open(source).await?))), turn: None })
    }

    /// Runs one statement and counts the rows it changed.
    pub(crate) async fn run(&mut self, sql: SqlStr, arguments: DB::Arguments) -> Result<u64> {
        let live = self.live();
        let ran = limited::<DB, _>(DB::run(live.began(), sql, arguments)).await;
        live.ended(ran)
    }

    /// Runs one statement and collects its rows.
    pub(crate) async fn fetch(&mut self, sql: SqlStr, arguments: DB::Arguments) -> Result<Vec<DB::Row>> {
        let live = self.live();
        let rows = limited::<DB, _>(DB::fetch(live.began(), sql, arguments)).await;
        live.ended(rows)
    }

    /// Runs a script and collects the rows that it returns.
    pub(crate) async fn run_script(&mut self, script: &DB::Prepared, arguments: DB::Arguments) -> Result<Vec<DB::Row>> {
        let live = self.live();
        let rows = limited::<DB, _>(DB::run_script(live.began(), script, arguments)).await;
        live.ended(rows)
    }

    /// Ends the transaction of a script that failed.
    pub(crate) async fn roll_back_script(&mut self) {
        let live = self.live();
        if live.is_lost {
            return;
        }
        let rolled_back = async {
            DB::roll_back(live.began()).await;
            Ok(())
        };
        let rolled_back = limited::<DB, _>(rolled_back).await;
        drop(live.ended(rolled_back));
    }

    /// Begins a transaction, by a statement other than the usual one if `statement` says so.
    pub(crate) async fn begin(&mut self, statement: Option<&'static str>) -> Result<()> {
        let live = self.live();
        live.in_transaction = true;
        let begun = limited::<DB, _>(DB::execute(live.began(), statement.unwrap_or("begin"))).await;
        live.in_transaction = begun.is_ok();
        live.ended(begun)
    }

    /// Keeps a turn to write until this is dropped and no transaction is open any more.
    pub(crate) fn hold(&mut self, turn: Option<OwnedSemaphorePermit>) {
        self.turn = turn;
    }

    /// Commits the transaction. After an error it may be committed all the same.
    pub(crate) async fn commit(mut self) -> Result<()> {
        let live = self.live();
        let committed = limited::<DB, _>(DB::execute(live.began(), "commit")).await;
        live.in_transaction = committed.is_err();
        live.ended(committed)
    }

    /// The driver's connection, for what needs no limit: nobody waits for it.
    pub(crate) fn raw(&mut self) -> &mut DB::Connection {
        &mut self.live().raw
    }

    /// Says goodbye, if there is anybody to say it to.
    pub(crate) async fn close(mut self) {
        if let Some(Slot::Owned(live)) = self.slot.take_if(|slot| matches!(slot, Slot::Owned(_)))
            && !live.is_lost
        {
            drop(limited::<DB, _>(live.raw.close()).await);
        }
    }

    fn live(&mut self) -> &mut Live<DB> {
        match self.slot.as_mut().expect("there until it is dropped") {
            Slot::Pooled(object) => object,
            Slot::Owned(live) => live,
        }
    }
}

impl<DB: Dialect> Drop for Connection<DB> {
    fn drop(&mut self) {
        let Some(Slot::Pooled(live)) = self.slot.take() else { return };
        if live.is_lost {
            drop(Object::take(live));
        } else if live.is_busy || live.in_transaction {
            give_back_when_idle(live, self.turn.take());
        }
    }
}

/// Gives a connection back to its pool once what is under way on it has ended; drops it, should that take too long.
fn give_back_when_idle<DB: Dialect>(mut live: Object<Manager<DB>>, turn: Option<OwnedSemaphorePermit>) {
    let Ok(runtime) = Handle::try_current() else { return drop(Object::take(live)) };
    runtime.spawn(async move {
        if live.clean_up().await.is_err() {
            drop(Object::take(live));
        }
        drop(turn);
    });
}

/// What it says in time, or an error.
async fn limited<DB: Dialect, T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let Some(limit) = DB::STATEMENT_LIMIT else { return answer.await };
    timeout(limit, answer).await.unwrap_or_else(|_| {
        let message = format!("the database did not answer within {} s", limit.as_secs());
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, message)))
    })
}
