//! The number and the time that an event carries in its payload.

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
}
