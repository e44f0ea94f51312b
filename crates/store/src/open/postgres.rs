//! Opening a PostgreSQL database.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Postgres;

use super::{OpenError, PostgresUrl, Purpose, StoreOptions, Stores};
use crate::db::{Link, Pool, PoolOptions, ServerSettings, Servers, migrate, pooling};
use crate::error::StoreError;
use crate::health::Health;
use crate::node_number::NodeNumber;
use crate::session::{Session, SessionOptions};
use crate::sql::{Backend, Finisher, GroupCommit, Prover, Scripts, Sql};

/// Connections of a process, beside one for its session.
const WRITERS: u32 = 3;
/// For bulk work: what people change does not wait for it.
const BULK: u32 = 2;
/// For what dispatchers write of their claims.
const CLAIMS: u32 = 2;
const READERS: u32 = 4;
const LOOKUPS: u32 = 2;
/// For whole catalogues.
const CATALOGUES: u32 = 1;

/// How old a connection becomes: what its session gathered on the server is given back then.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// How long ago a connection that is always in use may have been used to be believed alive without asking.
const TRUST: Duration = Duration::from_secs(1);

/// Settings of every connection; times in milliseconds.
pub(crate) const LIMITS: ServerSettings = &[
    ("statement_timeout", "15000"),
    ("lock_timeout", "5000"),
    ("idle_in_transaction_session_timeout", "30000"),
    ("default_transaction_isolation", "read committed"),
    ("tcp_user_timeout", "10000"),
];

/// Settings of connections that write or look up. All their statements find their rows by index; a plan for
/// empty tables, made early and kept, must not read the tables that grow meanwhile.
pub(crate) const BY_INDEX: ServerSettings =
    &[("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];

pub(super) async fn open(database: PostgresUrl, options: StoreOptions) -> Result<Stores, OpenError> {
    let url = options.database_url.clone();
    open_with(database, options).await.map_err(|error| OpenError::Open { url, error })
}

async fn open_with(database: PostgresUrl, options: StoreOptions) -> Result<Stores, StoreError> {
    let servers = Arc::new(Servers::new(database, options.durability));
    pooling::check(&servers, &options.world).await?;
    migrate::postgres(&servers, options.purpose.schema()).await?;
    let StoreOptions { world, vault, hand_over, profiles, purpose, .. } = options;
    let (node, health) = (NodeNumber::unwatched(), Health::new());
    let session = match purpose {
        Purpose::Visit | Purpose::Migrate => None,
        Purpose::Serve => {
            let (servers, node, world, hand_over) =
                (Arc::clone(&servers), node.clone(), world.clone(), hand_over.clone());
            Some(Session::open(SessionOptions { servers, node, world, hand_over, health: health.clone() }).await?)
        }
    };
    let mut pools = Pools { servers, made: Vec::new() };
    let writers = [(); 2].map(|()| Scripts::new(pools.busy(), node.clone()));
    let mut backend = Backend {
        writes: pools.writing(WRITERS),
        bulk: Some(pools.writing(BULK)),
        claims: Some(pools.writing(CLAIMS)),
        turn: None,
        reads: pools.reading(READERS),
        lookups: pools.writing(LOOKUPS),
        versions: Some(pools.busy()),
        catalogues: pools.writing(CATALOGUES),
        commits: GroupCommit::as_tasks(writers, &world, &Finisher::new(&hand_over, &health)),
        proofs: None,
        node,
        session,
    };
    if purpose == Purpose::Serve {
        let (pool, node) = (pools.writing(1), backend.node.clone());
        let prover = Prover { pool, turn: None, node, health: health.clone(), pools: pools.made };
        backend.proofs = Some(prover.start().await?);
    }
    let store = Sql::new(backend, world, vault, profiles, hand_over);
    store.register_profiles(purpose).await?;
    Ok(Stores::of(Arc::new(store), health, None))
}

/// Makes pools of connections to one database.
struct Pools {
    servers: Arc<Servers>,
    made: Vec<Pool<Postgres>>,
}

impl Pools {
    /// For lists, whose plans may read whole tables.
    fn reading(&mut self, size: u32) -> Pool<Postgres> {
        self.pool(vec![LIMITS], PoolOptions { size, trust: Duration::ZERO, lifetime: LIFETIME })
    }

    fn writing(&mut self, size: u32) -> Pool<Postgres> {
        self.pool(vec![LIMITS, BY_INDEX], PoolOptions { size, trust: Duration::ZERO, lifetime: LIFETIME })
    }

    /// One connection that is always in use.
    fn busy(&mut self) -> Pool<Postgres> {
        self.pool(vec![LIMITS, BY_INDEX], PoolOptions { size: 1, trust: TRUST, lifetime: LIFETIME })
    }

    fn pool(&mut self, settings: Vec<ServerSettings>, options: PoolOptions) -> Pool<Postgres> {
        let pool = Pool::new(Link { servers: Arc::clone(&self.servers), settings }, options);
        self.made.push(pool.clone());
        pool
    }
}
