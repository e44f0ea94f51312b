//! Lanes: who may send how much at once, so that one bad endpoint hurts nobody else.
//!
//! A lane is (tenant, origin, path without query). Every request in flight holds a [`Slot`] of the
//! process and of its lane. How many a lane may hold follows how its endpoint answers; those that have
//! not answered well share a part of all slots, so that the others always find some.

mod lane;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::target_url::TargetUrl;
use crate::{TenantId, Timestamp};
pub use lane::{Answer, Heard, LaneState};
use lane::{Lane, Room};

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
    /// In all lanes together whose endpoints have not answered well the last time.
    pub unproven: usize,
    /// How many bytes of payloads the process may hold for them. A little more, if one claim brings
    /// large ones.
    pub bytes: usize,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self { total: 2048, per_lane: 256, unproven: 512, bytes: 128 * 1024 * 1024 }
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
        let lanes = Self::new(LaneLimits { total: 0, per_lane: 0, unproven: 0, bytes: 0 }, Box::new(|_| ()));
        lanes.close();
        lanes
    }

    /// A slot for a delivery that is just being accepted. None if the process or the lane is full, if its
    /// endpoint counts as dead, or if rows of the lane wait in the table: then it queues behind them.
    #[must_use]
    pub fn reserve(&self, id: LaneId, now: Timestamp) -> Option<Slot> {
        let mut state = self.0.lock();
        let queues = |lane: &Lane| lane.waiting || lane.blocked || lane.next_probe_at().is_some();
        if state.lanes.get(&id).is_some_and(queues) {
            return None;
        }
        self.take(&mut state, id, now).ok()
    }

    /// Up to `wanted` slots for rows that wait in the table.
    #[must_use]
    pub fn reserve_waiting(&self, id: LaneId, wanted: usize, now: Timestamp) -> Reserved {
        let mut state = self.0.lock();
        let mut slots = Vec::new();
        while slots.len() < wanted {
            match self.take(&mut state, id, now) {
                Ok(slot) => slots.push(slot),
                Err(_) if !slots.is_empty() => break,
                Err(Refusal::Until(at)) => return Reserved::At(at),
                Err(refusal) => {
                    state.block(id, &refusal);
                    return Reserved::WhenFreed;
                }
            }
        }
        Reserved::Slots(slots)
    }

    /// Says that a row of the lane came into the table. Newcomers queue behind it, unless there is room for both.
    pub fn queued(&self, id: LaneId, now: Timestamp) {
        let mut state = self.0.lock();
        if let Some(lane) = state.lane(id, now) {
            lane.waiting |= lane.room(now, self.0.limits.per_lane) != Room::Yes;
        }
    }

    /// Says whether more rows of the lane wait in the table than were just claimed.
    pub fn set_waiting(&self, id: LaneId, waiting: bool, now: Timestamp) {
        let mut state = self.0.lock();
        let waits = waiting && !state.closed;
        let lane = if waits { state.lane(id, now) } else { state.lanes.get_mut(&id) };
        if let Some(lane) = lane {
            lane.waiting = waits;
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
        let most = self.0.limits.per_lane;
        let state = self.0.lock();
        let unknown = Lane::new(now);
        let (lane, is_known) = state.lanes.get(&id).map_or((&unknown, false), |lane| (lane, true));
        LaneHealth {
            state: if is_known { lane.state(now) } else { LaneState::Open },
            in_flight: lane.in_flight,
            limit: lane.limit(now, most),
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
        let Some(lane) = state.lane(id, now) else { return Err(Refusal::Until(now + CLEAN_UP)) };
        match lane.room(now, limits.per_lane) {
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
        let most = self.0.limits.per_lane;
        let freed = {
            let mut guard = self.0.lock();
            let state = &mut *guard;
            let Some(lane) = state.lanes.get_mut(&slot.id) else { return };
            let unproven_before = lane.unproven();
            lane.in_flight -= 1;
            if let Some(heard) = heard {
                lane.learn(heard, slot.is_probe, most);
            }
            state.unproven = state.unproven - unproven_before + lane.unproven();
            let own = lane.is_to_be_named(most).then_some(slot.id);
            lane.blocked &= own.is_none();
            let has_share = state.unproven < self.0.limits.unproven;
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
    fn block(&mut self, id: LaneId, refusal: &Refusal) {
        let Some(lane) = self.lanes.get_mut(&id).filter(|_| !self.closed) else { return };
        let is_known = std::mem::replace(&mut lane.blocked, true);
        match refusal {
            Refusal::Full if !is_known => self.starved.push_back(id),
            Refusal::UnprovenFull if !is_known => self.starved_unproven.push_back(id),
            _ => {}
        }
    }

    fn unblock(&mut self, line: impl Fn(&mut Self) -> &mut VecDeque<LaneId>) -> Option<LaneId> {
        let id = line(self).pop_front()?;
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.blocked = false;
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

/// The right to have one request in flight. The lane's share is given back when its end is heard of, the
/// process's share when this is dropped: what came of the request is held until it is recorded.
pub struct Slot {
    lanes: Lanes,
    id: LaneId,
    bytes: usize,
    is_probe: bool,
    /// Whether the lane's share is still held.
    in_lane: bool,
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

    /// Whether it is to find out if a dead endpoint lives again.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// Says what came of the request.
    pub fn heard(&mut self, heard: Heard) {
        self.lanes.clone().leave_lane(self, Some(heard));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let lanes = self.lanes.clone();
        lanes.leave_lane(self, None);
        lanes.leave_process(self);
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

    use uuid::Uuid;

    use super::*;

    const A: LaneId = LaneId(1);
    const B: LaneId = LaneId(2);
    const NOW: Timestamp = Timestamp::from_micros(0);

    fn lanes(total: usize, per_lane: usize) -> (Lanes, mpsc::Receiver<LaneId>) {
        lanes_with(LaneLimits { total, per_lane, unproven: total, bytes: 100 })
    }

    fn lanes_with(limits: LaneLimits) -> (Lanes, mpsc::Receiver<LaneId>) {
        let (freed, heard) = mpsc::channel();
        let on_free = Box::new(move |id| freed.send(id).expect("the test listens"));
        (Lanes::new(limits, on_free), heard)
    }

    fn slots(reserved: Reserved) -> Vec<Slot> {
        if let Reserved::Slots(slots) = reserved { slots } else { Vec::new() }
    }

    fn told(answer: Answer, n: usize, at: Timestamp) -> Heard {
        Heard { answer, delivery_id: Uuid::from_u128(n as u128).into(), at }
    }

    fn fail(lanes: &Lanes, id: LaneId, times: usize) {
        for n in 0..times {
            let mut slot = lanes.reserve(id, NOW).expect("a slot");
            slot.heard(told(Answer::None, n, NOW));
        }
    }

    #[test]
    fn a_full_lane_leaves_room_for_others() {
        let (lanes, heard) = lanes(3, 2);
        let first = slots(lanes.reserve_waiting(A, 5, NOW));
        assert_eq!(first.len(), 2);
        assert!(lanes.reserve(A, NOW).is_none());
        let other = lanes.reserve(B, NOW);
        assert!(other.is_some());
        assert!(matches!(lanes.reserve_waiting(A, 1, NOW), Reserved::WhenFreed));
        drop(other);
        assert!(heard.try_recv().is_err(), "the lane itself is full");
        drop(first);
        assert_eq!(heard.try_recv(), Ok(A));
        assert!(heard.try_recv().is_err(), "told once");
    }

    #[test]
    fn whoever_starved_first_is_told_first() {
        let (lanes, heard) = lanes(1, 1);
        let slot = lanes.reserve(LaneId(0), NOW);
        for id in [A, B, A] {
            assert!(matches!(lanes.reserve_waiting(id, 1, NOW), Reserved::WhenFreed));
        }
        drop(slot);
        assert_eq!(heard.try_recv(), Ok(A));
        assert!(heard.try_recv().is_err());
        drop(lanes.reserve_waiting(A, 1, NOW));
        assert_eq!(heard.try_recv(), Ok(B));
    }

    #[test]
    fn newcomers_queue_behind_waiting_rows() {
        let (lanes, _heard) = lanes(2, 2);
        lanes.set_waiting(A, true, NOW);
        assert!(lanes.reserve(A, NOW).is_none());
        assert_eq!(slots(lanes.reserve_waiting(A, 1, NOW)).len(), 1);
        lanes.set_waiting(A, false, NOW);
        assert!(lanes.reserve(A, NOW).is_some());
    }

    #[test]
    fn no_more_lanes_are_remembered_than_there_is_room_for() {
        let (lanes, _heard) = lanes(2, 1);
        let busy = lanes.reserve(A, NOW);
        for n in 0..=i64::try_from(REMEMBERED).expect("small") {
            drop(lanes.reserve(LaneId(n), NOW));
        }
        assert!(lanes.0.lock().lanes.len() <= REMEMBERED);
        assert_eq!(lanes.health(A, NOW).in_flight, 1);
        drop(busy);
        assert_eq!(lanes.in_flight(), 0);
        (0..).map(LaneId).take(2 * REMEMBERED).for_each(|id| lanes.set_waiting(id, true, NOW + CLEAN_UP));
        assert_eq!(lanes.0.lock().lanes.len(), REMEMBERED);
        let unknown = lanes.reserve_waiting(LaneId(-1), 1, NOW + CLEAN_UP);
        assert!(matches!(unknown, Reserved::At(at) if at == NOW + CLEAN_UP + CLEAN_UP), "{unknown:?}");
    }

    #[test]
    fn large_payloads_leave_no_room() {
        let (lanes, heard) = lanes(9, 9);
        let large = lanes.reserve(A, NOW).map(|slot| slot.holding(100));
        assert!(lanes.reserve(B, NOW).is_none());
        assert!(matches!(lanes.reserve_waiting(B, 1, NOW), Reserved::WhenFreed));
        drop(large);
        assert_eq!(heard.try_recv(), Ok(B));
        assert!(lanes.reserve(B, NOW).is_some());
    }

    #[test]
    fn endpoints_that_do_not_answer_share_a_part() {
        let (lanes, heard) = lanes_with(LaneLimits { total: 9, per_lane: 9, unproven: 2, bytes: 100 });
        let mut well = lanes.reserve(A, NOW).expect("a slot");
        well.heard(told(Answer::Well, 1, NOW));
        drop(well);
        let hanging = [lanes.reserve(B, NOW), lanes.reserve(B, NOW)];
        assert!(hanging.iter().all(Option::is_some));
        assert!(matches!(lanes.reserve_waiting(LaneId(3), 1, NOW), Reserved::WhenFreed));
        assert_eq!(slots(lanes.reserve_waiting(A, 7, NOW)).len(), 7, "what answers has all the rest");
        assert!(heard.try_recv().is_err());
        drop(hanging);
        assert_eq!(heard.try_recv(), Ok(LaneId(3)));
        assert_eq!(lanes.0.lock().unproven, 0);
    }

    #[test]
    fn a_dead_endpoint_is_probed_by_what_waits_the_longest() {
        let (lanes, heard) = lanes(500, 200);
        fail(&lanes, A, lane::DEAD_AFTER);
        let health = lanes.health(A, NOW);
        let first = NOW + lane::FIRST_INTERVAL;
        assert_eq!((health.state, health.limit, health.next_probe_at), (LaneState::Probing, 1, Some(first)));
        assert_eq!(lanes.not_open(NOW), HashMap::from([(A, LaneState::Probing)]));
        assert!(lanes.reserve(A, first).is_none(), "newcomers queue");
        assert!(matches!(lanes.reserve_waiting(A, 9, NOW), Reserved::At(at) if at == first));
        let mut probes = slots(lanes.reserve_waiting(A, 9, first));
        assert_eq!(probes.len(), 1);
        let mut probe = probes.remove(0);
        assert!(probe.is_probe());
        assert!(matches!(lanes.reserve_waiting(A, 9, first), Reserved::WhenFreed));
        probe.heard(told(Answer::Well, 0, first));
        drop(probe);
        assert_eq!(heard.try_recv(), Ok(A));
        assert_eq!(lanes.health(A, first).state, LaneState::Open);
        assert_eq!(slots(lanes.reserve_waiting(A, 9, first)).len(), 9);
    }

    #[test]
    fn an_answer_gives_the_lane_its_share_back() {
        let (lanes, heard) = lanes(2, 1);
        let mut first = lanes.reserve(A, NOW).expect("a slot");
        lanes.queued(A, NOW);
        assert!(matches!(lanes.reserve_waiting(A, 1, NOW), Reserved::WhenFreed));
        first.heard(told(Answer::Well, 1, NOW));
        assert_eq!((heard.try_recv(), lanes.in_flight()), (Ok(A), 1));
        assert!(lanes.reserve(A, NOW).is_none(), "a row waits");
        assert_eq!(slots(lanes.reserve_waiting(A, 5, NOW)).len(), 1);
        drop(first);
        assert_eq!(lanes.in_flight(), 0);
    }

    #[test]
    fn rows_are_claimed_many_at_a_time() {
        let (lanes, heard) = lanes(99, 16);
        let mut taken = slots(lanes.reserve_waiting(A, 99, NOW));
        assert!(matches!(lanes.reserve_waiting(A, 1, NOW), Reserved::WhenFreed));
        taken.truncate(13);
        assert!(heard.try_recv().is_err(), "a few slots are not worth a claim");
        taken.truncate(12);
        assert_eq!(heard.try_recv(), Ok(A));
    }

    #[test]
    fn what_finds_room_queues_behind_nothing() {
        let (lanes, _heard) = lanes(9, 9);
        lanes.queued(A, NOW);
        assert!(lanes.reserve(A, NOW).is_some());
    }

    #[test]
    fn closed_gives_nothing() {
        let (lanes, _heard) = lanes(2, 2);
        lanes.close();
        assert!(lanes.reserve(A, NOW).is_none());
        assert!(matches!(lanes.reserve_waiting(A, 1, NOW), Reserved::WhenFreed));
        assert!(Lanes::none().reserve(A, NOW).is_none());
    }
}
