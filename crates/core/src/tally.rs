//! What happened in a minute or an hour, counted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::attempt::AttemptOutcome;

/// How long the time is that one tally counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// 60 s.
    Minute,
    /// 3,600 s.
    Hour,
}

impl Width {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }

    /// The widest that a step is made of.
    #[must_use]
    pub const fn for_step(seconds: i64) -> Self {
        if seconds % Self::Hour.seconds() == 0 { Self::Hour } else { Self::Minute }
    }
}

/// The beginning of the time of so many seconds that `at` is in, counted from 1970.
#[must_use]
pub const fn begin_of(at: Timestamp, seconds: i64) -> Timestamp {
    let micros = seconds * 1_000_000;
    Timestamp::from_micros(at.as_micros().div_euclid(micros) * micros)
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Events that were accepted; of a tenant, or all.
    #[serde(rename = "e", default, skip_serializing_if = "is_zero")]
    pub events: i64,
    /// Deliveries that ended failed.
    #[serde(rename = "f", default, skip_serializing_if = "is_zero")]
    pub failed: i64,
    /// Attempts by the code of their outcome.
    #[serde(rename = "a", default, skip_serializing_if = "BTreeMap::is_empty")]
    attempts: BTreeMap<i64, i64>,
    /// How long all attempts took together, in microseconds.
    #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
    pub attempts_us: i64,
    /// From an event's publication, or its being sent again, to the end of the attempt that delivered it.
    #[serde(rename = "l", default, skip_serializing_if = "Histogram::is_empty")]
    pub latency: Histogram,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
const fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl Tally {
    /// Counts an attempt that took so many microseconds.
    pub fn attempt(&mut self, outcome: AttemptOutcome, took_us: i64) {
        *self.attempts.entry(outcome.code()).or_default() += 1;
        self.attempts_us += took_us;
    }

    /// Attempts that ended so.
    #[must_use]
    pub fn attempts_with(&self, outcome: AttemptOutcome) -> i64 {
        self.attempts.get(&outcome.code()).copied().unwrap_or(0)
    }

    /// Attempts that delivered.
    #[must_use]
    pub fn delivered(&self) -> i64 {
        self.attempts_with(AttemptOutcome::Success)
    }

    /// All attempts.
    #[must_use]
    pub fn attempts(&self) -> i64 {
        self.attempts.values().sum()
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.failed += other.failed;
        self.attempts_us += other.attempts_us;
        for (code, count) in &other.attempts {
            *self.attempts.entry(*code).or_default() += count;
        }
        self.latency.add(&other.latency);
    }
}

/// How many times took how long, to within a tenth of the time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(BTreeMap<u8, i64>);

/// The shortest that is told apart, in microseconds.
const SHORTEST_US: f64 = 100.0;
/// Places for each doubling of time.
const PER_DOUBLING: f64 = 4.0;

impl Histogram {
    /// Counts one.
    pub fn note(&mut self, time: Duration) {
        *self.0.entry(place_of(time)).or_default() += 1;
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        for (place, count) in &other.0 {
            *self.0.entry(*place).or_default() += count;
        }
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A time that this share of all took no longer than, from 0 to 1; `None` of nothing.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "counts are far below 2^53, and a share of one is no more than it"
    )]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total: i64 = self.0.values().sum();
        let rank = ((total as f64 * share).ceil() as i64).max(1);
        let mut seen = 0;
        self.0.iter().find_map(|(place, count)| {
            seen += count;
            (seen >= rank).then(|| middle_of(*place))
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped before it is cast"
)]
fn place_of(time: Duration) -> u8 {
    let doublings = (time.as_micros() as f64 / SHORTEST_US).max(1.0).log2();
    (doublings * PER_DOUBLING).floor().clamp(0.0, f64::from(u8::MAX)) as u8
}

fn middle_of(place: u8) -> Duration {
    let doublings = (f64::from(place) + 0.5) / PER_DOUBLING;
    Duration::from_secs_f64(SHORTEST_US / 1e6 * doublings.exp2())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_begin_where_clocks_say_so() {
        let at = |text: &str| Timestamp::parse(text).expect("a time");
        assert_eq!(begin_of(at("2026-01-19T10:30:59.9Z"), 60), at("2026-01-19T10:30:00Z"));
        assert_eq!(begin_of(at("2026-01-19T10:30:59.9Z"), 3600), at("2026-01-19T10:00:00Z"));
        assert_eq!(
            [60, 90, 3600, 86_400].map(Width::for_step),
            [Width::Minute, Width::Minute, Width::Hour, Width::Hour]
        );
    }

    #[test]
    fn quantiles_of_what_was_noted() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        (1..=100).for_each(|n| histogram.note(Duration::from_millis(n)));
        let millis = |share| histogram.quantile(share).expect("some").as_secs_f64() * 1000.0;
        assert!((45.0..=55.0).contains(&millis(0.5)), "{}", millis(0.5));
        assert!((90.0..=108.0).contains(&millis(0.99)), "{}", millis(0.99));
        assert!(millis(0.0) < 1.1 && millis(1.0) > 90.0);
    }

    #[test]
    fn a_tally_is_kept_as_text() {
        let mut tally = Tally { events: 2, ..Tally::default() };
        tally.attempt(AttemptOutcome::Timeout, 1_000);
        tally.latency.note(Duration::from_millis(5));
        let text = serde_json::to_string(&tally).expect("JSON");
        assert_eq!(text, r#"{"e":2,"a":{"2":1},"t":1000,"l":{"22":1}}"#);
        assert_eq!(serde_json::from_str::<Tally>(&text).expect("read"), tally);
    }

    proptest! {
        #[test]
        fn a_time_is_known_to_within_a_tenth(micros in 100_u64..1_000_000_000) {
            let mut histogram = Histogram::default();
            histogram.note(Duration::from_micros(micros));
            let found = histogram.quantile(0.5).expect("one").as_secs_f64() * 1e6;
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let ratio = found / micros as f64;
            prop_assert!((0.9..=1.1).contains(&ratio), "{micros} became {found}");
        }

        #[test]
        fn adding_is_counting_together(first in prop::collection::vec(0_u64..100_000, 0..20), second in prop::collection::vec(0_u64..100_000, 0..20)) {
            let count = |times: &[u64]| {
                let mut tally = Tally::default();
                for time in times {
                    tally.attempt(AttemptOutcome::Success, 1);
                    tally.latency.note(Duration::from_micros(*time));
                }
                tally
            };
            let mut sum = count(&first);
            sum.add(&count(&second));
            prop_assert_eq!(sum, count(&[first, second].concat()));
        }
    }
}
