//! Whether the database takes commits, as far as this process knows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::StoreError;

/// How long a commit proves that another is possible.
const PROOF: Duration = Duration::from_secs(3);

/// What is known of a store that serves. Cheap to clone; asking costs no database anything.
#[derive(Clone, Debug)]
pub struct Health(Arc<Mutex<Known>>);

#[derive(Debug)]
struct Known {
    /// When something was last committed.
    committed_at: Instant,
    /// Why the last try failed, if it did.
    trouble: Option<&'static str>,
    /// Why this program must not serve any more.
    outdated: Option<String>,
}

impl Health {
    /// Of a store that was just opened, and committed something.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Known { committed_at: Instant::now(), trouble: None, outdated: None })))
    }

    /// Whether a commit was possible within the last 3 s.
    ///
    /// # Errors
    /// What is wrong, for people; it says nothing of the database that strangers may not know.
    pub fn takes_commits(&self) -> Result<(), &'static str> {
        let known = self.lock();
        if known.committed_at.elapsed() <= PROOF {
            return Ok(());
        }
        Err(known.trouble.unwrap_or("the database does not answer"))
    }

    /// Why this program must end, if it must: the database may be served by newer ones only.
    #[must_use]
    pub fn outdated(&self) -> Option<String> {
        self.lock().outdated.clone()
    }

    /// Notes that something was committed.
    pub(crate) fn committed(&self) {
        let mut known = self.lock();
        known.committed_at = Instant::now();
        known.trouble = None;
    }

    /// Whether something was committed that recently.
    pub(crate) fn has_committed_within(&self, time: Duration) -> bool {
        self.lock().committed_at.elapsed() < time
    }

    /// Notes that a commit failed.
    pub(crate) fn failed(&self, error: &StoreError) {
        self.lock().trouble = Some(match error {
            StoreError::Unavailable(why) if why.contains("only reads") || why.contains("read-only") => {
                "the database only reads: it is a standby, or was made read-only"
            }
            StoreError::Unavailable(why) if why.contains("full") || why.contains("No space") => {
                "the disk of the database is full"
            }
            StoreError::Unavailable(_) => "the database does not answer",
            StoreError::Contended(_) => "the database is too busy",
            StoreError::Unusable(_) => "the database cannot be used; the log says why",
            StoreError::Refused(_) | StoreError::Damaged(_) | StoreError::Vault(_) => {
                "the database refuses a commit; the log says why"
            }
        });
    }

    /// Notes that a commit has not returned within a second.
    pub(crate) fn slow(&self) {
        self.lock().trouble = Some("a commit takes longer than a second");
    }

    /// Notes that this program must end.
    pub(crate) fn must_end(&self, why: String) {
        self.lock().outdated = Some(why);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
