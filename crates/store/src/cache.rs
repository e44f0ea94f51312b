//! Tenants' catalogues in memory.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use postrider_core::TenantId;
use postrider_core::catalogue::TenantCatalogue;

/// Most tenants kept; beyond, any one gives way.
const CAPACITY: usize = 4096;

/// The newest known catalogue of each tenant. A mere convenience: an accept proves its version.
#[derive(Debug, Default)]
pub(crate) struct CatalogueCache(RwLock<HashMap<TenantId, Entry>>);

#[derive(Debug)]
struct Entry {
    /// No older catalogue may be kept.
    floor: i64,
    catalogue: Option<Arc<TenantCatalogue>>,
}

impl CatalogueCache {
    pub(crate) fn get(&self, tenant_id: TenantId) -> Option<Arc<TenantCatalogue>> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(&tenant_id)?.catalogue.clone()
    }

    /// Keeps what was read, unless a newer version is known to exist.
    pub(crate) fn put(&self, catalogue: Arc<TenantCatalogue>) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let tenant_id = catalogue.tenant_id();
        if entries.len() >= CAPACITY && !entries.contains_key(&tenant_id) {
            let any = entries.keys().next().copied();
            any.map(|any| entries.remove(&any));
        }
        let entry = entries.entry(tenant_id).or_insert(Entry { floor: 0, catalogue: None });
        if catalogue.version() >= entry.floor {
            entry.floor = catalogue.version();
            entry.catalogue = Some(catalogue);
        }
    }

    /// Forgets all of a tenant: it is not known what is true.
    pub(crate) fn forget(&self, tenant_id: TenantId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&tenant_id);
    }

    /// Forgets what is older than `version`, which was just committed.
    pub(crate) fn raise(&self, tenant_id: TenantId, version: i64) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(tenant_id).or_insert(Entry { floor: version, catalogue: None });
        if entry.floor < version {
            *entry = Entry { floor: version, catalogue: None };
        }
    }
}
