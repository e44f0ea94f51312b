//! Time and chance, handed to whoever needs them.

use std::sync::Arc;

use rand::Rng;
use uuid::Uuid;

use crate::id::uuid_v7;
use crate::time::{Clock, Timestamp};

/// A source of random bytes, fit for secrets.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The thread's cryptographic generator, seeded by the operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "the one place where chance comes in")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

/// What is not in the program: the time and chance. Cheap to clone.
#[derive(Clone)]
pub struct World {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl World {
    /// A world with this clock and this chance.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random }
    }

    /// The clock itself, to sleep by.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Now, as others' clocks have it: what receivers check a signature's age by.
    #[must_use]
    pub fn told_to_others(&self) -> Timestamp {
        self.clock.told_to_others()
    }

    /// `N` random bytes, fit for secrets.
    #[must_use]
    pub fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    /// A new id, made now.
    #[must_use]
    pub fn new_id<T: From<Uuid>>(&self) -> T {
        self.new_id_at(self.now())
    }

    /// A new id that says it was made `at`.
    #[must_use]
    pub fn new_id_at<T: From<Uuid>>(&self, at: Timestamp) -> T {
        uuid_v7(at, self.random_bytes()).into()
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now()).finish()
    }
}
