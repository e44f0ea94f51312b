//! Pools of connections.

use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, PoolError, RecycleError, RecycleResult, TimeoutType, Timeouts};
use tokio::time::timeout;

use super::connection::{Connection, Live};
use crate::error::{Result, StoreError};
use crate::measure;
use crate::sql::Dialect;

/// How long a caller waits for a connection that others use.
const WAIT: Duration = Duration::from_secs(3);
/// How long opening a connection may take, with all servers that have to be asked.
const OPEN: Duration = Duration::from_secs(6);
/// How long a connection may take to say that it is alive.
const PING: Duration = Duration::from_secs(1);
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a pool is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolOptions {
    /// Most connections.
    pub(crate) size: u32,
    /// Since when a connection may have been used to be believed alive without asking.
    pub(crate) trust: Duration,
    /// How old a connection may become.
    pub(crate) lifetime: Duration,
}

/// A pool of connections. Cheap to clone. Connections are opened when they are first needed: the database may be away for a
/// while.
pub(crate) struct Pool<DB: Dialect> {
    connections: managed::Pool<Manager<DB>>,
    source: Arc<DB::Source>,
}

impl<DB: Dialect> Clone for Pool<DB> {
    fn clone(&self) -> Self {
        Self { connections: self.connections.clone(), source: Arc::clone(&self.source) }
    }
}

impl<DB: Dialect> Pool<DB> {
    pub(crate) fn new(source: DB::Source, options: PoolOptions) -> Self {
        let source = Arc::new(source);
        let manager = Manager { source: Arc::clone(&source), options };
        let timeouts = Timeouts { wait: Some(WAIT), create: Some(OPEN), recycle: None };
        let connections = managed::Pool::builder(manager)
            .max_size(options.size as usize)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .expect("there is a runtime for the limits");
        Self { connections, source }
    }

    /// A connection that is alive.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if all stay in use for 3 s, or none can be opened within 6 s. Cancel safe.
    pub(crate) async fn acquire(&self) -> Result<Connection<DB>> {
        match self.connections.get().await {
            Ok(object) => Ok(Connection::pooled(object)),
            Err(PoolError::Backend(error)) => Err(error),
            Err(error) => {
                let error = StoreError::Unavailable(message(&error));
                measure::failed(&error);
                Err(error)
            }
        }
    }

    /// Most connections.
    pub(crate) fn size(&self) -> u32 {
        u32::try_from(self.connections.status().max_size).unwrap_or(u32::MAX)
    }

    /// Which server connections lead to: another number, another server.
    pub(crate) fn epoch(&self) -> u64 {
        DB::epoch(&self.source)
    }

    /// Drops those that nobody uses and that lead to a server of the past, or are too old.
    pub(crate) fn sweep(&self) {
        let lifetime = self.connections.manager().options.lifetime;
        let swept = self.connections.retain(|live, _| live.is_of_this_epoch() && !live.is_older_than(lifetime)).removed;
        drop(swept);
    }

    /// Gives out no connection any more, and closes those that are not in use; the others when they come back.
    pub(crate) async fn close(&self) {
        let idle = self.connections.retain(|_, _| false).removed;
        self.connections.close();
        for live in idle {
            drop(timeout(GOODBYE, live.close()).await);
        }
    }
}

fn message(error: &PoolError<StoreError>) -> String {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => {
            format!("all connections were in use for {} s", WAIT.as_secs())
        }
        PoolError::Timeout(_) => format!("no connection could be opened within {} s", OPEN.as_secs()),
        _ => "it is shutting down".to_owned(),
    }
}

/// Opens connections, and says which ones may be used again.
pub(crate) struct Manager<DB: Dialect> {
    source: Arc<DB::Source>,
    options: PoolOptions,
}

impl<DB: Dialect> managed::Manager for Manager<DB> {
    type Type = Live<DB>;
    type Error = StoreError;

    async fn create(&self) -> Result<Live<DB>> {
        Live::open(Arc::clone(&self.source)).await
    }

    async fn recycle(&self, live: &mut Live<DB>, _: &Metrics) -> RecycleResult<StoreError> {
        if !live.is_of_this_epoch() || live.is_older_than(self.options.lifetime) {
            return Err(RecycleError::message("it is of the past"));
        }
        if live.was_used_within(self.options.trust) {
            return Ok(());
        }
        let answer = timeout(PING, live.ping()).await;
        answer.map_err(|_| RecycleError::message("it does not answer"))?.map_err(RecycleError::Backend)
    }
}
