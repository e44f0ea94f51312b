//! API keys that were just looked up. Kept so briefly that a revoked key stops within a second.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postrider_core::Timestamp;
use postrider_core::api_key::{ApiKey, KeyHash};

/// How long a key is believed to be as it was.
const TRUST: Duration = Duration::from_millis(900);

/// How exactly it is known when a key was last used: a write for each use would be many.
const USE_IS_NOTED_EVERY: Duration = Duration::from_secs(60);

/// Most keys kept; then all are looked up anew.
const CAPACITY: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct KeyCache(Mutex<HashMap<KeyHash, Entry>>);

#[derive(Debug)]
struct Entry {
    key: ApiKey,
    seen_at: Timestamp,
    use_noted_at: Timestamp,
}

impl KeyCache {
    pub(crate) fn get(&self, hash: &KeyHash, now: Timestamp) -> Option<ApiKey> {
        let keys = self.lock();
        let entry = keys.get(hash)?;
        (now.since(entry.seen_at) < TRUST).then(|| entry.key.clone())
    }

    /// Whether the key was valid the last time, however long ago that was.
    pub(crate) fn knows(&self, hash: &KeyHash) -> bool {
        self.lock().contains_key(hash)
    }

    /// Keeps a key that was looked up because somebody uses it. Whether that is to be written down, by this caller.
    pub(crate) fn put(&self, hash: KeyHash, key: ApiKey, now: Timestamp) -> bool {
        let mut keys = self.lock();
        if keys.len() >= CAPACITY {
            keys.clear();
        }
        let noted_at = keys.get(&hash).map(|entry| entry.use_noted_at).or(key.last_used_at);
        let noted_lately = noted_at.filter(|at| now.since(*at) < USE_IS_NOTED_EVERY);
        keys.insert(hash, Entry { key, seen_at: now, use_noted_at: noted_lately.unwrap_or(now) });
        noted_lately.is_none()
    }

    /// Forgets a key: it is valid no more.
    pub(crate) fn forget(&self, hash: &KeyHash) {
        self.lock().remove(hash);
    }

    /// Forgets everything: a key was revoked here.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyHash, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
