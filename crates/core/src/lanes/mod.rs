//! Lanes: who may send how much at once, so that one bad endpoint hurts nobody else.
//!
//! A lane is (tenant, origin, path without query). Every request in flight holds a [`Slot`] of the
//! process and of its lane. How many a lane may hold follows how its endpoint answers, and what is
//! accepted for others; those that have not answered well share a part of all slots, so that the others always find some.

mod accepted;
mod id;
mod lane;
mod slot;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Timestamp;
use accepted::Accepted;
pub use id::LaneId;
pub use lane::{Answer, Heard, LaneState};
use lane::{Lane, Room};
pub use slot::Slot;

/// How many requests may be in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// In the whole process.
    pub total: usize,
    /// In one lane.
    pub per_lane: usize,
    /// In all lanes together whose endpoints have not answered well the last time.
    pub unproven: usize,
    /// Deliveries a second that a lane may make while this node accepts ten or more for others, or four times as many as for itself;
    /// twice as many for each minute that rows of it wait. It has no more in flight than make that pace, or more if its
    /// answers are quick: 16 if they take 10 ms.
    pub pace_beside: usize,
    /// How many bytes of payloads the process may hold for them. A little more, if one claim brings
    /// large ones.
    pub bytes: usize,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self { total: 2048, per_lane: 256, unproven: 512, pace_beside: 120, bytes: 128 * 1024 * 1024 }
    }
}

impl LaneLimits {
    /// For a machine with so many processors.
    #[must_use]
    pub fn on(processors: usize) -> Self {
        let of_two = Self::default();
        Self { pace_beside: of_two.pace_beside * processors.max(2) / 2, ..of_two }
    }
}

/// Most lanes remembered; then those with nothing under way are forgotten.
const REMEMBERED: usize = 16_384;
/// Between looks for lanes to forget.
const CLEAN_UP: Duration = Duration::from_secs(1);

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
    /// Of those, in lanes that have not answered well.
    unproven: usize,
    bytes: usize,
    closed: bool,
    lanes: HashMap<LaneId, Lane>,
    /// Deliveries to all lanes.
    accepted: Accepted,
    clean_up_at: Timestamp,
    /// Lanes that found the process full, in the order they came.
    starved: VecDeque<LaneId>,
    /// Those that found the share of unproven lanes used up.
    starved_unproven: VecDeque<LaneId>,
}

/// What somebody gets who asks for slots for rows that wait in the table.
#[derive(Debug)]
pub enum Reserved {
    /// So many. One alone may be a probe.
    Slots(Vec<Slot>),
    /// None now; the lane will be named when there may be one.
    WhenFreed,
    /// None before then.
    At(Timestamp),
}

