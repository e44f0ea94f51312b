//! How many requests a key may make, if that is limited: a bucket for each, refilled all the time. What else may be
//! done only so often has such buckets too.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use postrider_core::Timestamp;

use crate::failed_keys::make_room;

/// The limit itself, in the words of the IETF's draft (draft-ietf-httpapi-ratelimit-headers).
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of it.
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// So many requests in so long, of each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimit {
    /// How many.
    pub requests: u32,
    /// In how long.
    pub window: Duration,
}

impl RequestLimit {
    /// Reads `100/s` or `6000/m`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (requests, unit) = text.split_once('/')?;
        let window = match unit {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            _ => return None,
        };
        let requests = requests.parse().ok().filter(|requests| (1..=1_000_000).contains(requests))?;
        Some(Self { requests, window })
    }

    /// The time that one request stands for.
    fn each(self) -> Duration {
        self.window / self.requests
    }
}

/// The buckets. Empty keys are forgotten when they would be full again.
#[derive(Debug)]
pub(crate) struct RateLimits<K> {
    limit: Option<RequestLimit>,
    /// When the bucket of a key will be full again.
    full_at: Mutex<HashMap<K, Timestamp>>,
}

/// What is left of a key's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    limit: RequestLimit,
    remaining: u32,
    full_in: Duration,
    /// How long to wait, if there is nothing left.
    pub(crate) wait: Option<Duration>,
}

impl<K: Eq + Hash> RateLimits<K> {
    pub(crate) fn new(limit: Option<RequestLimit>) -> Self {
        Self { limit, full_at: Mutex::default() }
    }

    /// Whether there is a limit.
    pub(crate) const fn are_set(&self) -> bool {
        self.limit.is_some()
    }

    /// Takes one request of a key; nothing, if there is no limit.
    pub(crate) fn take(&self, key: K, now: Timestamp) -> Option<Left> {
        let limit = self.limit?;
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut buckets, now);
        let full_at = buckets.entry(key).or_insert(now);
        let full_in = full_at.since(now) + limit.each();
        let over = full_in.saturating_sub(limit.window);
        if !over.is_zero() {
            return Some(Left { limit, remaining: 0, full_in: full_at.since(now), wait: Some(over) });
        }
        *full_at = now + full_in;
        let each = limit.each().as_nanos().max(1);
        let remaining = u32::try_from((limit.window - full_in).as_nanos() / each).unwrap_or(u32::MAX);
        Some(Left { limit, remaining, full_in, wait: None })
    }
}

/// Where whoever lets in says what is left, for the answer.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<OnceLock<Left>>);

impl Told {
    pub(crate) fn left(&self, left: Left) {
        self.0.get_or_init(|| left);
    }

    /// Says it in the answer's headers.
    pub(crate) fn mark(&self, headers: &mut HeaderMap) {
        let Some(Left { limit, remaining, full_in, .. }) = self.0.get() else { return };
        let policy = format!("\"key\";q={};w={}", limit.requests, limit.window.as_secs());
        let left = format!("\"key\";r={remaining};t={}", full_in.as_secs_f64().ceil());
        for (name, value) in [(POLICY, policy), (LEFT, left)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use postrider_core::ApiKeyId;
    use uuid::Uuid;

    use super::*;

    fn key(number: u128) -> ApiKeyId {
        Uuid::from_u128(number).into()
    }

    #[test]
    fn a_key_has_its_requests_and_gets_them_back() {
        let limits = RateLimits::new(RequestLimit::parse("4/s"));
        let start = Timestamp::from_micros(1_000_000);
        let left = |at| limits.take(key(1), at).expect("limited");
        assert_eq!([left(start), left(start), left(start), left(start)].map(|left| left.remaining), [3, 2, 1, 0]);
        assert_eq!(left(start).wait, Some(Duration::from_millis(250)));
        assert_eq!(limits.take(key(2), start).expect("limited").remaining, 3, "another has its own");
        let later = start + Duration::from_millis(250);
        assert_eq!((left(later).wait, left(later).wait.is_some()), (None, true), "one came back");
        assert_eq!(left(later + Duration::from_secs(9)).remaining, 3, "never more than all");
    }

    #[test]
    fn without_a_limit_nothing_is_told() {
        assert_eq!(RateLimits::new(None).take(key(1), Timestamp::default()), None);
    }

    #[test]
    fn reads_limits() {
        assert_eq!(
            RequestLimit::parse("6000/m"),
            Some(RequestLimit { requests: 6000, window: Duration::from_secs(60) })
        );
        for wrong in ["", "5", "0/s", "5/h", "-1/s", "x/s", "9999999/s"] {
            assert_eq!(RequestLimit::parse(wrong), None, "{wrong}");
        }
    }
}
