//! The schema's history, and bringing a database up to date with it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};
use sqlx::{Postgres, SqlSafeStr, Sqlite};
use tokio::time::{Instant, sleep};

use super::{Connection, Link, Pool, ServerSettings, Servers};
use crate::error::{Result, StoreError};
use crate::open::ServeLock;
use crate::sql::{Dialect, Query, least_version};

/// A number, a name, and what is done.
type Step = (i64, &'static str, &'static str);

const POSTGRES: [Step; 3] = [
    (1, "foundation", include_str!("../../../../migrations/postgres/0001_foundation.sql")),
    (2, "versions", include_str!("../../../../migrations/postgres/0002_versions.sql")),
    (3, "installation", include_str!("../../../../migrations/postgres/0003_installation.sql")),
];

const SQLITE: [Step; 3] = [
    (1, "foundation", include_str!("../../../../migrations/sqlite/0001_foundation.sql")),
    (2, "versions", include_str!("../../../../migrations/sqlite/0002_versions.sql")),
    (3, "installation", include_str!("../../../../migrations/sqlite/0003_installation.sql")),
];

/// How long a migration waits for another one, or for a table that somebody uses. In milliseconds.
const PATIENCE: ServerSettings = &[("lock_timeout", "30000")];

/// How long a program of version 0.1 that lost its session may take to have its number again.
const REGISTERED_AGAIN: Duration = Duration::from_secs(5);

/// What a process may do to the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// Bring it up to date.
    Migrate,
    /// Make it where there is none; otherwise it must be up to date.
    Make,
    /// Nothing: it must be up to date.
    MustBeCurrent,
}

impl Schema {
    /// Whether it has to be brought up to date after these migrations.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if it has to, and may not.
    fn must_migrate(self, steps: &[Step], applied: Option<&[i64]>) -> Result<bool> {
        let missing = |applied: &[i64]| steps.iter().any(|(version, ..)| !applied.contains(version));
        match (self, applied) {
            (_, Some(applied)) if !missing(applied) => Ok(false),
            (Self::Migrate, _) | (Self::Make, None) => Ok(true),
            (Self::Make | Self::MustBeCurrent, _) => Err(StoreError::Unusable(
                "its schema is older than this program, or missing; stop whatever serves it, then run `postrider migrate`"
                    .to_owned(),
            )),
        }
    }
}

/// Sees to the schema of a PostgreSQL database.
///
/// # Errors
/// [`StoreError::Unusable`] says what is wrong with it, or with this program.
pub(crate) async fn postgres(servers: &Arc<Servers>, schema: Schema) -> Result<()> {
    let link = Link { servers: Arc::clone(servers), settings: vec![PATIENCE] };
    let mut connection = Connection::<Postgres>::open(Arc::new(link)).await?;
    let applied = applied::<Postgres>(&mut connection, "select to_regclass('_sqlx_migrations')::text").await?;
    if schema.must_migrate(&POSTGRES, applied.as_deref())? {
        wait_for_programs_of_0_1(&mut connection).await?;
        run(&POSTGRES, connection.raw()).await?;
    }
    check_version(&mut connection).await?;
    connection.close().await;
    Ok(())
}

/// Sees to the schema of an SQLite file. `is_locked`: this process serves it, or is about to.
///
/// # Errors
/// The same; also if it has to be brought up to date, and another process serves it.
pub(crate) async fn sqlite(pool: &Pool<Sqlite>, path: &Path, schema: Schema, is_locked: bool) -> Result<()> {
    let mut connection = pool.acquire().await?;
    let table = "select name from sqlite_schema where type = 'table' and name = '_sqlx_migrations'";
    let applied = applied::<Sqlite>(&mut connection, table).await?;
    if schema.must_migrate(&SQLITE, applied.as_deref())? {
        let lock = (!is_locked).then(|| ServeLock::take(path)).transpose();
        let _lock = lock.map_err(StoreError::Unusable)?;
        run(&SQLITE, connection.raw()).await?;
    }
    check_version(&mut connection).await
}

/// Brings the schema of a file to where it was after so many migrations.
#[cfg(test)]
pub(crate) async fn sqlite_to(pool: &Pool<Sqlite>, count: usize) -> Result<()> {
    run(&SQLITE[..count], pool.acquire().await?.raw()).await
}

/// The migrations that a database has had; `None` if it never had any.
async fn applied<DB: Dialect>(db: &mut Connection<DB>, table: &'static str) -> Result<Option<Vec<i64>>> {
    if !exists(db, table).await? {
        return Ok(None);
    }
    let rows = Query::<DB>::new("select version from _sqlx_migrations where success").rows(db).await?;
    rows.iter().map(|row| row.get(0)).collect::<Result<_>>().map(Some)
}

async fn run<C: Migrate>(steps: &[Step], connection: &mut C) -> Result<()> {
    let migration = |(version, name, sql): &Step| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let mut migrator = Migrator::with_migrations(steps.iter().map(migration).collect());
    // A newer process may have been here: its migrations leave us what we need, or say otherwise by the least version.
    migrator.set_ignore_missing(true);
    let migrated = migrator.run_direct(None, connection, false).await;
    migrated.map_err(|error| StoreError::Unusable(format!("cannot migrate the database: {error}")))
}

/// Refuses a database that only newer programs may use.
async fn check_version<DB: Dialect>(db: &mut Connection<DB>) -> Result<()> {
    least_version::<DB>(db).await?.refusal().map_or(Ok(()), |why| Err(StoreError::Unusable(why)))
}

/// Refuses a database that programs of version 0.1 serve: they would go on with a schema that they do not know.
async fn wait_for_programs_of_0_1(db: &mut Connection<Postgres>) -> Result<()> {
    let until = Instant::now() + REGISTERED_AGAIN;
    loop {
        let (registered, serving) = programs_of_0_1(db).await?;
        if serving > 0 {
            return Err(StoreError::Unusable(format!(
                "Postrider 0.1 serves it ({serving} processes), and cannot run beside this version: stop all of them first, then \
                 migrate, then start"
            )));
        }
        if registered == 0 || Instant::now() > until {
            return Ok(());
        }
        sleep(Duration::from_millis(250)).await;
    }
}

/// How many are registered, and how many of them hold their number.
async fn programs_of_0_1(db: &mut Connection<Postgres>) -> Result<(i64, i64)> {
    let sql = "select count(*), count(*) filter (where exists (
             select from pg_locks l join pg_database d on d.oid = l.database
             where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid::bigint = 1348424260
                 and l.objid::bigint = n.number and d.datname = current_database()))
         from nodes n";
    match exists(db, "select to_regclass('nodes')::text").await? {
        false => Ok((0, 0)),
        true => match Query::<Postgres>::new(sql).row(db).await {
            Ok(row) => row.map_or(Ok((0, 0)), |row| Ok((row.get(0)?, row.get(1)?))),
            // Another process has just migrated the database.
            Err(_) if !exists(db, "select to_regclass('nodes')::text").await? => Ok((0, 0)),
            Err(error) => Err(error),
        },
    }
}

/// Whether a statement gives the name of a table.
async fn exists<DB: Dialect>(db: &mut Connection<DB>, table: &'static str) -> Result<bool> {
    let table = Query::<DB>::new(table).row(db).await?;
    Ok(table.map(|row| row.get::<Option<String>>(0)).transpose()?.flatten().is_some())
}
