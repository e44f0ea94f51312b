//! Opening an SQLite file.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postrider_core::World;
use sqlx::Sqlite;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::Semaphore;

use super::serve_lock::ServeLock;
use super::{OpenError, Purpose, StoreOptions, Stores};
use crate::db::{Pool, migrate};
use crate::error::StoreError;
use crate::health::Health;
use crate::node_number::NodeNumber;
use crate::sql::{self, Backend, Checkpoints, Finisher, GroupCommit, Log, Prover, Sql, Statements};

/// Connections that read.
const READERS: u32 = 4;
/// Connections for what is read in no time.
const LOOKUPS: u32 = 2;
/// Connections for whole catalogues.
const CATALOGUES: u32 = 1;

pub(super) async fn open(path: &Path, options: StoreOptions) -> Result<Stores, OpenError> {
    let lock = match options.purpose {
        Purpose::Serve => Some(Arc::new(ServeLock::take(path).map_err(OpenError::Locked)?)),
        Purpose::Visit if !path.exists() => return Err(OpenError::Missing(options.database_url)),
        Purpose::Visit | Purpose::Migrate => None,
    };
    let url = options.database_url.clone();
    let health = Health::new();
    let store = open_store(path, options, &health).await.map_err(|error| OpenError::Open { url, error })?;
    Ok(Stores::of(Arc::new(store), health, lock))
}

async fn open_store(path: &Path, options: StoreOptions, health: &Health) -> Result<Sql<Sqlite>, StoreError> {
    let StoreOptions { purpose, world, vault, hand_over, profiles, .. } = options;
    make_private(path).map_err(|error| StoreError::Unusable(error.to_string()))?;
    // One for all who write now and then; group commits have their own, and take turns with it.
    let writes = sql::open_pool(path, 1, false);
    migrate::sqlite(&writes, path, purpose.schema(), purpose == Purpose::Serve).await?;
    if purpose == Purpose::Serve {
        free_leases(&writes).await?;
        follow_clock(&writes, &world).await?;
    }
    let reads = sql::open_pool(path, READERS, true);
    let lookups = sql::open_pool(path, LOOKUPS, true);
    let catalogues = sql::open_pool(path, CATALOGUES, true);
    let (turn, node) = (Arc::new(Semaphore::new(1)), NodeNumber::only());
    let ledger = Statements::open(path, writes.clone(), Arc::clone(&turn), node.clone())?;
    let checkpoints = Checkpoints::of(path, Arc::clone(&turn))?;
    let log = Log::of(path).map_err(|error| StoreError::Unusable(format!("the write-ahead log: {error}")))?;
    let commits = GroupCommit::on_threads(ledger, log, checkpoints, &world, Finisher::new(&hand_over, health));
    let bulk = Some(sql::open_bulk_pool(path));
    let proofs = match purpose {
        Purpose::Visit | Purpose::Migrate => None,
        Purpose::Serve => {
            let turn = Some(Arc::clone(&turn));
            let prover =
                Prover { pool: writes.clone(), turn, node: node.clone(), health: health.clone(), pools: Vec::new() };
            Some(prover.start().await?)
        }
    };
    let backend = Backend {
        proofs,
        writes,
        bulk,
        claims: None,
        turn: Some(turn),
        reads,
        lookups,
        versions: None,
        catalogues,
        commits,
        node,
        session: None,
    };
    let store = Sql::new(backend, world, vault, profiles, hand_over);
    store.register_profiles(purpose).await?;
    Ok(store)
}

/// For one connection beside whoever serves; it waits for its turn.
pub(crate) fn visiting(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(30))
}

/// Makes the file, if it is not there, for its owner alone: it will hold what customers sent.
/// SQLite's other files take over its permissions.
pub(crate) fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// The lock file proves that nobody else serves: whoever held these leases is gone.
async fn free_leases(writes: &Pool<Sqlite>) -> Result<(), StoreError> {
    let node = NodeNumber::only().get();
    let freed = sql::free_leases::<Sqlite>(&mut writes.acquire().await?, node).await?;
    if freed > 0 {
        tracing::info!(deliveries = freed, "took over what was in flight when the last process ended");
    }
    Ok(())
}

/// Time on SQLite is this machine's, as it was when the process started; it may be set back between two.
async fn follow_clock(writes: &Pool<Sqlite>, world: &World) -> Result<(), StoreError> {
    let set_back = sql::follow_clock::<Sqlite>(writes, world.now()).await?;
    if !set_back.is_zero() {
        tracing::warn!(seconds = set_back.as_secs(), "the clock was set back; what waits goes out as much earlier");
    }
    Ok(())
}
