//! Opening a PostgreSQL database.

use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{Connection, Pool, Postgres, Row, SqlSafeStr};

use super::{OpenError, Purpose, StoreOptions, Stores};
use crate::error::StoreError;
use crate::node_number::NodeNumber;
use crate::session::{Session, SessionOptions};
use crate::sql::{Backend, GroupCommit, Scripts, Sql};

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

/// How long a request waits for a connection before it hears that the store is unavailable.
const ACQUIRE: Duration = Duration::from_secs(3);

/// The oldest server that has everything the statements use.
const OLDEST: i64 = 130_000;

/// Settings of every connection; times in milliseconds.
const SETTINGS: [(&str, &str); 5] = [
    ("statement_timeout", "15000"),
    ("lock_timeout", "5000"),
    ("idle_in_transaction_session_timeout", "30000"),
    ("default_transaction_isolation", "read committed"),
    ("tcp_user_timeout", "10000"),
];

/// Settings of connections that write or look up. All their statements find their rows by index; a plan for
/// empty tables, made early and kept, must not read the tables that grow meanwhile.
pub(crate) const BY_INDEX: [(&str, &str); 3] =
    [("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];

const MIGRATIONS: [(i64, &str, &str); 2] = [
    (1, "foundation", include_str!("../../../../migrations/postgres/0001_foundation.sql")),
    (2, "versions", include_str!("../../../../migrations/postgres/0002_versions.sql")),
];

pub(super) async fn open(connect: PgConnectOptions, options: StoreOptions) -> Result<Stores, OpenError> {
    let url = options.database_url.clone();
    open_with(connect, options).await.map_err(|error| OpenError::Open { url, error })
}

async fn open_with(connect: PgConnectOptions, options: StoreOptions) -> Result<Stores, StoreError> {
    let connect = connect.application_name("postrider");
    prepare(&connect).await?;
    let (reading, writing) = (reading(&connect), writing(&connect));
    let StoreOptions { world, vault, hand_over, profiles, purpose, .. } = options;
    let node = NodeNumber::unwatched();
    let session = match purpose {
        Purpose::Visit | Purpose::Create => None,
        Purpose::Serve => {
            let (node, world, hand_over) = (node.clone(), world.clone(), hand_over.clone());
            Some(Session::open(SessionOptions { connect, node, world, hand_over }).await?)
        }
    };
    let writer = || Scripts::new(pool(1, &writing), node.clone());
    let backend = Backend {
        writes: pool(WRITERS, &writing),
        bulk: Some(pool(BULK, &writing)),
        claims: Some(pool(CLAIMS, &writing)),
        turn: None,
        reads: pool(READERS, &reading),
        lookups: pool(LOOKUPS, &writing),
        catalogues: pool(CATALOGUES, &writing),
        commits: GroupCommit::as_tasks(writer(), writer(), &world, &hand_over),
        node: node.clone(),
        session,
    };
    let store = Sql::new(backend, world, vault, profiles, hand_over);
    store.register_profiles(purpose).await?;
    let store = Arc::new(store);
    Ok(Stores::of(store, None))
}

/// Refuses a server that could lose commits, and brings the schema up to date.
pub(crate) async fn prepare(connect: &PgConnectOptions) -> Result<(), StoreError> {
    let mut connection = PgConnection::connect_with(connect).await?;
    check_server(&mut connection).await?;
    let mut migrator = Migrator::with_migrations(migrations());
    // A newer process may have been here: its migrations leave us what we need.
    migrator.set_ignore_missing(true);
    let migrated = migrator.run(&mut connection).await;
    migrated.map_err(|error| StoreError::Unusable(format!("cannot migrate the database: {error}")))?;
    Ok(connection.close().await?)
}

/// The schema's history.
pub(crate) fn migrations() -> Vec<Migration> {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    MIGRATIONS.map(migration).into()
}

async fn check_server(connection: &mut PgConnection) -> Result<(), StoreError> {
    let sql = "select current_setting('server_version_num')::bigint, current_setting('fsync'),
         current_setting('full_page_writes'), current_setting('synchronous_commit'), pg_is_in_recovery()";
    let row = sqlx::query(sql).fetch_one(connection).await?;
    let refuse = |why: String| Err(StoreError::Unusable(why));
    if row.try_get::<i64, _>(0)? < OLDEST {
        return refuse("the server is older than PostgreSQL 13".to_owned());
    }
    for (column, setting) in [(1, "fsync"), (2, "full_page_writes"), (3, "synchronous_commit")] {
        if row.try_get::<String, _>(column)? == "off" {
            return refuse(format!("`{setting}` is off: the server would lose what it said it had; set it to on"));
        }
    }
    if row.try_get::<bool, _>(4)? {
        return refuse("the server is a read-only standby; use the primary".to_owned());
    }
    Ok(())
}

fn reading(connect: &PgConnectOptions) -> PgConnectOptions {
    connect.clone().options(SETTINGS)
}

fn writing(connect: &PgConnectOptions) -> PgConnectOptions {
    reading(connect).options(BY_INDEX)
}

/// Connections are made when they are first needed: the database may be away for a while.
fn pool(connections: u32, options: &PgConnectOptions) -> Pool<Postgres> {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        // A question more, so that no request meets a connection that died with a server before.
        .test_before_acquire(true)
        .connect_lazy_with(options.clone())
}
