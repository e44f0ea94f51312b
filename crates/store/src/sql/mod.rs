//! The one implementation, generic over the database.
//!
//! Each statement is written once, in the SQL that SQLite and PostgreSQL both speak: `$1`
//! placeholders, `on conflict`, `returning`, CTEs, `update … from`. What differs is in [`Dialect`].

mod accept;
mod accounts;
mod api_keys;
mod attempts;
mod audit;
mod bulk_jobs;
mod callback_secrets;
mod callbacks;
mod catalogue;
mod claim;
mod claim_shared;
mod claimed_row;
mod commit;
mod conditions;
mod deliveries;
mod dialect;
mod discard;
mod ended;
mod event_types;
mod events;
mod explain;
mod failing;
mod fan_out;
mod ids;
mod installation;
mod journal;
mod leases;
mod makers;
mod moving;
mod moving_tables;
mod notices;
#[cfg(test)]
mod plan;
mod postgres;
mod profiles;
mod prove;
mod prune;
mod prune_callbacks;
mod publish;
mod query;
mod queue;
mod reopen;
mod replay_search;
mod replay_step;
mod replays;
mod roll_up;
mod set_back;
mod settle;
#[cfg(debug_assertions)]
mod shared_statements;
mod snapshot;
mod sqlite;
mod statistics;
mod subscription_versions;
mod subscriptions;
mod tenants;
mod upkeep;
mod versions;
mod window;
mod wipe;
mod wipe_reopened;
mod yielding;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use postrider_core::catalogue::TenantCatalogue;
use postrider_core::profile::Profiles;
use postrider_core::vault::Vault;
use postrider_core::{TenantId, World};
use tokio::sync::Semaphore;

use crate::cache::CatalogueCache;
use crate::db::{Connection, Pool};
use crate::error::{Result, StoreError};
use crate::hand_over::HandOver;
use crate::node_number::NodeNumber;
use crate::profile_book::ProfileBook;
use crate::session::Session;
use crate::shares::{Share, Shares, Who};
use crate::single_flight::SingleFlight;
use commit::MOST_LOG_PAGES;
pub(crate) use commit::{Checkpoints, Finisher, GroupCommit, Log, Scripts, Statements};
pub(crate) use dialect::{Dialect, Loss};
pub(crate) use installation::least_version;
pub(crate) use leases::free_leases;
pub use moving::MovedTable;
pub(crate) use moving::move_all;
pub(crate) use prove::{Proofs, Prover};
#[cfg(debug_assertions)]
pub(crate) use query::places;
pub(crate) use query::{Query, Row};
pub(crate) use set_back::follow_clock;
#[cfg(debug_assertions)]
pub use shared_statements::shared_statements;
pub(crate) use sqlite::{open_bulk_pool, open_pool};
use upkeep::PassedOver;
pub(crate) use upkeep::{Pages, Work};
use versions::Versions;

/// Added to a row's timeout when it is claimed: time to build, sign, record, and for clocks to differ.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_secs(15);

/// What a process has of its database: connections, so parted that none can keep the others from their
/// work, and who writes on them.
pub(crate) struct Backend<DB: Dialect> {
    /// Changes by people; and bulk work, unless that has connections of its own.
    pub(crate) writes: Pool<DB>,
    pub(crate) bulk: Option<Pool<DB>>,
    /// Claims, where these are not written by the group commit: deliveries go on whatever people change.
    pub(crate) claims: Option<Pool<DB>>,
    /// Held by whoever writes, where a process must have but one writer at a time.
    pub(crate) turn: Option<Arc<Semaphore>>,
    /// Lists and what else people read; some of it takes long.
    pub(crate) reads: Pool<DB>,
    /// What accepts and deliveries wait for: keys, callbacks, lanes.
    pub(crate) lookups: Pool<DB>,
    /// For asking which catalogues are the newest, where other processes change them.
    pub(crate) versions: Option<Pool<DB>>,
    /// Whole catalogues, which take longer the more webhooks a tenant has.
    pub(crate) catalogues: Pool<DB>,
    /// Events and settlements.
    pub(crate) commits: GroupCommit,
    /// That commits are possible, of a process that serves.
    pub(crate) proofs: Option<Proofs>,
    pub(crate) node: NodeNumber,
    /// With the other processes, if this one serves together with others.
    pub(crate) session: Option<Session>,
}

