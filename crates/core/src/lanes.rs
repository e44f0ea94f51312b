//! Lanes: who may send how much at once, so that one bad endpoint hurts nobody else.
//!
//! A lane is (tenant, origin, path without query). Every request in flight holds a [`Slot`] of the
//! process and of its lane. Bounded memory: a lane is kept only while it has slots out, rows
//! waiting in the table, or somebody waiting for a slot.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::TenantId;
use crate::target_url::TargetUrl;

/// Names a lane; the queue is indexed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub i64);

impl LaneId {
    /// The lane of `url` for this tenant: a hash, the same on every node.
    #[must_use]
    pub fn of(tenant_id: TenantId, url: &TargetUrl) -> Self {
        let digest = Sha256::new().chain_update(tenant_id.uuid()).chain_update(url.endpoint()).finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(i64::from_be_bytes(first))
    }
}

/// How many requests may be in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// In the whole process.
    pub total: usize,
    /// In one lane.
    pub per_lane: usize,
    /// How many bytes of payloads the process may hold for them. A little more, if one claim brings
    /// large ones.
    pub bytes: usize,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self { total: 2048, per_lane: 256, bytes: 128 * 1024 * 1024 }
    }
}

/// Called with a lane that waited for a slot and may now have one.
pub type OnFree = dyn Fn(LaneId) + Send + Sync;

/// The slots of this process. Cheap to clone.
#[derive(Clone)]
pub struct Lanes(Arc<Inner>);

struct Inner {
    limits: LaneLimits,
    on_free: Box<OnFree>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_flight: usize,
    bytes: usize,
    closed: bool,
    lanes: HashMap<LaneId, Lane>,
    /// Lanes that found the process full, in the order they came.
    starved: VecDeque<LaneId>,
}

#[derive(Default)]
struct Lane {
    in_flight: usize,
    /// Rows wait in the table: newcomers queue behind them.
    waiting: bool,
    /// Somebody asked for a slot and got none.
    blocked: bool,
}

impl Lanes {
    /// Slots within `limits`; `on_free` hears of lanes that waited for one.
    #[must_use]
    pub fn new(limits: LaneLimits, on_free: Box<OnFree>) -> Self {
        Self(Arc::new(Inner { limits, on_free, state: Mutex::default() }))
    }

    /// No slots at all: for a process that accepts and does not send.
    #[must_use]
    pub fn none() -> Self {
        let lanes = Self::new(LaneLimits { total: 0, per_lane: 0, bytes: 0 }, Box::new(|_| ()));
        lanes.close();
        lanes
    }

    /// A slot for a delivery that is just being accepted. None if the process or the lane is full,
    /// or if rows of the lane wait in the table: then it queues behind them.
    #[must_use]
    pub fn reserve(&self, id: LaneId) -> Option<Slot> {
        let mut state = self.0.lock();
        let waiting = state.lanes.get(&id).is_some_and(|lane| lane.waiting);
        if waiting { None } else { self.take(&mut state, id) }
    }

    /// Up to `wanted` slots for rows that wait in the table. If there is none now, `on_free` will
    /// name the lane when there may be one.
    #[must_use]
    pub fn reserve_waiting(&self, id: LaneId, wanted: usize) -> Vec<Slot> {
        let mut state = self.0.lock();
        let slots: Vec<Slot> = std::iter::from_fn(|| self.take(&mut state, id)).take(wanted).collect();
        if slots.is_empty() && !state.closed {
            let lane = state.lanes.entry(id).or_default();
            let full = lane.in_flight >= self.0.limits.per_lane;
            let known = std::mem::replace(&mut lane.blocked, true);
            if !full && !known {
                state.starved.push_back(id);
            }
        }
        slots
    }

    /// Says whether rows of the lane wait in the table.
    pub fn set_waiting(&self, id: LaneId, waiting: bool) {
        let mut state = self.0.lock();
        if waiting && !state.closed {
            state.lanes.entry(id).or_default().waiting = true;
        } else if let Some(lane) = state.lanes.get_mut(&id) {
            lane.waiting = false;
            state.forget_if_idle(id);
        }
    }

    /// Gives no more slots; those out stay valid.
    pub fn close(&self) {
        self.0.lock().closed = true;
    }

