//! One lane: how much it may have in flight, by how its endpoint answers.
//!
//! ```text
//!         answers                     no answer, or overloaded
//!  OPEN ◀──────────────────────────▶ LIMITED ◀───────────┐
//!                                       │ no answer to     │ a probe is
//!                                       ▼ many deliveries  │ answered
//!                                    PROBING: one an interval
//! ```

use std::collections::HashSet;
use std::time::Duration;

use super::LaneLimits;
use super::accepted::Accepted;
use crate::attempt::Exchange;
use crate::{DeliveryId, Timestamp};

/// What a lane that nobody knows anything about may have in flight, and one that is silent.
pub(super) const START: usize = 32;
/// What a lane may always have in flight, unless it is probed.
const LEAST: usize = 4;
/// How long requests may be without any answer before no more than [`START`] are sent.
const SILENCE: Duration = Duration::from_secs(1);
/// How long freed slots are gathered for one claim, while less than a quarter is free.
pub(super) const GATHER: Duration = Duration::from_millis(2);
/// Rows that one claim may always be of.
pub(super) const SMALL_CLAIM: usize = 4;
/// How long a slot is held beside the answer: while its row is claimed, and until somebody has time for it.
const BESIDE_ANSWER: Duration = Duration::from_millis(10);
/// So many times as fast as more comes, what waits may be sent beside others.
const CATCH_UP: usize = 4;
/// After so long with rows that wait, the pace doubles, and again: whatever comes for a lane, it does not fall behind for ever.
const PATIENCE: Duration = Duration::from_secs(60);
/// Fewer deliveries a second than this to all others hold nobody back.
const FEW: usize = 10;
/// Different deliveries that must go unanswered in a row before an endpoint counts as dead. So many that a
/// receiver with a bad minute is tried exactly as its schedule says.
pub(super) const DEAD_AFTER: usize = 100;
/// Between the first two probes of a dead endpoint; then twice as long each time, up to the longest.
pub(super) const FIRST_INTERVAL: Duration = Duration::from_secs(5);
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// What a request says of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It answered, and not that it is in trouble: any status below 500 but 429.
    Well,
    /// It answered that it is in trouble: 429 or 5xx.
    Overloaded,
    /// It did not answer.
    None,
}

impl Answer {
    /// What an exchange says.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Self {
        match exchange.status() {
            None => Self::None,
            Some(429 | 500..) => Self::Overloaded,
            Some(_) => Self::Well,
        }
    }
}

/// What came of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What it says of the endpoint.
    pub answer: Answer,
    /// What was sent.
    pub delivery_id: DeliveryId,
    /// When it ended.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
}

/// How a lane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneState {
    /// Its endpoint answers.
    Open,
    /// Its endpoint is slow, in trouble or not known yet: little is sent at once.
    Limited,
    /// Its endpoint counts as dead: one delivery is tried now and then.
    Probing,
}

impl LaneState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Open, Self::Limited, Self::Probing];

    /// Its name in the API and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Limited => "limited",
            Self::Probing => "probing",
        }
    }
}

/// When a dead endpoint is tried.
#[derive(Clone, Copy, Debug)]
struct Probe {
    next_at: Timestamp,
    interval: Duration,
}

/// Whether a lane may send one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It may.
    Yes,
    /// When one of those in flight is done.
    WhenFreed,
    /// When the time has come for a probe.
    At(Timestamp),
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) in_flight: usize,
    /// Since when rows wait in the table: newcomers queue behind them.
    pub(super) waiting_since: Option<Timestamp>,
    /// Since when somebody wants a slot and gets none.
    pub(super) wanted_since: Option<Timestamp>,
    /// Whether it answered well the last time, so that its slots are its own.
    pub(super) is_proven: bool,
    /// Deliveries to it, sent at once or not.
    pub(super) accepted: Accepted,
    /// What it might have in flight when it was last asked.
    pub(super) share: usize,
    limit: usize,
    /// When it last answered, or had nothing in flight.
    heard_at: Timestamp,
    /// How long its answers take, of late. Zero if that is not known.
    answers_in: Duration,
    /// Different deliveries that were not answered, in a row.
    unanswered: HashSet<DeliveryId>,
    probe: Option<Probe>,
}

