//! Opening a store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use postrider_core::World;
use postrider_core::vault::Vault;
use sqlx::Sqlite;

use crate::catalogue::Catalogue;
use crate::error::StoreError;
use crate::hand_over::HandOver;
use crate::journal::Journal;
use crate::queue::Queue;
use crate::sql::{self, Sql};

/// Connections that read.
const READERS: u32 = 4;

/// Where and how to open a store.
#[derive(Debug)]
pub struct StoreOptions {
    /// `sqlite://PATH`.
    pub database_url: String,
    /// Time and chance.
    pub world: World,
    /// Seals secrets.
    pub vault: Vault,
    /// Where claimed deliveries go.
    pub hand_over: HandOver,
}

/// A store could not be opened; for people.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is of no database that is known.
    #[error("DATABASE_URL must be sqlite://PATH")]
    Url,
    /// It is, but it does not open.
    #[error("cannot open the database {path}: {error}")]
    Open {
        /// Which.
        path: String,
        /// Why.
        error: StoreError,
    },
}

/// One store in the three ways that it is seen. Cheap to clone.
#[derive(Clone)]
pub struct Stores {
    /// What the API sees of who may do what.
    pub catalogue: Arc<dyn Catalogue>,
    /// What the API sees of what happened.
    pub journal: Arc<dyn Journal>,
    /// What the dispatcher sees.
    pub queue: Arc<dyn Queue>,
}

impl Stores {
    /// Opens the database, makes it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        let path = sqlite_path(&options.database_url)?;
        let opened = open_sqlite(&path, options).await;
        opened.map_err(|error| OpenError::Open { path: path.display().to_string(), error })
    }

    /// The file of a `sqlite://` URL.
    ///
    /// # Errors
    /// [`OpenError::Url`] if it is none.
    pub fn file(database_url: &str) -> Result<PathBuf, OpenError> {
        sqlite_path(database_url)
    }
}

async fn open_sqlite(path: &Path, options: StoreOptions) -> Result<Stores, StoreError> {
    // One writer: SQLite has no more, and would make a second one wait by sleeping.
    let writes = sql::open_pool(path, 1, false).await?;
    sql::migrate(&writes).await?;
    let reads = sql::open_pool(path, READERS, true).await?;
    let StoreOptions { world, vault, hand_over, .. } = options;
    let store = Arc::new(Sql::<Sqlite>::start(writes, reads, world, vault, hand_over));
    Ok(Stores { catalogue: store.clone(), journal: store.clone(), queue: store })
}

fn sqlite_path(url: &str) -> Result<PathBuf, OpenError> {
    let path = url.strip_prefix("sqlite://").ok_or(OpenError::Url)?;
    if path.is_empty() || path.contains('?') { Err(OpenError::Url) } else { Ok(PathBuf::from(path)) }
}
