//! The one implementation, generic over the database.
//!
//! Each statement is written once, in the SQL that SQLite and PostgreSQL both speak: `$1`
//! placeholders, `on conflict`, `returning`, CTEs, `update … from`. What differs is in [`Dialect`].

mod accept;
mod api_keys;
mod attempts;
mod catalogue;
mod claim;
mod conditions;
mod deliveries;
mod dialect;
mod discard;
mod event_types;
mod events;
mod fan_out;
mod group_commit;
mod journal;
mod prune;
mod publish;
mod query;
mod queue;
mod reopen;
mod settle;
mod sqlite;
mod subscriptions;
mod tenants;

use std::sync::Arc;
use std::time::Duration;

use postrider_core::catalogue::TenantCatalogue;
use postrider_core::vault::Vault;
use postrider_core::{TenantId, World};
use sqlx::{Pool, Transaction};

use crate::cache::CatalogueCache;
use crate::error::Result;
use crate::hand_over::HandOver;
pub(crate) use dialect::Dialect;
use group_commit::GroupCommit;
pub(crate) use query::{Query, Row};
pub(crate) use sqlite::{migrate, open_pool};

/// Added to a row's timeout when it is claimed: time to build, sign, record, and for clocks to differ.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_secs(15);

/// Rows of the statistics belong to a node. The embedded store has one.
const NODE: i64 = 0;

/// A store on one database.
pub(crate) struct Sql<DB: Dialect> {
    writes: Pool<DB>,
    reads: Pool<DB>,
    world: World,
    vault: Vault,
    cache: CatalogueCache,
    hand_over: HandOver,
    commits: GroupCommit,
}

impl<DB: Dialect> Sql<DB> {
    /// Starts the writer. `writes` is one connection where the database has one writer.
    pub(crate) fn start(writes: Pool<DB>, reads: Pool<DB>, world: World, vault: Vault, hand_over: HandOver) -> Self {
        let commits = GroupCommit::start(writes.clone(), world.clone(), hand_over.clone());
        Self { writes, reads, world, vault, cache: CatalogueCache::default(), hand_over, commits }
    }

    /// A connection that sees what is committed.
    async fn reader(&self) -> Result<sqlx::pool::PoolConnection<DB>> {
        Ok(self.reads.acquire().await?)
    }

    /// A transaction that may write. Rolled back when dropped.
    async fn begin(&self) -> Result<Transaction<'static, DB>> {
        Ok(DB::begin(&self.writes).await?)
    }

    /// The tenant's catalogue from memory, or else from the database.
    async fn cached_snapshot(&self, tenant_id: TenantId) -> Result<Option<Arc<TenantCatalogue>>> {
        match self.cache.get(tenant_id) {
            Some(known) => Ok(Some(known)),
            None => self.load_snapshot(tenant_id).await,
        }
    }

    /// The tenant's catalogue from the database; kept in memory.
    async fn load_snapshot(&self, tenant_id: TenantId) -> Result<Option<Arc<TenantCatalogue>>> {
        let mut reader = self.reader().await?;
        // The version is read first: should the rest be newer, an accept finds the version stale.
        let Some(version) = tenants::version::<DB>(&mut reader, tenant_id).await? else {
            return Ok(None);
        };
        let subscriptions = subscriptions::living::<DB>(&mut reader, &self.vault, tenant_id).await?;
        let types = event_types::list::<DB>(&mut reader, tenant_id).await?;
        let types = types.into_iter().map(|own| own.name).collect();
        let catalogue = Arc::new(TenantCatalogue::new(tenant_id, version, subscriptions, types));
        self.cache.put(Arc::clone(&catalogue));
        Ok(Some(catalogue))
    }

    /// Commits a change of a tenant's catalogue under its next version.
    async fn commit_change(&self, mut tx: Transaction<'static, DB>, tenant_id: TenantId) -> Result<()> {
        let version = tenants::raise_version::<DB>(&mut tx, tenant_id).await?;
        tx.commit().await?;
        self.cache.raise(tenant_id, version);
        Ok(())
    }
}
