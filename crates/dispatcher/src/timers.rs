//! When which lane has something due. The rows are the truth; this only saves looking.

use std::collections::BTreeSet;

use postrider_core::Timestamp;
use postrider_core::lanes::LaneId;

/// Most times kept. Beyond, the latest are forgotten: a sweep finds them again.
const CAPACITY: usize = 100_000;

/// Times at which lanes may have rows to claim.
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Timestamp, LaneId)>);

impl Timers {
    pub(crate) fn set(&mut self, at: Timestamp, lane: LaneId) {
        self.0.insert((at, lane));
        if self.0.len() > CAPACITY {
            self.0.pop_last();
        }
    }

    /// The earliest time.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes out the lanes whose time has come.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<LaneId> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            due.extend(self.0.pop_first().map(|(_, lane)| lane));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_lanes_in_the_order_of_their_times() {
        let at = Timestamp::from_micros;
        let mut timers = Timers::default();
        timers.set(at(3), LaneId(1));
        timers.set(at(1), LaneId(2));
        timers.set(at(1), LaneId(2));
        timers.set(at(2), LaneId(1));
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.take_due(at(2)), [LaneId(2), LaneId(1)]);
        assert_eq!(timers.take_due(at(2)), []);
        assert_eq!(timers.take_due(at(9)), [LaneId(1)]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn forgets_the_latest_when_full() {
        let mut timers = Timers::default();
        for micros in 0..=i64::try_from(CAPACITY).expect("small") {
            timers.set(Timestamp::from_micros(micros), LaneId(0));
        }
        assert_eq!(timers.0.len(), CAPACITY);
        assert_eq!(timers.next(), Some(Timestamp::from_micros(0)));
    }
}