    /// Slots out.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.lock().in_flight
    }

    fn take(&self, state: &mut State, id: LaneId) -> Option<Slot> {
        let limits = self.0.limits;
        if state.closed || state.in_flight >= limits.total || state.bytes >= limits.bytes {
            return None;
        }
        let lane = state.lanes.entry(id).or_default();
        if lane.in_flight >= limits.per_lane {
            return None;
        }
        lane.in_flight += 1;
        state.in_flight += 1;
        Some(Slot { lanes: self.clone(), id, bytes: 0 })
    }

    fn release(&self, id: LaneId, bytes: usize) {
        let mut freed = [None, None];
        {
            let mut state = self.0.lock();
            state.in_flight -= 1;
            state.bytes -= bytes;
            if let Some(lane) = state.lanes.get_mut(&id) {
                lane.in_flight -= 1;
                freed[0] = std::mem::take(&mut lane.blocked).then_some(id);
            }
            freed[1] = state.next_starved();
            state.forget_if_idle(id);
        }
        freed.into_iter().flatten().for_each(|id| (self.0.on_free)(id));
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_starved(&mut self) -> Option<LaneId> {
        let id = self.starved.pop_front()?;
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.blocked = false;
        }
        self.forget_if_idle(id);
        Some(id)
    }

    fn forget_if_idle(&mut self, id: LaneId) {
        if self.lanes.get(&id).is_some_and(|lane| lane.in_flight == 0 && !lane.waiting && !lane.blocked) {
            self.lanes.remove(&id);
        }
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Lanes").field("in_flight", &state.in_flight).field("lanes", &state.lanes.len()).finish()
    }
}

/// The right to have one request in flight. Given back when dropped.
pub struct Slot {
    lanes: Lanes,
    id: LaneId,
    bytes: usize,
}

impl Slot {
    /// Says how many bytes of payload are held under it.
    #[must_use]
    pub fn holding(mut self, bytes: usize) -> Self {
        let mut state = self.lanes.0.lock();
        state.bytes = state.bytes - self.bytes + bytes;
        drop(state);
        self.bytes = bytes;
        self
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.lanes.release(self.id, self.bytes);
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({})", self.id.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const A: LaneId = LaneId(1);
    const B: LaneId = LaneId(2);

    fn lanes(total: usize, per_lane: usize) -> (Lanes, mpsc::Receiver<LaneId>) {
        let (freed, heard) = mpsc::channel();
        let on_free = Box::new(move |id| freed.send(id).expect("the test listens"));
        (Lanes::new(LaneLimits { total, per_lane, bytes: 100 }, on_free), heard)
    }

    #[test]
    fn a_full_lane_leaves_room_for_others() {
        let (lanes, heard) = lanes(3, 2);
        let first = lanes.reserve_waiting(A, 5);
        assert_eq!(first.len(), 2);
        assert!(lanes.reserve(A).is_none());
        let other = lanes.reserve(B);
        assert!(other.is_some());
        assert!(lanes.reserve_waiting(A, 1).is_empty());
        drop(other);
        assert!(heard.try_recv().is_err(), "the lane itself is full");
        drop(first);
        assert_eq!(heard.try_recv(), Ok(A));
        assert!(heard.try_recv().is_err(), "told once");
    }

    #[test]
    fn whoever_starved_first_is_told_first() {
        let (lanes, heard) = lanes(1, 1);
        let slot = lanes.reserve(LaneId(0));
        assert!(lanes.reserve_waiting(A, 1).is_empty());
        assert!(lanes.reserve_waiting(B, 1).is_empty());
        assert!(lanes.reserve_waiting(A, 1).is_empty());
        drop(slot);
        assert_eq!(heard.try_recv(), Ok(A));
        assert!(heard.try_recv().is_err());
        drop(lanes.reserve_waiting(A, 1));
        assert_eq!(heard.try_recv(), Ok(B));
    }

    #[test]
    fn newcomers_queue_behind_waiting_rows() {
        let (lanes, _heard) = lanes(2, 2);
        lanes.set_waiting(A, true);
        assert!(lanes.reserve(A).is_none());
        assert_eq!(lanes.reserve_waiting(A, 1).len(), 1);
        lanes.set_waiting(A, false);
        assert!(lanes.reserve(A).is_some());
    }

    #[test]
    fn nothing_is_kept_of_idle_lanes() {
        let (lanes, heard) = lanes(2, 1);
        lanes.set_waiting(A, true);
        let slots = (lanes.reserve_waiting(A, 1), lanes.reserve(B), lanes.reserve_waiting(B, 1));
        drop(slots);
        lanes.set_waiting(A, false);
        assert_eq!(lanes.in_flight(), 0);
        assert!(lanes.0.lock().lanes.is_empty());
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [B]);
    }

    #[test]
    fn large_payloads_leave_no_room() {
        let (lanes, heard) = lanes(9, 9);
        let large = lanes.reserve(A).map(|slot| slot.holding(100));
        assert!(lanes.reserve(B).is_none() && lanes.reserve_waiting(B, 1).is_empty());
        drop(large);
        assert_eq!(heard.try_recv(), Ok(B));
        assert!(lanes.reserve(B).is_some());
    }

    #[test]
    fn closed_gives_nothing() {
        let (lanes, _heard) = lanes(2, 2);
        lanes.close();
        assert!(lanes.reserve(A).is_none() && lanes.reserve_waiting(A, 1).is_empty());
        assert!(Lanes::none().reserve(A).is_none());
    }
}
