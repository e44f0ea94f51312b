//! What operators do with whole databases.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::{Connection as _, Postgres, Sqlite, SqliteConnection};

use crate::db::{Connection, Link, Pool, Schema, Servers, migrate};
use crate::error::StoreError;
use crate::open::{DatabaseUrl, Durability, OpenError, PostgresUrl, ServeLock, Target, make_private, sqlite};
use crate::sql::{self, MovedTable};

/// Something was not done; for people.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// A database does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is of the wrong kind.
    #[error("{0}")]
    Kind(&'static str),
    /// The file cannot be made.
    #[error("cannot make {0}: {1}")]
    File(String, std::io::Error),
    /// It was tried, and failed.
    #[error("{0}")]
    Failed(StoreError),
}

impl From<StoreError> for MaintainError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<sqlx::Error> for MaintainError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Copies an SQLite database into a new file, as it is at one moment, beside whoever serves it. The
/// copy is checked before this returns.
///
/// # Errors
/// [`MaintainError`]; also if the file exists.
pub async fn backup(from: &DatabaseUrl, to: &Path) -> Result<(), MaintainError> {
    let Target::Sqlite(path) = &from.0 else {
        return Err(MaintainError::Kind("PostgreSQL is backed up by its own tools, such as pg_dump or pg_basebackup"));
    };
    if !path.exists() {
        return Err(OpenError::Missing(from.clone()).into());
    }
    let file_error = |error| MaintainError::File(to.display().to_string(), error);
    if to.exists() {
        return Err(file_error(std::io::Error::from(std::io::ErrorKind::AlreadyExists)));
    }
    make_private(to).map_err(file_error)?;
    let mut source = SqliteConnection::connect_with(&sqlite::visiting(path)).await?;
    let target = to.to_str().ok_or(MaintainError::Kind("the path is not UTF-8"))?;
    sqlx::query("vacuum into $1").bind(target).execute(&mut source).await?;
    source.close().await?;
    check(to).await?;
    std::fs::File::open(to).and_then(|file| file.sync_all()).map_err(file_error)
}

async fn check(copy: &Path) -> Result<(), MaintainError> {
    let mut db = SqliteConnection::connect_with(&sqlite::visiting(copy)).await?;
    let verdict: String = sqlx::query_scalar("pragma integrity_check(1)").fetch_one(&mut db).await?;
    db.close().await?;
    if verdict == "ok" { Ok(()) } else { Err(MaintainError::Failed(StoreError::Refused(verdict))) }
}

/// Copies everything from an SQLite database that nobody serves into an empty PostgreSQL database:
/// all of it, or nothing. The source is only read: of one that an older version left, a copy beside it is brought up to date.
/// `tell` hears of each table when it was found to be the same on both sides.
///
/// # Errors
/// [`MaintainError`]; also if the source is being served, or the target is not empty.
pub async fn move_to_postgres(
    from: &DatabaseUrl,
    to: &DatabaseUrl,
    durability: Durability,
    tell: impl FnMut(&MovedTable),
) -> Result<Vec<MovedTable>, MaintainError> {
    let (Target::Sqlite(path), Target::Postgres(url)) = (&from.0, &to.0) else {
        return Err(MaintainError::Kind("a move goes from sqlite:// to postgres://"));
    };
    if !path.exists() {
        return Err(OpenError::Missing(from.clone()).into());
    }
    let _lock = ServeLock::take(path).map_err(OpenError::Locked)?;
    let source = Source::of(from, path).await?;
    let servers = Arc::new(Servers::new(PostgresUrl::clone(url), durability));
    let made = migrate::postgres(&servers, Schema::Make).await;
    made.map_err(|error| OpenError::Open { url: to.clone(), error })?;
    let mut reading = source.pool().acquire().await?;
    let link = Link { servers, settings: Vec::new() };
    let mut writing = Connection::<Postgres>::open(Arc::new(link)).await?;
    reading.begin(None).await?;
    writing.begin(None).await?;
    let moved = sql::move_all::<Sqlite, Postgres>(&mut reading, &mut writing, tell).await?;
    // New attempts are numbered after those that came along.
    let next = "select setval(pg_get_serial_sequence('attempts', 'log_id'), coalesce(max(log_id), 0) + 1, false)
         from attempts";
    sqlx::query(next).execute(writing.raw()).await?;
    // However long that takes.
    sqlx::raw_sql("commit").execute(writing.raw()).await?;
    writing.close().await;
    Ok(moved)
}

/// What is moved: the file, or a copy of it that was brought up to date.
struct Source {
    path: PathBuf,
    is_copy: bool,
}

impl Source {
    async fn of(url: &DatabaseUrl, path: &Path) -> Result<Self, MaintainError> {
        let original = Self { path: path.to_owned(), is_copy: false };
        if migrate::sqlite(&original.pool(), path, Schema::MustBeCurrent, true).await.is_ok() {
            return Ok(original);
        }
        let copy = Self { path: path.with_extension("moving"), is_copy: true };
        backup(url, &copy.path).await?;
        let migrated = migrate::sqlite(&copy.pool(), &copy.path, Schema::Migrate, true).await;
        migrated.map_err(|error| OpenError::Open { url: url.clone(), error })?;
        Ok(copy)
    }

    fn pool(&self) -> Pool<Sqlite> {
        sql::open_pool(&self.path, 1, !self.is_copy)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if self.is_copy {
            let name = self.path.as_os_str();
            for suffix in ["", "-wal", "-shm"] {
                let mut file = name.to_owned();
                file.push(suffix);
                drop(std::fs::remove_file(file));
            }
        }
    }
}
