//! What a process that serves a shared database has with the others on it: a number, held by an
//! advisory lock for as long as the session lives; wake-ups; and an eye on who is gone.
//!
//! The session is one connection. Should it be lost, the process goes on without a number, and a new
//! session is opened.

mod notice;
mod registry;
mod take_over;

#[cfg(debug_assertions)]
pub(crate) use take_over::FREE;

use std::time::{Duration, Instant};

use postrider_core::{Timestamp, World};
use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Pool, Postgres};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::error::{Result, StoreError};
use crate::hand_over::{DueLanes, HandOver};
use crate::node_number::NodeNumber;
use notice::Notice;
use registry::{Registration, Watch};
use take_over::TakeOvers;

/// Where wake-ups go.
const CHANNEL: &str = "postrider";
/// Between looks at who is there.
const TICK: Duration = Duration::from_secs(1);
/// A session that does not answer for so long is lost.
const ANSWER: Duration = Duration::from_secs(3);
/// At most one wake-up is sent in so long, for all lanes together.
const BETWEEN_NOTICES: Duration = Duration::from_millis(50);
/// Between tries to open a new session.
const REOPEN: Duration = Duration::from_millis(500);

/// Lets the server notice within seconds that this process is cut off. Seconds; milliseconds.
const KEEP_ALIVE: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "2"),
    ("tcp_keepalives_interval", "1"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "5000"),
];

/// What a session works with.
pub(crate) struct SessionOptions {
    pub(crate) connect: PgConnectOptions,
    pub(crate) node: NodeNumber,
    pub(crate) world: World,
    pub(crate) hand_over: HandOver,
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
        let pool = session_pool(&self.options.connect);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        self.follow_clock(&mut listener).await?;
        let now = self.options.world.now();
        // Should this fail, the next try still knows who this process was.
        let registration = registry::register(&mut listener, self.registration, &self.options.world, now).await?;
        tracing::info!(node = registration.number, "registered");
        self.options.node.set(registration.number);
        self.registration = Some(registration);
        Ok(Line { listener, watch: Watch::default(), notice_sent_at: None })
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
        let look = async {
            self.follow_clock(&mut line.listener).await?;
            registry::look_around(&mut line.listener, registration, &mut line.watch).await
        };
        let gone = tokio::time::timeout(ANSWER, look).await.unwrap_or_else(|_| Err(lost("it does not answer")))?;
        for node in gone {
            self.take_overs.begin(node, &self.options, &self.stop);
        }
        Ok(())
    }

    /// Time on one database is the database's.
    async fn follow_clock(&self, listener: &mut PgListener) -> Result<()> {
        let asked_at = self.options.world.now();
        let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
        let told: i64 = sqlx::query_scalar(sql).fetch_one(&mut *listener).await?;
        let known = self.options.world.now();
        let right = corrected(known, Timestamp::from_micros(told), known.since(asked_at));
        self.options.world.clock().follow(right);
        Ok(())
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
            let query = sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(part);
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

fn session_pool(connect: &PgConnectOptions) -> Pool<Postgres> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ANSWER).max_lifetime(None).idle_timeout(None);
    pool.connect_lazy_with(connect.clone().options(KEEP_ALIVE))
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
