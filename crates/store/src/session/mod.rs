//! What a process that serves a shared database has with the others on it: a number, held by an
//! advisory lock for as long as the session lives; wake-ups; and an eye on who is gone.
//!
//! The session is one connection. Should it be lost, the process goes on without a number, and a new
//! session is opened.

mod namespace;
mod notice;
mod registry;
mod take_over;

#[cfg(debug_assertions)]
pub(crate) use take_over::FREE;

use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_core::{Timestamp, World};
use sqlx::Executor;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{AssertSqlSafe, SqlSafeStr};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::db::{ServerSettings, Servers};
use crate::error::{Result, StoreError};
use crate::hand_over::{DueLanes, HandOver};
use crate::health::Health;
use crate::node_number::NodeNumber;
use namespace::Namespace;
use notice::Notice;
use registry::{Registration, Watch};
use take_over::TakeOvers;

/// Between looks at who is there.
const TICK: Duration = Duration::from_secs(1);
/// A session that does not answer for so long is lost.
const ANSWER: Duration = Duration::from_secs(3);
/// At most one wake-up is sent in so long, for all lanes together.
const BETWEEN_NOTICES: Duration = Duration::from_millis(50);
/// How long opening a session may take.
const OPEN: Duration = Duration::from_secs(15);
/// Between tries to open a new session.
const REOPEN: Duration = Duration::from_millis(500);

/// Lets the server notice within seconds that this process is cut off. Seconds; milliseconds.
const KEEP_ALIVE: ServerSettings = &[
    ("tcp_keepalives_idle", "2"),
    ("tcp_keepalives_interval", "1"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "5000"),
];

/// What a session works with.
pub(crate) struct SessionOptions {
    pub(crate) servers: Arc<Servers>,
    pub(crate) node: NodeNumber,
    pub(crate) world: World,
    pub(crate) hand_over: HandOver,
    pub(crate) health: Health,
}

/// A handle to the task that keeps the session.
pub(crate) struct Session {
    stop: CancellationToken,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl Session {
    /// Opens the first session, and keeps one from then on.
    pub(crate) async fn open(options: SessionOptions) -> Result<Self> {
        let stop = CancellationToken::new();
        let due_abroad = options.hand_over.gather_abroad();
        let mut keeper =
            Keeper { options, due_abroad, registration: None, take_overs: TakeOvers::default(), stop: stop.clone() };
        let line = keeper.connect().await?;
        Ok(Self { stop, keeper: Mutex::new(Some(tokio::spawn(keeper.run(line)))) })
    }

    /// Gives the number back, so that nobody waits for this process.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        if let Some(keeper) = self.keeper.lock().await.take()
            && let Err(error) = keeper.await
        {
            tracing::error!(%error, "the session ended badly");
        }
    }
}

/// One open session.
struct Line {
    listener: PgListener,
    /// Of the server that it leads to.
    epoch: u64,
    namespace: Namespace,
    watch: Watch,
    notice_sent_at: Option<Instant>,
}

struct Keeper {
    options: SessionOptions,
    due_abroad: DueLanes,
    registration: Option<Registration>,
    take_overs: TakeOvers,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(mut self, first: Line) {
        self.keep_open(first).await;
        self.take_overs.ended().await;
    }