impl Lane {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            in_flight: 0,
            waiting_since: None,
            share: START,
            wanted_since: None,
            is_proven: false,
            accepted: Accepted::default(),
            limit: START,
            heard_at: now,
            answers_in: Duration::ZERO,
            unanswered: HashSet::new(),
            probe: None,
        }
    }

    pub(super) fn state(&self, now: Timestamp) -> LaneState {
        match self.probe {
            Some(_) => LaneState::Probing,
            None if self.is_proven && !self.is_silent(now) => LaneState::Open,
            None => LaneState::Limited,
        }
    }

    /// How many requests it may have in flight, of `most` that any may have.
    pub(super) fn limit(&self, now: Timestamp, most: usize) -> usize {
        match self.probe {
            Some(_) => 1.min(most),
            None if self.is_silent(now) => self.limit.min(START).min(most),
            None => self.limit.min(most),
        }
    }

    /// How many it may have in flight, however well its endpoint answers, while so many deliveries a second are accepted for
    /// all lanes. Beside others, as many as keep a pace; or more, if its answers are quick: as many as a lane that nobody
    /// knows if they take no time, and the fewer the longer they take.
    pub(super) fn share(&self, limits: &LaneLimits, accepted: usize, now: Timestamp) -> usize {
        let own = self.accepted.per_second(now);
        if accepted < own + FEW {
            return limits.per_lane;
        }
        let waits = self.waiting_since.map_or(Duration::ZERO, |since| now.since(since));
        let doublings = waits.as_secs() / PATIENCE.as_secs();
        let pace = (limits.pace_beside << doublings.min(16)).max(own * CATCH_UP);
        let held = (BESIDE_ANSWER + self.answers_in).as_micros();
        let keep_pace = pace as u128 * held / 1_000_000;
        let are_quick = START as u128 * BESIDE_ANSWER.as_micros() / held;
        usize::try_from(keep_pace.max(are_quick)).unwrap_or(usize::MAX).max(LEAST).min(limits.per_lane)
    }

    pub(super) fn next_probe_at(&self) -> Option<Timestamp> {
        self.probe.map(|probe| probe.next_at)
    }

    pub(super) fn room(&self, now: Timestamp, most: usize) -> Room {
        match self.probe {
            Some(probe) if self.in_flight == 0 && probe.next_at > now => Room::At(probe.next_at),
            _ if self.in_flight < self.limit(now, most) => Room::Yes,
            _ => Room::WhenFreed,
        }
    }

    /// One more is in flight.
    pub(super) fn take(&mut self, now: Timestamp) {
        if self.in_flight == 0 {
            self.heard_at = now;
        }
        self.in_flight += 1;
    }

    /// Learns from what came of one request.
    pub(super) fn learn(&mut self, heard: Heard, is_probe: bool, most: usize) {
        let Heard { answer, delivery_id, at, took } = heard;
        self.is_proven = answer == Answer::Well;
        if answer == Answer::None {
            self.limit = (self.limit / 2).max(LEAST);
            return self.miss(delivery_id, is_probe, at);
        }
        self.heard_at = at;
        self.answers_in = if self.answers_in.is_zero() { took } else { (self.answers_in * 7 + took) / 8 };
        self.unanswered.clear();
        if self.probe.take().is_some() {
            self.limit = START;
        }
        self.limit = match answer {
            Answer::Well => (self.limit + 1).min(most),
            _ => (self.limit - self.limit.div_ceil(8)).max(LEAST),
        };
    }

    /// A request was not answered.
    fn miss(&mut self, delivery_id: DeliveryId, is_probe: bool, now: Timestamp) {
        self.unanswered.insert(delivery_id);
        let interval = match self.probe {
            Some(probe) if is_probe => (probe.interval * 2).min(LONGEST_INTERVAL),
            None if self.unanswered.len() >= DEAD_AFTER => FIRST_INTERVAL,
            // Sent before it counted as dead, or too few.
            _ => return,
        };
        self.unanswered = HashSet::new();
        self.probe = Some(Probe { next_at: now + interval, interval });
    }

    /// How much it takes of what unproven lanes share.
    pub(super) const fn unproven(&self) -> usize {
        if self.is_proven { 0 } else { self.in_flight }
    }

    /// Rows of one claim: as many as come free while slots are gathered, and as many again. Of a fast endpoint that is
    /// many, which cost less together; what goes to a slow one at once is answered at once, and would hold up others
    /// again and again.
    pub(super) fn claim_size(&self, most: usize) -> usize {
        let share = 2 * GATHER.as_micros() * self.limit.min(most) as u128 / self.answers_in.as_micros().max(1);
        usize::try_from(share).unwrap_or(usize::MAX).max(SMALL_CLAIM)
    }

    /// Whether it is time to claim for those who want a slot: with a quarter free, so that a claim is of many, or
    /// with few after a moment.
    pub(super) fn is_to_be_named(&self, most: usize, now: Option<Timestamp>) -> bool {
        let Some(since) = self.wanted_since else { return false };
        let limit = self.limit.min(most);
        let free = limit.saturating_sub(self.in_flight);
        let enough = if now.is_some_and(|now| now.since(since) >= GATHER) { 1 } else { (limit / 4).max(1) };
        self.in_flight == 0 || free >= enough.min(self.claim_size(most))
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.waiting_since.is_none() && self.wanted_since.is_none()
    }

    fn is_silent(&self, now: Timestamp) -> bool {
        self.in_flight > 0 && now.since(self.heard_at) > SILENCE
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MOST: usize = 256;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    fn delivery(n: usize) -> DeliveryId {
        DeliveryId::from(Uuid::from_u128(n as u128))
    }

    fn learn(lane: &mut Lane, answer: Answer, n: usize, now: Timestamp) {
        let is_probe = lane.probe.is_some();
        lane.learn(Heard { answer, delivery_id: delivery(n), at: now, took: Duration::ZERO }, is_probe, MOST);
    }

    fn dead(now: Timestamp) -> Lane {
        let mut lane = Lane::new(now);
        (0..DEAD_AFTER).for_each(|n| learn(&mut lane, Answer::None, n, now));
        lane
    }

    #[test]
    fn answers_let_it_grow_and_silence_halves_it() {
        let mut lane = Lane::new(at(0));
        assert_eq!((lane.state(at(0)), lane.limit(at(0), MOST)), (LaneState::Limited, START));
        (0..MOST).for_each(|n| learn(&mut lane, Answer::Well, n, at(1)));
        assert_eq!((lane.state(at(1)), lane.limit(at(1), MOST)), (LaneState::Open, MOST));
        learn(&mut lane, Answer::None, 0, at(2));
        assert_eq!((lane.state(at(2)), lane.limit(at(2), MOST)), (LaneState::Limited, MOST / 2));
        learn(&mut lane, Answer::Overloaded, 0, at(2));
        assert_eq!(lane.limit(at(2), MOST), MOST / 2 - MOST / 16);
        (0..99).for_each(|_| learn(&mut lane, Answer::None, 0, at(3)));
        assert_eq!((lane.state(at(3)), lane.limit(at(3), MOST)), (LaneState::Limited, LEAST), "one delivery only");
        learn(&mut lane, Answer::Well, 0, at(4));
        assert_eq!(lane.state(at(4)), LaneState::Open);
    }

    #[test]
    fn a_silent_endpoint_gets_no_more_long_before_its_timeouts() {
        let mut lane = Lane::new(at(0));
        (0..MOST).for_each(|n| learn(&mut lane, Answer::Well, n, at(0)));
        (0..START).for_each(|_| lane.take(at(0)));
        assert_eq!(lane.room(at(1000), MOST), Room::Yes);
        assert_eq!((lane.room(at(1001), MOST), lane.state(at(1001))), (Room::WhenFreed, LaneState::Limited));
        learn(&mut lane, Answer::Well, 0, at(1500));
        assert_eq!((lane.room(at(1501), MOST), lane.state(at(1501))), (Room::Yes, LaneState::Open));
    }

    #[test]
    fn a_dead_endpoint_gets_one_an_interval() {
        let mut lane = dead(at(0));
        assert_eq!((lane.state(at(0)), lane.room(at(0), MOST)), (LaneState::Probing, Room::At(at(5000))));
        assert_eq!(lane.room(at(5000), MOST), Room::Yes);
        let late = Heard { answer: Answer::None, delivery_id: delivery(0), at: at(1), took: Duration::ZERO };
        lane.learn(late, false, MOST);
        assert_eq!(lane.next_probe_at(), Some(at(5000)), "what was sent before changes nothing");
        lane.take(at(5000));
        assert_eq!(lane.room(at(5000), MOST), Room::WhenFreed);
        lane.in_flight = 0;
        learn(&mut lane, Answer::None, 0, at(6000));
        assert_eq!(lane.room(at(6000), MOST), Room::At(at(16_000)));
        for _ in 0..9 {
            learn(&mut lane, Answer::None, 0, at(6000));
        }
        assert_eq!(lane.next_probe_at(), Some(at(66_000)), "the longest interval");
        learn(&mut lane, Answer::Well, 0, at(66_000));
        assert_eq!((lane.state(at(66_000)), lane.limit(at(66_000), MOST)), (LaneState::Open, START + 1));
    }

    #[test]
    fn the_slower_the_answers_the_smaller_the_claims() {
        let mut lane = Lane::new(at(0));
        assert!(lane.claim_size(MOST) > MOST, "nothing is known");
        let mut hear = |millis| {
            for n in 0..MOST {
                let took = Duration::from_millis(millis);
                lane.learn(Heard { answer: Answer::Well, delivery_id: delivery(n), at: at(0), took }, false, MOST);
            }
            lane.claim_size(MOST)
        };
        assert_eq!([1, 16, 100, 5000].map(&mut hear), [MOST * 4, MOST / 4, 10, SMALL_CLAIM]);
    }

    #[test]
    fn beside_others_a_slow_endpoint_catches_up_at_a_pace() {
        let limits = LaneLimits { per_lane: MOST, pace_beside: 500, ..LaneLimits::default() };
        let mut lane = Lane::new(at(0));
        let mut share = |millis, own: usize, accepted| {
            (lane.answers_in, lane.accepted) = (Duration::from_millis(millis), Accepted::default());
            (0..own).for_each(|_| lane.accepted.note(at(1)));
            lane.share(&limits, accepted, at(1))
        };
        assert_eq!([(100, 0), (100, 7), (5000, 9)].map(|(millis, own)| share(millis, own, own)), [MOST; 3], "alone");
        assert_eq!([9, 10].map(|others| share(100, 0, others)), [MOST, 55]);
        assert_eq!([0, 10, 100, 200, 5000].map(|millis| share(millis, 0, 10)), [START, START / 2, 55, 105, MOST]);
        assert_eq!(
            [125, 200, 1000].map(|own| share(100, own, 2000)),
            [55, 88, MOST],
            "as fast as more comes, and faster"
        );
    }

    #[test]
    fn the_longer_rows_wait_the_faster_a_lane_catches_up() {
        let limits = LaneLimits { per_lane: MOST, pace_beside: 500, ..LaneLimits::default() };
        let lane = Lane { answers_in: Duration::from_millis(100), waiting_since: Some(at(0)), ..Lane::new(at(0)) };
        let shares = [59, 60, 120, 180, 1 << 40].map(|seconds| lane.share(&limits, 10, at(seconds * 1000)));
        assert_eq!(shares, [55, 110, 220, MOST, MOST]);
    }

    #[test]
    fn any_answer_interrupts_the_row() {
        let mut lane = Lane::new(at(0));
        for n in 0..DEAD_AFTER - 1 {
            learn(&mut lane, Answer::None, n, at(0));
        }
        learn(&mut lane, Answer::Overloaded, 0, at(0));
        learn(&mut lane, Answer::None, DEAD_AFTER, at(0));
        assert_eq!(lane.state(at(0)), LaneState::Limited);
    }
}
