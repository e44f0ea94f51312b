//! How many deliveries are accepted a second.

use crate::Timestamp;

const SECOND_MICROS: i64 = 1_000_000;

/// An event may be so many seconds older than one before it: it waited. If it is older still, the clock was set back.
const LATEST: i64 = -10;

/// Counts them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Accepted {
    second: i64,
    /// In that second, so far.
    current: usize,
    /// In the one before.
    before: usize,
}

impl Accepted {
    /// One more came.
    pub(super) fn note(&mut self, now: Timestamp) {
        *self = self.at(now);
        self.current += 1;
    }

    /// How many came within the last second, as if those of the second before had come evenly.
    pub(super) fn per_second(&self, now: Timestamp) -> usize {
        let Self { current, before, .. } = self.at(now);
        let left = SECOND_MICROS - now.as_micros().rem_euclid(SECOND_MICROS);
        current + before * usize::try_from(left).unwrap_or(0) / 1_000_000
    }

    /// The same in the second of `now`. What comes a little late counts as if it came now.
    fn at(self, now: Timestamp) -> Self {
        let second = now.as_micros().div_euclid(SECOND_MICROS);
        match second - self.second {
            LATEST..=0 => self,
            1 => Self { second, current: 0, before: self.current },
            _ => Self { second, current: 0, before: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    #[test]
    fn what_came_counts_for_a_second() {
        let mut accepted = Accepted::default();
        (0..100).for_each(|_| accepted.note(at(5500)));
        let counted = [5500, 6000, 6250, 6999, 7000, 100_000].map(|millis| accepted.per_second(at(millis)));
        assert_eq!(counted, [100, 100, 75, 0, 0, 0]);
        accepted.note(at(6500));
        assert_eq!(accepted.per_second(at(6500)), 51);
    }

    #[test]
    fn what_is_late_counts_and_a_clock_set_back_begins_anew() {
        let mut accepted = Accepted::default();
        accepted.note(at(5_000_000));
        accepted.note(at(4_999_000));
        assert_eq!(accepted.per_second(at(5_000_500)), 2);
        accepted.note(at(1_400_000));
        assert_eq!(accepted.per_second(at(1_400_000)), 1);
    }
}
