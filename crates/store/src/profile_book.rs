//! The wire formats that deliveries were made with.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use postrider_core::profile::{Profile, Profiles};

/// Most versions kept that are not of this process's own formats; beyond, any one gives way.
const CAPACITY: usize = 256;

/// This process's formats, and what was read of others: earlier versions, and those of other nodes.
pub(crate) struct ProfileBook {
    own: Arc<Profiles>,
    others: RwLock<HashMap<i64, Arc<Profile>>>,
}

impl ProfileBook {
    pub(crate) fn new(own: Arc<Profiles>) -> Self {
        Self { own, others: RwLock::default() }
    }

    pub(crate) const fn own(&self) -> &Arc<Profiles> {
        &self.own
    }

    /// The format of that version.
    pub(crate) fn version(&self, version: i64) -> Option<Arc<Profile>> {
        let own = self.own.iter().find(|profile| profile.version() == version);
        own.cloned().or_else(|| self.others.read().unwrap_or_else(PoisonError::into_inner).get(&version).cloned())
    }

    /// Keeps what was read.
    pub(crate) fn add(&self, profile: Arc<Profile>) {
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        if others.len() >= CAPACITY {
            let any = others.keys().next().copied();
            any.map(|any| others.remove(&any));
        }
        others.insert(profile.version(), profile);
    }
}