    async fn keep_open(&mut self, first: Line) {
        let stop = self.stop.clone();
        let mut line = Some(first);
        while !stop.is_cancelled() {
            if let Some(line) = line.take() {
                self.keep(line).await;
                self.options.node.lose();
                continue;
            }
            line = tokio::select! {
                opened = self.connect() => opened.inspect_err(|error| tracing::warn!(%error, "no session yet")).ok(),
                () = stop.cancelled() => None,
            };
            if line.is_none() {
                tokio::select! {
                    () = tokio::time::sleep(REOPEN) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }

    /// Opens a session and takes a number, if possible the one from before.
    async fn connect(&mut self) -> Result<Line> {
        tokio::time::timeout(OPEN, self.register()).await.unwrap_or_else(|_| Err(lost("it does not answer")))
    }

    async fn register(&mut self) -> Result<Line> {
        let (mut listener, epoch) = listener(&self.options.servers).await?;
        let namespace = Namespace::of(&mut listener).await?;
        listener.listen(&namespace.channel).await?;
        self.follow_clock(&mut listener).await?;
        let now = self.options.world.now();
        // Should this fail, the next try still knows who this process was.
        let before = self.registration;
        let registration = registry::register(&mut listener, &namespace, before, &self.options.world, now).await?;
        tracing::info!(node = registration.number, "registered");
        self.options.node.set(registration.number);
        self.registration = Some(registration);
        let watch = if before.is_some() { Watch::after_a_loss() } else { Watch::default() };
        Ok(Line { listener, epoch, namespace, watch, notice_sent_at: None })
    }

    /// Until the session is lost, or is to end.
    async fn keep(&mut self, mut line: Line) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let kept = tokio::select! {
                () = self.stop.cancelled() => {
                    self.unregister(&mut line).await;
                    return;
                }
                _ = tick.tick() => self.look_around(&mut line).await,
                heard = line.listener.try_recv() => self.hear(heard),
                () = due_abroad(&self.due_abroad, line.notice_sent_at) => self.notify(&mut line).await,
            };
            if let Err(error) = kept {
                tracing::warn!(%error, "the session with the database is lost");
                return;
            }
        }
    }

    /// Sees who is gone, and that this process is still known.
    async fn look_around(&mut self, line: &mut Line) -> Result<()> {
        let Some(registration) = self.registration else { return Ok(()) };
        if line.epoch != self.options.servers.epoch() {
            return Err(lost("writes go to another server"));
        }
        let look = async {
            if self.follow_clock(&mut line.listener).await? {
                self.options.servers.retire(line.epoch);
                return Err(lost("the server only reads"));
            }
            if let Some(why) = registry::least_version(&mut line.listener).await?.refusal() {
                self.options.health.must_end(why);
            }
            registry::look_around(&mut line.listener, &line.namespace, registration, &mut line.watch).await
        };
        let gone = tokio::time::timeout(ANSWER, look).await.unwrap_or_else(|_| Err(lost("it does not answer")))?;
        for node in gone {
            self.take_overs.begin(node, &line.namespace, &self.options, &self.stop);
        }
        Ok(())
    }

    /// Time on one database is the database's. Whether its server only reads.
    async fn follow_clock(&self, listener: &mut PgListener) -> Result<bool> {
        let asked_at = self.options.world.now();
        let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint,
             pg_is_in_recovery() or current_setting('transaction_read_only')::boolean";
        let (told, only_reads): (i64, bool) = sqlx::query_as(sql).fetch_one(&mut *listener).await?;
        let known = self.options.world.now();
        let right = corrected(known, Timestamp::from_micros(told), known.since(asked_at));
        self.options.world.clock().follow(right);
        Ok(only_reads)
    }

    fn hear(&self, heard: Result<Option<sqlx::postgres::PgNotification>, sqlx::Error>) -> Result<()> {
        let Some(notification) = heard? else { return Err(lost("the connection was closed")) };
        match Notice::read(notification.payload()) {
            Some(notice) if notice.node != self.options.node.get() => {
                notice.lanes.into_iter().for_each(|lane| self.options.hand_over.wake_here(lane));
            }
            Some(_) => {}
            None => tracing::debug!("a notice of another version"),
        }
        Ok(())
    }

    /// Tells the others which lanes have something due. Should it get lost, they look by themselves.
    async fn notify(&self, line: &mut Line) -> Result<()> {
        line.notice_sent_at = Some(Instant::now());
        let notice = Notice { node: self.options.node.get(), lanes: self.due_abroad.take().into_iter().collect() };
        for part in notice.written() {
            let query = sqlx::query("select pg_notify($1, $2)").bind(&line.namespace.channel).bind(part);
            let sent = tokio::time::timeout(ANSWER, line.listener.execute(query)).await;
            sent.map_err(|_| lost("it does not answer"))??;
        }
        Ok(())
    }

    async fn unregister(&mut self, line: &mut Line) {
        let Some(registration) = self.registration.take() else { return };
        let gone = tokio::time::timeout(ANSWER, registry::unregister(&mut line.listener, registration)).await;
        if !matches!(gone, Ok(Ok(()))) {
            tracing::info!("not unregistered; the others will see that this process is gone");
        }
    }
}

/// The time that was told was read somewhere on the way from question to answer, which took so long. What is known of it
/// is changed only as far as that cannot be: a long way says less than a short one did before.
fn corrected(known: Timestamp, told: Timestamp, way: Duration) -> Timestamp {
    known.clamp(told, told + way)
}

/// Ends when there is something to tell and the last notice is long enough ago.
async fn due_abroad(due: &DueLanes, sent_at: Option<Instant>) {
    due.arrived().await;
    if let Some(sent_at) = sent_at {
        tokio::time::sleep_until((sent_at + BETWEEN_NOTICES).into()).await;
    }
}

fn lost(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

/// A connection that hears of notifications, and the epoch of its server.
async fn listener(servers: &Arc<Servers>) -> Result<(PgListener, u64)> {
    let (host, epoch) = servers.writable().await?;
    let settings = AssertSqlSafe(format!("select {}1", servers.set(&[KEEP_ALIVE]))).into_sql_str();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ANSWER)
        .max_lifetime(None)
        .idle_timeout(None)
        .after_connect(move |connection, _| {
            let settings = settings.clone();
            Box::pin(async move { sqlx::raw_sql(settings).execute(connection).await.map(drop) })
        })
        .connect_lazy_with(host);
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    Ok((listener, epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_way_says_less_than_a_short_one() {
        let corrected = |known, told, way| {
            let known =
                corrected(Timestamp::from_micros(known), Timestamp::from_micros(told), Duration::from_micros(way));
            known.as_micros()
        };
        assert_eq!(corrected(5_000, 4_000, 200_000), 5_000, "that can be");
        assert_eq!(corrected(5_000, 4_000, 300), 4_300, "it is ahead");
        assert_eq!(corrected(5_000, 6_000, 300), 6_000, "it is behind");
    }
}
