//! API keys that were just looked up. Kept so briefly that a revoked key stops within a second.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postrider_core::Timestamp;
use postrider_core::api_key::{ApiKey, KeyHash};

/// How long a key is believed to be as it was.
const TRUST: Duration = Duration::from_millis(900);

/// Most keys kept; then all are looked up anew.
const CAPACITY: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct KeyCache(Mutex<HashMap<KeyHash, (ApiKey, Timestamp)>>);

impl KeyCache {
    pub(crate) fn get(&self, hash: &KeyHash, now: Timestamp) -> Option<ApiKey> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, seen_at) = keys.get(hash)?;
        (now.since(*seen_at) < TRUST).then(|| key.clone())
    }

    pub(crate) fn put(&self, hash: KeyHash, key: ApiKey, now: Timestamp) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= CAPACITY {
            keys.clear();
        }
        keys.insert(hash, (key, now));
    }

    /// Forgets everything: a key was revoked here.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
