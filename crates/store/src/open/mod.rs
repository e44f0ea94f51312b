//! Opening a store.

mod hosts;
pub(crate) mod postgres;
mod serve_lock;
pub(crate) mod sqlite;
mod url;

use std::sync::Arc;

use postrider_core::World;
use postrider_core::profile::Profiles;
use postrider_core::vault::Vault;

use crate::accounts::Accounts;
use crate::catalogue::Catalogue;
use crate::db::Schema;
use crate::error::StoreError;
use crate::hand_over::HandOver;
use crate::health::Health;
use crate::journal::Journal;
use crate::queue::Queue;
use crate::replays::Replays;
use crate::statistics::Statistics;
pub(crate) use hosts::PostgresUrl;
pub(crate) use serve_lock::ServeLock;
pub(crate) use sqlite::make_private;
pub(crate) use url::Target;
pub use url::{DATABASE_URL_FORM, DatabaseUrl, DatabaseUrlError};

/// Where and how to open a store.
#[derive(Debug)]
pub struct StoreOptions {
    /// Which database.
    pub database_url: DatabaseUrl,
    /// Whether PostgreSQL has to say that it keeps what it commits.
    pub durability: Durability,
    /// Whether this process serves, or only opens the store beside those that do.
    pub purpose: Purpose,
    /// Time and chance.
    pub world: World,
    /// Seals secrets.
    pub vault: Vault,
    /// Where claimed deliveries go.
    pub hand_over: HandOver,
    /// The wire formats.
    pub profiles: Arc<Profiles>,
}

/// How it is known that PostgreSQL keeps what it commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// By its settings: `fsync`, `full_page_writes` and `synchronous_commit` must be on.
    #[default]
    Checked,
    /// By whoever runs it, as managed services with storage of their own do, whatever `fsync` and `full_page_writes` say.
    Trusted,
}

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve. Others see when this process is gone, and take over what it had claimed. Of an
    /// SQLite file, one process at a time.
    Serve,
    /// For a few short statements beside whoever serves. The database must be there, and its schema up to date.
    Visit,
    /// To bring the schema up to date. Makes an SQLite file if it is not there.
    Migrate,
}

impl Purpose {
    /// What that is to the schema.
    const fn schema(self) -> Schema {
        match self {
            Self::Serve | Self::Migrate => Schema::Migrate,
            Self::Visit => Schema::MustBeCurrent,
        }
    }
}

/// A store could not be opened; for people.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process serves the same file, or the lock file cannot be made.
    #[error("{0}")]
    Locked(String),
    /// There is no such file.
    #[error("there is no database at {0}; `postrider serve` or `postrider migrate` makes one")]
    Missing(DatabaseUrl),
    /// The database does not open.
    #[error("cannot open the database {url}: {error}")]
    Open {
        /// Which.
        url: DatabaseUrl,
        /// Why.
        error: StoreError,
    },
}

/// One store in the ways that it is seen. Cheap to clone.
#[derive(Clone)]
pub struct Stores {
    /// What the API sees of who may do what.
    pub catalogue: Arc<dyn Catalogue>,
    /// What the API sees of what happened.
    pub journal: Arc<dyn Journal>,
    /// What the API sees of people.
    pub accounts: Arc<dyn Accounts>,
    /// The API's view of replays.
    pub replays: Arc<dyn Replays>,
    /// What the API sees of statistics.
    pub statistics: Arc<dyn Statistics>,
    /// What the dispatcher sees.
    pub queue: Arc<dyn Queue>,
    /// Whether it takes commits.
    pub health: Health,
    _lock: Option<Arc<ServeLock>>,
}

impl Stores {
    fn of<S>(store: Arc<S>, health: Health, lock: Option<Arc<ServeLock>>) -> Self
    where
        S: Catalogue + Journal + Accounts + Replays + Statistics + Queue,
    {
        Self {
            catalogue: store.clone(),
            journal: store.clone(),
            accounts: store.clone(),
            replays: store.clone(),
            statistics: store.clone(),
            queue: store,
            health,
            _lock: lock,
        }
    }

    /// Opens the database; brings its schema up to date if the purpose is to serve or to migrate.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        match options.database_url.0.clone() {
            Target::Sqlite(path) => Box::pin(sqlite::open(&path, options)).await,
            Target::Postgres(url) => Box::pin(postgres::open(*url, options)).await,
        }
    }
}