/// A store on one database.
pub(crate) struct Sql<DB: Dialect> {
    writes: Pool<DB>,
    bulk: Option<Pool<DB>>,
    claims: Option<Pool<DB>>,
    turn: Option<Arc<Semaphore>>,
    reads: Pool<DB>,
    read_shares: Arc<Shares>,
    lookups: Pool<DB>,
    catalogues: Pool<DB>,
    node: NodeNumber,
    world: World,
    vault: Vault,
    cache: CatalogueCache,
    catalogue_loads: SingleFlight<TenantId>,
    profiles: ProfileBook,
    hand_over: HandOver,
    commits: GroupCommit,
    /// Where other processes change catalogues.
    versions: Option<Versions>,
    pages: Pages,
    passed_over: PassedOver,
    seen_by_retention: prune::Seen,
    looked_at_by_wiping: wipe::Looked,
    reopened: wipe_reopened::Reopened,
    parts_ended: ended::Parts,
    seen_callbacks: prune_callbacks::SeenCallbacks,
    session: Option<Session>,
    proofs: Option<Proofs>,
}

impl<DB: Dialect> Sql<DB> {
    pub(crate) fn new(
        backend: Backend<DB>,
        world: World,
        vault: Vault,
        profiles: Arc<Profiles>,
        hand_over: HandOver,
    ) -> Self {
        let Backend { writes, bulk, claims, turn, reads, lookups, versions, catalogues, commits, .. } = backend;
        let Backend { proofs, node, session, .. } = backend;
        Self {
            writes,
            bulk,
            claims,
            turn,
            read_shares: Shares::new(reads.size()),
            reads,
            lookups,
            catalogues,
            node,
            world,
            vault,
            cache: CatalogueCache::default(),
            catalogue_loads: SingleFlight::default(),
            profiles: ProfileBook::new(profiles),
            hand_over,
            commits,
            versions: versions.map(Versions::start),
            pages: Pages::default(),
            passed_over: PassedOver::default(),
            seen_by_retention: prune::Seen::default(),
            looked_at_by_wiping: wipe::Looked::default(),
            reopened: wipe_reopened::Reopened::default(),
            parts_ended: ended::Parts::default(),
            seen_callbacks: prune_callbacks::SeenCallbacks::default(),
            session,
            proofs,
        }
    }

    /// A connection that sees committed data. It counts in the share of `who`.
    async fn reader(&self, who: Who) -> Result<Shared<DB>> {
        let share = self.read_shares.take(who).await?;
        Ok(Shared { of: self.reads.acquire().await?, _share: share })
    }

    /// The same for what is read in no time and must not wait behind what is not.
    async fn lookup(&self) -> Result<Connection<DB>> {
        self.lookups.acquire().await
    }

    /// A transaction for what takes several statements to read.
    async fn reading(&self, who: Who) -> Result<Shared<DB>> {
        let mut reader = self.reader(who).await?;
        reader.begin(DB::BEGIN_READING).await?;
        Ok(reader)
    }

    /// A transaction that may write. Rolled back when dropped.
    async fn begin(&self) -> Result<Connection<DB>> {
        self.begin_on(&self.writes).await
    }

    /// The same for a page of bulk work.
    async fn begin_bulk(&self) -> Result<Connection<DB>> {
        self.begin_on(self.bulk.as_ref().unwrap_or(&self.writes)).await
    }

    async fn begin_on(&self, pool: &Pool<DB>) -> Result<Connection<DB>> {
        let turn = match &self.turn {
            Some(turn) => Some(Arc::clone(turn).acquire_owned().await.map_err(|_| commit::closed())?),
            None => None,
        };
        let mut tx = begin(pool).await?;
        tx.hold(turn);
        Ok(tx)
    }

    /// The same for what a dispatcher writes of its claims.
    async fn begin_claim(&self) -> Result<Connection<DB>> {
        match &self.claims {
            Some(claims) => begin(claims).await,
            None => self.begin().await,
        }
    }

