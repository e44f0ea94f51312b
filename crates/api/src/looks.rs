//! Who looked at what lately: the same look is written down once a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postrider_core::{TenantId, Timestamp};
use uuid::Uuid;

/// Who looked at what: tenant, actor, action, object.
pub(crate) type Look = (TenantId, Option<Uuid>, &'static str, Option<String>);

/// Who looks at the same thing again within this time is not written down again: a page that asks every second fills no log.
const SAME_LOOK: Duration = Duration::from_secs(60);
/// Most looks that are remembered.
const MOST_LOOKS: usize = 10_000;

/// Looks that were written down lately.
#[derive(Default)]
pub(crate) struct Looks(Mutex<HashMap<Look, Timestamp>>);

impl Looks {
    /// Whether the same look was written down lately; if not, it is now.
    pub(crate) fn is_repeated(&self, look: &Look, at: Timestamp) -> bool {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.get(look).is_some_and(|last| at.since(*last) < SAME_LOOK) {
            return true;
        }
        if looks.len() >= MOST_LOOKS {
            looks.retain(|_, last| at.since(*last) < SAME_LOOK);
        }
        if looks.len() < MOST_LOOKS {
            looks.insert(look.clone(), at);
        }
        false
    }

    /// It was not written down after all.
    pub(crate) fn forget(&self, look: &Look) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_look_is_new_after_a_minute_or_when_it_was_forgotten() {
        let (looks, start) = (Looks::default(), Timestamp::from_micros(0));
        let look = |object: &str| (TenantId::NIL, None, "event.viewed", Some(object.to_owned()));
        assert!(!looks.is_repeated(&look("a"), start));
        assert!(looks.is_repeated(&look("a"), start + Duration::from_secs(59)));
        assert!(!looks.is_repeated(&look("b"), start), "another thing");
        assert!(!looks.is_repeated(&look("a"), start + SAME_LOOK));
        looks.forget(&look("a"));
        assert!(!looks.is_repeated(&look("a"), start + SAME_LOOK));
    }
}
