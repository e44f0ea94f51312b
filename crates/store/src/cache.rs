//! Tenants' catalogues in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use postrider_core::TenantId;
use postrider_core::catalogue::TenantCatalogue;

/// Most tenants kept; beyond, any one gives way.
const CAPACITY: usize = 4096;

/// The floor while it is not known which version is the newest.
const UNKNOWN: i64 = i64::MAX;

/// The newest known catalogue of each tenant. A mere convenience: an accept proves its version.
#[derive(Debug, Default)]
pub(crate) struct CatalogueCache {
    entries: RwLock<HashMap<TenantId, Entry>>,
    /// The server that they were read from.
    epoch: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    /// No older catalogue is true; `i64::MAX` while it is not known what is.
    floor: i64,
    /// The newest that was read: a newer one is this one and what changed since.
    catalogue: Option<Arc<TenantCatalogue>>,
}

impl CatalogueCache {
    /// This cache, empty if the database is another server than before: it may lack the last changes, and give the same versions
    /// to others.
    pub(crate) fn of_epoch(&self, epoch: u64) -> &Self {
        if self.epoch.load(Ordering::Acquire) != epoch && self.epoch.swap(epoch, Ordering::AcqRel) != epoch {
            self.entries.write().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self
    }

    /// The catalogue, unless a newer one is known to exist.
    pub(crate) fn get(&self, tenant_id: TenantId) -> Option<Arc<TenantCatalogue>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(&tenant_id)?;
        entry.catalogue.clone().filter(|catalogue| catalogue.version() >= entry.floor)
    }

    /// The newest that was read, whether it is still true or not.
    pub(crate) fn last_read(&self, tenant_id: TenantId) -> Option<Arc<TenantCatalogue>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).get(&tenant_id)?.catalogue.clone()
    }

    /// Keeps what was just read, unless something newer was. It is true from then on, unless a newer version is known to
    /// exist.
    pub(crate) fn put(&self, catalogue: Arc<TenantCatalogue>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let tenant_id = catalogue.tenant_id();
        if entries.len() >= CAPACITY && !entries.contains_key(&tenant_id) {
            let any = entries.keys().next().copied();
            any.map(|any| entries.remove(&any));
        }
        let entry = entries.entry(tenant_id).or_insert(Entry { floor: 0, catalogue: None });
        if entry.catalogue.as_ref().is_none_or(|known| known.version() <= catalogue.version()) {
            if entry.floor == UNKNOWN || catalogue.version() > entry.floor {
                entry.floor = catalogue.version();
            }
            entry.catalogue = Some(catalogue);
        }
    }

    /// Notes that it is not known which version is the newest.
    pub(crate) fn doubt(&self, tenant_id: TenantId) {
        self.raise(tenant_id, UNKNOWN);
    }

    /// Notes that `version` was just committed: nothing older is true.
    pub(crate) fn raise(&self, tenant_id: TenantId, version: i64) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(tenant_id).or_insert(Entry { floor: version, catalogue: None });
        entry.floor = entry.floor.max(version);
    }
}
