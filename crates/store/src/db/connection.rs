//! One connection, whose every statement ends: by its answer, or by giving up the connection.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::Object;
use sqlx::{Connection as _, SqlStr};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};

use super::pool::Manager;
use crate::error::{Result, StoreError};
use crate::measure;
use crate::sql::{Dialect, Loss};

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// Within what time most of what was given up half-way has ended.
const SOON: Duration = Duration::from_secs(1);

/// A connection that statements run on, of a pool or owned. A statement without an answer within
/// [`Dialect::STATEMENT_LIMIT`] fails. If its server is gone, the connection is dropped without a goodbye; if that is there, and
/// only does not answer this, the connection's place in its pool stays taken until it does. An open transaction is rolled back when
/// this is dropped.
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
        self.ended(Ok(answered))
    }

    /// Says goodbye.
    pub(super) async fn close(self) -> Result<()> {
        Ok(self.raw.close().await?)
    }

    /// Waits for what is under way, and ends the transaction that it may be in. Whether that was done in time.
    async fn clean_up(&mut self, limit: Option<Duration>) -> bool {
        let in_transaction = self.in_transaction;
        let (raw, patience) = self.began();
        let cleaned_up = async {
            if in_transaction {
                DB::roll_back(raw).await;
            }
            raw.ping().await
        };
        let cleaned_up = Patience { limit, ..patience }.wait(cleaned_up).await;
        let is_clean = self.ended(cleaned_up).is_ok();
        self.in_transaction &= !is_clean;
        is_clean
    }

    fn began(&mut self) -> (&mut DB::Connection, Patience<DB>) {
        self.is_busy = true;
        let patience = Patience { source: Arc::clone(&self.source), epoch: self.epoch, limit: DB::STATEMENT_LIMIT };
        (&mut self.raw, patience)
    }

    fn ended<T>(&mut self, result: Result<Result<T, sqlx::Error>, GivenUp>) -> Result<T> {
        let result = match result {
            Ok(result) => result,
            Err(why) => {
                self.is_lost |= why == GivenUp::ServerLeft;
                return Err(no_answer(why));
            }
        };
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
        let (raw, patience) = live.began();
        let ran = patience.wait(DB::run(raw, sql, arguments)).await;
        live.ended(ran)
    }

    /// Runs one statement and collects its rows.
    pub(crate) async fn fetch(&mut self, sql: SqlStr, arguments: DB::Arguments) -> Result<Vec<DB::Row>> {
        let live = self.live();
        let (raw, patience) = live.began();
        let rows = patience.wait(DB::fetch(raw, sql, arguments)).await;
        live.ended(rows)
    }

    /// Runs a script and collects the rows that it returns.
    pub(crate) async fn run_script(&mut self, script: &DB::Prepared, arguments: DB::Arguments) -> Result<Vec<DB::Row>> {
        let live = self.live();
        let (raw, patience) = live.began();
        let rows = patience.wait(DB::run_script(raw, script, arguments)).await;
        live.ended(rows)
    }

    /// Ends the transaction of a script that failed.
    pub(crate) async fn roll_back_script(&mut self) {
        let live = self.live();
        // What is still under way is cleaned up when this is dropped.
        if live.is_lost || live.is_busy {
            return;
        }
        let (raw, patience) = live.began();
        let rolled_back = patience.wait(DB::roll_back(raw)).await;
        drop(live.ended(rolled_back.map(Ok)));
    }

    /// Begins a transaction, by a statement other than the usual one if `statement` says so.
    pub(crate) async fn begin(&mut self, statement: Option<&'static str>) -> Result<()> {
        let live = self.live();
        live.in_transaction = true;
        let (raw, patience) = live.began();
        let begun = patience.wait(DB::execute(raw, statement.unwrap_or("begin"))).await;
        live.in_transaction = !matches!(begun, Ok(Err(_)));
        live.ended(begun)
    }

    /// Keeps a turn to write until this is dropped and no transaction is open any more.
    pub(crate) fn hold(&mut self, turn: Option<OwnedSemaphorePermit>) {
        self.turn = turn;
    }

    /// Commits the transaction. After an error it may be committed all the same.
    pub(crate) async fn commit(mut self) -> Result<()> {
        let live = self.live();
        let (raw, patience) = live.began();
        let committed = patience.wait(DB::execute(raw, "commit")).await;
        live.in_transaction = !matches!(committed, Ok(Ok(())));
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
            drop(timeout(GOODBYE, live.raw.close()).await);
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

/// Gives a connection back to its pool once what is under way on it has ended. Until then its place stays taken as long as the
/// server is there: on one where commits hang, as while its standby is away, each connection that was opened in its place would
/// hang too, and leave a session behind.
fn give_back_when_idle<DB: Dialect>(mut live: Object<Manager<DB>>, turn: Option<OwnedSemaphorePermit>) {
    let Ok(runtime) = Handle::try_current() else { return drop(Object::take(live)) };
    runtime.spawn(async move {
        let (source, epoch) = (Arc::clone(&live.source), live.epoch);
        let mut is_clean = live.clean_up(DB::STATEMENT_LIMIT.map(|_| SOON)).await;
        while !is_clean && !live.is_lost && is_there::<DB>(&source, epoch).await {
            is_clean = live.clean_up(DB::STATEMENT_LIMIT).await;
        }
        if !is_clean {
            drop(Object::take(live));
        }
        drop(turn);
    });
}

/// Whether the server of an epoch lets others in, and is still the one that is written to.
async fn is_there<DB: Dialect>(source: &DB::Source, epoch: u64) -> bool {
    DB::open(source).await.is_ok_and(|(_, now)| now == epoch)
}

/// How long an answer is waited for.
struct Patience<DB: Dialect> {
    source: Arc<DB::Source>,
    epoch: u64,
    limit: Option<Duration>,
}

/// Why it is waited for no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GivenUp {
    TooLong(Duration),
    /// Writes go to another server by now.
    ServerLeft,
}

impl<DB: Dialect> Patience<DB> {
    async fn wait<T>(&self, answer: impl Future<Output = T>) -> Result<T, GivenUp> {
        let limit = async {
            match self.limit {
                Some(limit) => sleep(limit).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = answer => Ok(answer),
            () = DB::left(&self.source, self.epoch) => Err(GivenUp::ServerLeft),
            () = limit => Err(GivenUp::TooLong(self.limit.unwrap_or_default())),
        }
    }
}

fn no_answer(why: GivenUp) -> StoreError {
    let error = StoreError::Unavailable(match why {
        GivenUp::TooLong(limit) => format!("the database did not answer within {} s", limit.as_secs()),
        GivenUp::ServerLeft => "the database is another server by now".to_owned(),
    });
    measure::failed(&error);
    error
}
