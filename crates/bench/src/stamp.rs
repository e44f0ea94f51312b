//! The number and the time that an event carries in its payload.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a payload, unless it must be longer.
pub const PAYLOAD: usize = 600;

/// Nanoseconds since 1970, by the clock of this machine: the generator and the receiver run on one.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A payload of some [`PAYLOAD`] bytes, such as a result of a screening.
#[must_use]
pub fn payload(number: u64, sent_at: u64) -> String {
    let head = format!(
        r#"{{"bench_n":{number},"bench_t":{sent_at},"client":{{"name":"Somchai Jaidee","country":"TH","approval_status":"approved"}},"score":0.25,"notes":""#
    );
    let rest = PAYLOAD.saturating_sub(head.len() + 2);
    format!("{head}{}\"}}", "x".repeat(rest))
}

/// Path and body of the call that publishes events of these numbers: the first, or all as a batch.
pub fn publishing(
    numbers: Range<u64>,
    sent_at: u64,
    is_batch: bool,
    type_of: impl Fn(u64) -> String,
) -> (&'static str, String) {
    let event = |number| format!(r#"{{"event_type":"{}","payload":{}}}"#, type_of(number), payload(number, sent_at));
    if is_batch {
        let events: Vec<String> = numbers.map(event).collect();
        ("/api/v1/events/batch/", format!(r#"{{"events":[{}]}}"#, events.join(",")))
    } else {
        ("/api/v1/events/", event(numbers.start))
    }
}

/// Finds number and time in a body, however it wraps the payload.
#[must_use]
pub fn read(body: &[u8]) -> Option<(u64, u64)> {
    Some((number_after(body, b"\"bench_n\":")?, number_after(body, b"\"bench_t\":")?))
}

fn number_after(body: &[u8], name: &[u8]) -> Option<u64> {
    let at = body.windows(name.len()).position(|window| window == name)? + name.len();
    let digits = body[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let mut number = None;
    for digit in digits {
        number = Some(number.unwrap_or(0_u64).checked_mul(10)?.checked_add(u64::from(digit - b'0'))?);
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stamped_is_read() {
        let payload = payload(17, 1_700_000_000_000_000_000);
        assert_eq!(payload.len(), PAYLOAD);
        assert!(serde_json::from_str::<serde_json::Value>(&payload).is_ok());
        let wrapped = format!(r#"{{"type":"x","data":{payload}}}"#);
        assert_eq!(read(wrapped.as_bytes()), Some((17, 1_700_000_000_000_000_000)));
        assert_eq!(read(b"{}"), None);
        assert_eq!(read(br#"{"bench_n":,"bench_t":1}"#), None);
    }

    #[test]
    fn a_call_carries_one_event_or_a_batch() {
        let type_of = |number| format!("bench.{number}");
        let parse = |body: String| serde_json::from_str::<serde_json::Value>(&body).unwrap_or_default();
        let (path, body) = publishing(3..4, 1, false, type_of);
        let event = parse(body);
        assert_eq!((path, &event["event_type"]), ("/api/v1/events/", &"bench.3".into()));
        assert_eq!(event["payload"]["bench_n"], 3);
        let (path, body) = publishing(3..5, 1, true, type_of);
        let events = parse(body)["events"].clone();
        assert_eq!((path, &events[1]["event_type"]), ("/api/v1/events/batch/", &"bench.4".into()));
        assert_eq!(events.as_array().map(Vec::len), Some(2));
    }
}
