//! Events accepted a moment ago whose deliveries wait in the table: who claims these need not read them again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use postrider_core::event::Event;
use postrider_core::{EventId, TenantId};

/// Most bytes of events kept. When they are full, the newest are not kept: the oldest are claimed first.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// What an event takes beside its payload and metadata; generous.
const BESIDE: usize = 512;
/// How long a generation is filled. What was not claimed by the end of the next one is claimed by others, or much later.
const GENERATION: Duration = Duration::from_secs(10);

/// Two generations of events, each until all its waiting deliveries are claimed. Only ever a shortcut: what is not here is read.
#[derive(Debug)]
pub(crate) struct RecentEvents(Mutex<Generations>);

#[derive(Debug)]
struct Generations {
    young: Generation,
    old: Generation,
    turned_at: Instant,
}

#[derive(Debug, Default)]
struct Generation {
    events: HashMap<(TenantId, EventId), Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    event: Arc<Event>,
    deliveries: usize,
}

impl RecentEvents {
    pub(crate) fn new(now: Instant) -> Self {
        let (young, old) = (Generation::default(), Generation::default());
        Self(Mutex::new(Generations { young, old, turned_at: now }))
    }

    /// Keeps an event, of which so many deliveries wait in the table.
    pub(crate) fn keep(&self, event: &Arc<Event>, deliveries: usize, now: Instant) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.turn(now);
        let bytes = bytes_of(event);
        if generations.young.bytes + generations.old.bytes + bytes > MOST_BYTES {
            return;
        }
        generations.young.bytes += bytes;
        generations.young.events.insert((event.tenant_id, event.id), Waiting { event: Arc::clone(event), deliveries });
    }

    /// The event of a delivery that was just claimed, if it is here.
    pub(crate) fn claim(&self, tenant_id: TenantId, id: EventId, now: Instant) -> Option<Arc<Event>> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.turn(now);
        let key = (tenant_id, id);
        generations.old.claim(key).or_else(|| generations.young.claim(key))
    }
}

impl Generations {
    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.turned_at);
        if age < GENERATION {
            return;
        }
        self.old = std::mem::take(&mut self.young);
        if age >= GENERATION * 2 {
            self.old = Generation::default();
        }
        self.turned_at = now;
    }
}

impl Generation {
    fn claim(&mut self, key: (TenantId, EventId)) -> Option<Arc<Event>> {
        let waiting = self.events.get_mut(&key)?;
        waiting.deliveries = waiting.deliveries.saturating_sub(1);
        if waiting.deliveries > 0 {
            return Some(Arc::clone(&waiting.event));
        }
        let event = self.events.remove(&key)?.event;
        self.bytes -= bytes_of(&event);
        Some(event)
    }
}

fn bytes_of(event: &Event) -> usize {
    BESIDE + event.draft.payload.len() + event.draft.metadata.as_ref().map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use postrider_core::Timestamp;
    use postrider_core::event::EventDraft;
    use postrider_core::event_type::EventTypeName;
    use uuid::Uuid;

    use super::*;

    fn tenant() -> TenantId {
        TenantId::from(Uuid::nil())
    }

    fn event(number: u128, payload_bytes: usize) -> Arc<Event> {
        let event_type = EventTypeName::parse("screening.completed").expect("a name");
        Arc::new(Event {
            id: EventId::from(Uuid::from_u128(number)),
            tenant_id: tenant(),
            created_at: Timestamp::from_micros(0),
            draft: EventDraft::new(event_type, "x".repeat(payload_bytes).into()),
        })
    }

    #[test]
    fn an_event_stays_until_all_its_deliveries_are_claimed() {
        let now = Instant::now();
        let recent = RecentEvents::new(now);
        let event = event(1, 10);
        recent.keep(&event, 2, now);
        assert!(recent.claim(TenantId::from(Uuid::max()), event.id, now).is_none());
        assert!(recent.claim(tenant(), event.id, now).is_some());
        assert!(recent.claim(tenant(), event.id, now).is_some());
        assert!(recent.claim(tenant(), event.id, now).is_none());
        assert_eq!(Arc::strong_count(&event), 1);
    }

    #[test]
    fn what_nobody_claims_gives_way_after_two_generations() {
        let begun = Instant::now();
        let recent = RecentEvents::new(begun);
        recent.keep(&event(1, 10), 1, begun);
        recent.keep(&event(2, 10), 1, begun);
        assert!(recent.claim(tenant(), event(1, 0).id, begun + GENERATION).is_some());
        assert!(recent.claim(tenant(), event(2, 0).id, begun + GENERATION * 2).is_none());
        recent.keep(&event(3, 10), 1, begun + GENERATION * 2);
        assert!(recent.claim(tenant(), event(3, 0).id, begun + GENERATION * 9).is_none());
    }

    #[test]
    fn the_newest_find_no_room_until_the_oldest_are_claimed() {
        let now = Instant::now();
        let recent = RecentEvents::new(now);
        let half = MOST_BYTES / 2 - BESIDE;
        for number in 1..=3 {
            recent.keep(&event(number, half), 1, now + GENERATION * u32::from(number > 1));
        }
        assert!(recent.claim(tenant(), event(3, 0).id, now + GENERATION).is_none());
        assert!(recent.claim(tenant(), event(1, 0).id, now + GENERATION).is_some());
        recent.keep(&event(3, half), 1, now + GENERATION);
        assert!(recent.claim(tenant(), event(3, 0).id, now + GENERATION).is_some());
    }
}
