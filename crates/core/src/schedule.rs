//! When a failed delivery is tried again.

use std::sync::Arc;
use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff;

/// The longest that a receiver's `Retry-After` may put a try off.
pub const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Waits between the end of a try and the next: as many retries as entries. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySchedule(Arc<[u32]>);

impl RetrySchedule {
    /// Most entries.
    pub const MAX_ENTRIES: usize = 20;
    /// Longest entry, in seconds.
    pub const MAX_SECONDS: u32 = 86_400;

    /// Whole seconds, 0–20 entries of 1–86,400 each; `None` otherwise.
    #[must_use]
    pub fn new(seconds: Vec<u32>) -> Option<Self> {
        let fits = seconds.len() <= Self::MAX_ENTRIES && seconds.iter().all(|s| (1..=Self::MAX_SECONDS).contains(s));
        fits.then(|| Self(seconds.into()))
    }

    /// The waits in whole seconds.
    #[must_use]
    pub fn seconds(&self) -> &[u32] {
        &self.0
    }

    /// All waits together.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.0.iter().map(|s| Duration::from_secs(u64::from(*s))).sum()
    }

    /// How long to wait after the `tries`-th try (1 is the first) since the delivery was opened:
    /// the later of the schedule and the receiver's wish. `None` when the schedule is used up.
    #[must_use]
    pub fn next(&self, tries: u32, retry_after: Option<Duration>) -> Option<Duration> {
        let entry = usize::try_from(tries.checked_sub(1)?).ok()?;
        let scheduled = Duration::from_secs(u64::from(*self.0.get(entry)?));
        Some(scheduled.max(retry_after.unwrap_or_default().min(RETRY_AFTER_LIMIT)))
    }
}

/// The published default: 5 s, 25 s, 125 s, without jitter.
impl Default for RetrySchedule {
    fn default() -> Self {
        let mut backoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_secs(5))
            .with_multiplier(5.0)
            .with_randomization_factor(0.0)
            // Its own defaults would cap the wait at 60 s and give up after 15 min.
            .with_max_interval(Duration::from_secs(u64::from(Self::MAX_SECONDS)))
            .with_max_elapsed_time(None)
            .build();
        let waits = std::iter::from_fn(|| backoff.next_backoff()).take(3);
        Self(waits.filter_map(|wait| u32::try_from(wait.as_secs()).ok()).collect())
    }
}

/// Reads `Retry-After` (RFC 9110, section 10.2.3) given in seconds or as an HTTP date.
#[must_use]
pub fn parse_retry_after(value: &str, now: crate::Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_LIMIT));
    }
    let date =
        time::OffsetDateTime::parse(&value.replace("GMT", "+0000"), &time::format_description::well_known::Rfc2822)
            .ok()?;
    let at = crate::Timestamp::from_micros(date.unix_timestamp().saturating_mul(1_000_000));
    Some(at.since(now).min(RETRY_AFTER_LIMIT))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::Timestamp;

    #[test]
    fn the_default_is_the_published_one() {
        assert_eq!(RetrySchedule::default().seconds(), [5, 25, 125]);
    }

    #[rstest]
    #[case(1, None, Some(5))]
    #[case(2, None, Some(25))]
    #[case(3, None, Some(125))]
    #[case(4, None, None)]
    #[case(4, Some(60), None)]
    #[case(1, Some(3), Some(5))]
    #[case(1, Some(60), Some(60))]
    #[case(1, Some(999_999), Some(86_400))]
    #[case(0, None, None)]
    fn waits(#[case] tries: u32, #[case] retry_after: Option<u64>, #[case] expected: Option<u64>) {
        let next = RetrySchedule::default().next(tries, retry_after.map(Duration::from_secs));
        assert_eq!(next, expected.map(Duration::from_secs));
    }

    #[test]
    fn limits_are_kept() {
        assert!(RetrySchedule::new(vec![]).is_some());
        assert!(RetrySchedule::new(vec![1; 20]).is_some());
        assert!(RetrySchedule::new(vec![1; 21]).is_none());
        assert!(RetrySchedule::new(vec![0]).is_none());
        assert!(RetrySchedule::new(vec![86_401]).is_none());
    }

    #[rstest]
    #[case("120", Some(120))]
    #[case(" 7 ", Some(7))]
    #[case("-1", None)]
    #[case("soon", None)]
    #[case("Thu, 01 Jan 1970 00:01:00 GMT", Some(50))]
    #[case("Thu, 01 Jan 1970 00:00:01 GMT", Some(0))]
    #[case("99999999999999", Some(86_400))]
    fn retry_after(#[case] value: &str, #[case] expected: Option<u64>) {
        let now = Timestamp::from_micros(10_000_000);
        assert_eq!(parse_retry_after(value, now), expected.map(Duration::from_secs));
    }
}