    /// What is known of the server that is written to now.
    fn cache(&self) -> &CatalogueCache {
        self.cache.of_epoch(self.lookups.epoch())
    }

    /// The tenant's catalogue from memory, or else from the database.
    async fn cached_snapshot(&self, tenant_id: TenantId) -> Result<Option<Arc<TenantCatalogue>>> {
        match self.cache().get(tenant_id) {
            Some(known) => Ok(Some(known)),
            None => Box::pin(self.load_snapshot(tenant_id)).await,
        }
    }

    /// The tenant's catalogue as it is this moment: from memory, if that is still the newest.
    async fn current_snapshot(&self, tenant_id: TenantId) -> Result<Option<Arc<TenantCatalogue>>> {
        let Some(versions) = &self.versions else { return self.cached_snapshot(tenant_id).await };
        let Some(newest) = versions.newest(tenant_id).await? else { return Ok(None) };
        match self.cache().get(tenant_id) {
            Some(known) if known.version() >= newest => Ok(Some(known)),
            _ => Box::pin(self.load_snapshot(tenant_id)).await,
        }
    }

    /// Reads the tenant's catalogue from the database, not older than this call, and caches it. Concurrent calls share one
    /// read. Its future is large and seldom needed: callers on the path of each event box it.
    async fn load_snapshot(&self, tenant_id: TenantId) -> Result<Option<Arc<TenantCatalogue>>> {
        let loaded = || self.cache().get(tenant_id).map(Some);
        self.catalogue_loads.run(tenant_id, loaded, self.read_snapshot(tenant_id)).await
    }

    async fn read_snapshot(&self, tenant_id: TenantId) -> Result<Option<Arc<TenantCatalogue>>> {
        let mut reader = self.catalogues.acquire().await?;
        let epoch = self.lookups.epoch();
        let base = self.cache().last_read(tenant_id);
        let profiles = self.profiles.own();
        let catalogue = snapshot::read::<DB>(&mut reader, &self.vault, profiles, tenant_id, base.as_deref()).await?;
        let catalogue = catalogue.map(Arc::new);
        if epoch == self.lookups.epoch() {
            catalogue.iter().for_each(|catalogue| self.cache().put(Arc::clone(catalogue)));
        }
        Ok(catalogue)
    }

    /// Begins a change of a tenant's catalogue. Its version is raised first: that locks out all
    /// others who change it, in this process or another.
    async fn begin_change(&self, tenant_id: TenantId) -> Result<Option<Change<DB>>> {
        let mut tx = self.begin().await?;
        let version = tenants::raise_version::<DB>(&mut tx, tenant_id).await?;
        Ok(version.map(|version| Change { tx, tenant_id, version }))
    }

    /// The same of a tenant that was just found living.
    async fn change_of_living(&self, tenant_id: TenantId) -> Result<Change<DB>> {
        self.begin_change(tenant_id).await?.ok_or(StoreError::Damaged("a tenant is missing"))
    }

    /// Commits such a change.
    async fn commit_change(&self, change: Change<DB>) -> Result<()> {
        let committed = change.tx.commit().await;
        match committed {
            Ok(()) => self.cache().raise(change.tenant_id, change.version),
            // It may have happened all the same.
            Err(_) => self.cache().doubt(change.tenant_id),
        }
        committed
    }
}

/// A transaction that may write. Rolled back when dropped.
async fn begin<DB: Dialect>(pool: &Pool<DB>) -> Result<Connection<DB>> {
    let mut connection = pool.acquire().await?;
    connection.begin(DB::BEGIN).await?;
    Ok(connection)
}

/// A connection and the share that it is of.
struct Shared<DB: Dialect> {
    // Given back first.
    of: Connection<DB>,
    _share: Share,
}

impl<DB: Dialect> Deref for Shared<DB> {
    type Target = Connection<DB>;

    fn deref(&self) -> &Connection<DB> {
        &self.of
    }
}

impl<DB: Dialect> DerefMut for Shared<DB> {
    fn deref_mut(&mut self) -> &mut Connection<DB> {
        &mut self.of
    }
}

/// A change of a tenant's catalogue under way. Undone when dropped.
struct Change<DB: Dialect> {
    tx: Connection<DB>,
    tenant_id: TenantId,
    version: i64,
}