/// How a lane stands on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneHealth {
    /// Its state.
    pub state: LaneState,
    /// Requests in flight.
    pub in_flight: usize,
    /// How many may be.
    pub limit: usize,
    /// When a dead endpoint is tried next.
    pub next_probe_at: Option<Timestamp>,
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
        let lanes = Self::new(LaneLimits { total: 0, per_lane: 0, ..LaneLimits::default() }, Box::new(|_| ()));
        lanes.close();
        lanes
    }

    /// A slot for a delivery that is just being accepted. None if the process or the lane is full, if its
    /// endpoint counts as dead, or if rows of the lane wait in the table: then it queues behind them.
    #[must_use]
    pub fn reserve(&self, id: LaneId, now: Timestamp) -> Option<Slot> {
        let mut state = self.0.lock();
        state.accepted.note(now);
        let lane = state.lane(id, now)?;
        lane.accepted.note(now);
        if lane.waiting_since.is_some() || lane.wanted_since.is_some() || lane.next_probe_at().is_some() {
            return None;
        }
        self.take(&mut state, id, now).ok()
    }

    /// Up to `wanted` slots for rows that wait in the table, as many as one claim of this lane should have.
    #[must_use]
    pub fn reserve_waiting(&self, id: LaneId, wanted: usize, now: Timestamp) -> Reserved {
        let mut state = self.0.lock();
        let accepted = state.accepted.per_second(now);
        let share = |lane: &Lane| lane.share(&self.0.limits, accepted, now);
        let wanted = state.lanes.get(&id).map_or(wanted, |lane| lane.claim_size(share(lane)).min(wanted));
        let mut slots = Vec::new();
        while slots.len() < wanted {
            match self.take(&mut state, id, now) {
                Ok(slot) => slots.push(slot),
                Err(_) if !slots.is_empty() => break,
                Err(Refusal::Until(at)) => return Reserved::At(at),
                Err(refusal) => {
                    state.block(id, &refusal, now);
                    return Reserved::WhenFreed;
                }
            }
        }
        Reserved::Slots(slots)
    }

    /// Says that a row of the lane came into the table. Newcomers queue behind it, unless there is room for both.
    pub fn queued(&self, id: LaneId, now: Timestamp) {
        let mut state = self.0.lock();
        let accepted = state.accepted.per_second(now);
        if let Some(lane) = state.lane(id, now)
            && lane.room(now, lane.share(&self.0.limits, accepted, now)) != Room::Yes
        {
            lane.waiting_since.get_or_insert(now);
        }
    }

    /// Says whether more rows of the lane wait in the table than were just claimed.
    pub fn set_waiting(&self, id: LaneId, waiting: bool, now: Timestamp) {
        let mut state = self.0.lock();
        let waits = waiting && !state.closed;
        let lane = if waits { state.lane(id, now) } else { state.lanes.get_mut(&id) };
        if let Some(lane) = lane {
            lane.waiting_since = waits.then_some(lane.waiting_since.unwrap_or(now));
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

    /// How a lane stands. One that is not known may have what newcomers may.
    #[must_use]
    pub fn health(&self, id: LaneId, now: Timestamp) -> LaneHealth {
        let state = self.0.lock();
        let accepted = state.accepted.per_second(now);
        let unknown = Lane::new(now);
        let (lane, is_known) = state.lanes.get(&id).map_or((&unknown, false), |lane| (lane, true));
        LaneHealth {
            state: if is_known { lane.state(now) } else { LaneState::Open },
            in_flight: lane.in_flight,
            limit: lane.limit(now, lane.share(&self.0.limits, accepted, now)),
            next_probe_at: lane.next_probe_at(),
        }
    }

    /// The state of each lane that is known and not open.
    #[must_use]
    pub fn not_open(&self, now: Timestamp) -> HashMap<LaneId, LaneState> {
        let state = self.0.lock();
        let states = state.lanes.iter().map(|(id, lane)| (*id, lane.state(now)));
        states.filter(|(_, state)| *state != LaneState::Open).collect()
    }

    fn take(&self, state: &mut State, id: LaneId, now: Timestamp) -> Result<Slot, Refusal> {
        let limits = self.0.limits;
        let is_full = state.closed || state.in_flight >= limits.total || state.bytes >= limits.bytes;
        let is_unproven_full = state.unproven >= limits.unproven;
        let accepted = state.accepted.per_second(now);
        let Some(lane) = state.lane(id, now) else { return Err(Refusal::Until(now + CLEAN_UP)) };
        lane.share = lane.share(&limits, accepted, now);
        match lane.room(now, lane.share) {
            Room::WhenFreed => return Err(Refusal::LaneFull),
            Room::At(at) => return Err(Refusal::Until(at)),
            Room::Yes if is_full => return Err(Refusal::Full),
            Room::Yes if !lane.is_proven && is_unproven_full => return Err(Refusal::UnprovenFull),
            Room::Yes => {}
        }
        lane.take(now);
        let (unproven, is_probe) = (usize::from(!lane.is_proven), lane.next_probe_at().is_some());
        state.in_flight += 1;
        state.unproven += unproven;
        Ok(Slot { lanes: self.clone(), id, bytes: 0, is_probe, in_lane: true })
    }

    /// Gives back the lane's share of a slot, and learns from what came of it.
    fn leave_lane(&self, slot: &mut Slot, heard: Option<Heard>) {
        if !std::mem::take(&mut slot.in_lane) {
            return;
        }
        let limits = &self.0.limits;
        let freed = {
            let mut guard = self.0.lock();
            let state = &mut *guard;
            let Some(lane) = state.lanes.get_mut(&slot.id) else { return };
            let unproven_before = lane.unproven();
            lane.in_flight -= 1;
            if let Some(heard) = heard {
                lane.learn(heard, slot.is_probe, limits.per_lane);
            }
            state.unproven = state.unproven - unproven_before + lane.unproven();
            let own = lane.is_to_be_named(lane.share, heard.map(|heard| heard.at)).then_some(slot.id);
            lane.wanted_since = lane.wanted_since.filter(|_| own.is_none());
            let has_share = state.unproven < limits.unproven;
            [own, has_share.then(|| state.unblock(|state| &mut state.starved_unproven)).flatten()]
        };
        freed.into_iter().flatten().for_each(|id| (self.0.on_free)(id));
    }

    /// Gives back the process's share of a slot.
    fn leave_process(&self, slot: &Slot) {
        let freed = {
            let mut state = self.0.lock();
            state.in_flight -= 1;
            state.bytes -= slot.bytes;
            state.unblock(|state| &mut state.starved)
        };
        freed.into_iter().for_each(|id| (self.0.on_free)(id));
    }
}

/// Why there is no slot.
enum Refusal {
    /// The process has none.
    Full,
    /// Lanes that have not answered well have used up their share.
    UnprovenFull,
    /// The lane has none.
    LaneFull,
    /// The endpoint counts as dead.
    Until(Timestamp),
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A lane, made if it is not known. None if too many are, and all of them are in use.
    fn lane(&mut self, id: LaneId, now: Timestamp) -> Option<&mut Lane> {
        if self.lanes.len() >= REMEMBERED && !self.lanes.contains_key(&id) {
            if now >= self.clean_up_at {
                self.lanes.retain(|_, lane| !lane.is_idle());
                self.clean_up_at = now + CLEAN_UP;
            }
            if self.lanes.len() >= REMEMBERED {
                return None;
            }
        }
        Some(self.lanes.entry(id).or_insert_with(|| Lane::new(now)))
    }

    /// Keeps in mind that somebody waits for a slot of this lane.
    fn block(&mut self, id: LaneId, refusal: &Refusal, now: Timestamp) {
        let Some(lane) = self.lanes.get_mut(&id).filter(|_| !self.closed) else { return };
        let is_known = lane.wanted_since.is_some();
        lane.wanted_since.get_or_insert(now);
        match refusal {
            Refusal::Full if !is_known => self.starved.push_back(id),
            Refusal::UnprovenFull if !is_known => self.starved_unproven.push_back(id),
            _ => {}
        }
    }

    fn unblock(&mut self, line: impl Fn(&mut Self) -> &mut VecDeque<LaneId>) -> Option<LaneId> {
        let id = line(self).pop_front()?;
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.wanted_since = None;
        }
        Some(id)
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Lanes").field("in_flight", &state.in_flight).field("lanes", &state.lanes.len()).finish()
    }
}

#[cfg(test)]
mod tests;
