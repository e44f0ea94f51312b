//! Points in time, and the clock that tells them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Microseconds since 1970-01-01T00:00:00Z. Both databases keep it as a plain integer, which sorts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, as `webhook-timestamp` carries them.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time moved by a number of microseconds, either way.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339 (`2026-01-19T10:30:00.123456+00:00`, any offset), cut to microseconds. `None`
    /// also for a time that RFC 3339 cannot say in UTC, such as one after the year 9999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_utc()?;
        if !(0..=9999).contains(&parsed.year()) {
            return None;
        }
        i64::try_from(parsed.unix_timestamp_nanos().div_euclid(1000)).ok().map(Self)
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        self.plus_micros(i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        self.plus_micros(i64::try_from(by.as_micros()).map_or(i64::MIN, i64::wrapping_neg))
    }
}

/// The first second of the year 0, and the last of 9999.
const FIRST_SECOND: i64 = -62_167_219_200;
const LAST_SECOND: i64 = 253_402_300_799;

/// RFC 3339 in UTC with microseconds and `+00:00`, as the published API prints times. What is beyond
/// the years it has is shown as the nearest second in them.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.as_seconds().clamp(FIRST_SECOND, LAST_SECOND);
        let seconds = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| fmt::Error)?;
        let ((year, month, day), (hour, minute, second)) =
            (seconds.to_calendar_date(), (seconds.hour(), seconds.minute(), seconds.second()));
        let mut text = *b"0000-00-00T00:00:00.000000+00:00";
        put(&mut text[0..4], year.unsigned_abs());
        let pairs = [(5, u8::from(month)), (8, day), (11, hour), (14, minute), (17, second)];
        pairs.into_iter().for_each(|(at, number)| put(&mut text[at..at + 2], number.into()));
        put(&mut text[20..26], u32::try_from(self.0.rem_euclid(1_000_000)).unwrap_or_default());
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Writes the last digits of a number, as many as there is room for. Every event has times to be written, and the
/// formatting machinery is slow.
fn put(room: &mut [u8], mut number: u32) {
    for digit in room.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Tells the time. An argument everywhere, so that tests travel instead of sleeping.
pub trait Clock: Send + Sync + 'static {
    /// Now. Goes back only if [`Clock::follow`] is told so.
    fn now(&self) -> Timestamp;

    /// What others' clocks say now, for what they check against theirs. It may jump: nothing is planned by it.
    fn told_to_others(&self) -> Timestamp {
        self.now()
    }

    /// Hears what time it is where others keep it. A clock that is its own master takes no notice.
    fn follow(&self, _told: Timestamp) {}

    /// Ends when [`Clock::now`] has reached `at`.
    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Reads `45s`, `15m`, `12h`, `30d`: at most a hundred years.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let number: u64 = number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    // A hundred years: beyond, times would not fit.
    let total = number.checked_mul(seconds).filter(|total| *total <= 100 * 366 * 24 * 60 * 60)?;
    Some(Duration::from_secs(total))
}

/// Writes a duration of whole seconds as [`parse_duration`] reads it, in the largest unit that fits.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m")];
    let fitting = units.into_iter().find(|(length, _)| seconds > 0 && seconds.is_multiple_of(*length));
    let (length, unit) = fitting.unwrap_or((1, "s"));
    format!("{}{unit}", seconds / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_printed_cannot_be_read() {
        assert_eq!(Timestamp::parse("9999-12-31T23:59:59-01:00"), None);
        assert_eq!(Timestamp::parse("0000-01-01T00:00:00+01:00"), None);
        let last = Timestamp::parse("9999-12-31T23:59:59.999999Z").expect("a time");
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.999999+00:00");
        assert!(Timestamp::from_micros(i64::MAX).to_string().starts_with("9999-12-31T23:59:59"));
        assert!(Timestamp::from_micros(i64::MIN).to_string().starts_with("0000-01-01T00:00:00"));
    }

    #[test]
    fn prints_as_the_published_api_does() {
        let text = "2026-01-19T10:30:00.123456+00:00";
        assert_eq!(Timestamp::parse(text).map(|t| t.to_string()).as_deref(), Some(text));
    }

    #[test]
    fn reads_other_offsets_and_precisions() {
        let expected = Timestamp::parse("2024-01-15T10:05:30Z");
        assert_eq!(Timestamp::parse("2024-01-15T17:05:30+07:00"), expected);
        assert_eq!(Timestamp::parse("2024-01-15T10:05:30.000000999Z"), expected);
        assert_eq!(Timestamp::parse("2024-01-15"), None);
    }
}
