//! Attempts: one HTTP request and what came back.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::headers::HeaderList;
use crate::{DeliveryId, LogId, ReplayId, Timestamp};

/// How much of a response's body is kept, in bytes.
pub const BODY_LIMIT: usize = 16 * 1024;

/// How much of a response's head is kept, in bytes of names and values.
pub const HEAD_LIMIT: usize = 16 * 1024;

/// How an attempt ended, in classes that people act upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// A 2xx.
    Success,
    /// Another status.
    HttpError,
    /// No whole answer in time.
    Timeout,
    /// The name did not resolve, or to nothing that may be dialled.
    AddressError,
    /// No connection, or it broke.
    ConnectionError,
    /// TLS was not agreed upon.
    TlsError,
    /// What came back is not HTTP.
    ProtocolError,
    /// Postrider itself failed while sending.
    InternalError,
}

impl AttemptOutcome {
    /// Every outcome.
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::HttpError,
        Self::Timeout,
        Self::AddressError,
        Self::ConnectionError,
        Self::TlsError,
        Self::ProtocolError,
        Self::InternalError,
    ];

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::HttpError => "http_error",
            Self::Timeout => "timeout",
            Self::AddressError => "address_error",
            Self::ConnectionError => "connection_error",
            Self::TlsError => "tls_error",
            Self::ProtocolError => "protocol_error",
            Self::InternalError => "internal_error",
        }
    }

    /// For the store; the numbers are never reused.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Success => 0,
            Self::HttpError => 1,
            Self::Timeout => 2,
            Self::AddressError => 3,
            Self::ConnectionError => 4,
            Self::TlsError => 5,
            Self::ProtocolError => 6,
            Self::InternalError => 7,
        }
    }

    /// Back from the store.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code)
    }
}

/// Where the time of an attempt went, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Resolving the name; `None` if nothing was resolved.
    pub dns_us: Option<i64>,
    /// TCP and TLS, without the name's resolution; `None` on a reused connection.
    pub connect_us: Option<i64>,
    /// From the start to the response's head; `None` if none came.
    pub first_byte_us: Option<i64>,
    /// From the start to the end.
    pub total_us: i64,
}

/// A response as it is kept. Its `Debug` has nothing of what was said.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The head, up to [`HEAD_LIMIT`].
    pub headers: HeaderList,
    /// The body's start, up to [`BODY_LIMIT`].
    pub body: Vec<u8>,
    /// What `Retry-After` asked for.
    pub retry_after: Option<Duration>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Response");
        shown.field("status", &self.status).field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// Why there was no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its class.
    pub outcome: AttemptOutcome,
    /// For people: `Timed out after 15 s`.
    pub message: String,
}

/// One request on the wire and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// When it began.
    pub started_at: Timestamp,
    /// The URL it went to.
    pub url: String,
    /// What was sent, with the values of static headers masked.
    pub request_headers: HeaderList,
    /// The address and port it went to, where known.
    pub remote_address: Option<String>,
    /// Where the time went.
    pub timings: Timings,
    /// What came back.
    pub result: Result<Response, Failure>,
}

impl Exchange {
    /// Takes out all that came from outside, for a store that refuses it. False if there was nothing.
    pub fn strip(&mut self) -> bool {
        const LEFT_OUT: &str = "(left out: it could not be stored)";
        match &mut self.result {
            Ok(response) => {
                let had = response.headers != HeaderList::default() || !response.body.is_empty();
                response.headers = HeaderList::default();
                response.body.clear();
                had
            }
            Err(failure) => {
                let had = failure.message != LEFT_OUT;
                LEFT_OUT.clone_into(&mut failure.message);
                had
            }
        }
    }

    /// Its class: any 2xx is a success, redirects are not.
    #[must_use]
    pub fn outcome(&self) -> AttemptOutcome {
        match &self.result {
            Ok(response) if (200..300).contains(&response.status) => AttemptOutcome::Success,
            Ok(_) => AttemptOutcome::HttpError,
            Err(failure) => failure.outcome,
        }
    }

    /// The status code, if there was a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.result.as_ref().ok().map(|response| response.status)
    }

    /// For people: `HTTP 404: Not Found`, or what failed.
    #[must_use]
    pub fn message(&self) -> String {
        match &self.result {
            Ok(response) => status_line(response.status),
            Err(failure) => failure.message.clone(),
        }
    }

    /// When it ended.
    #[must_use]
    pub fn ended_at(&self) -> Timestamp {
        self.started_at.plus_micros(self.timings.total_us)
    }
}

/// `HTTP 404: Not Found`; `HTTP 599` for a status without a phrase.
#[must_use]
pub fn status_line(status: u16) -> String {
    let known = http::StatusCode::from_u16(status).ok();
    match known.and_then(|code| code.canonical_reason()) {
        Some(phrase) => format!("HTTP {status}: {phrase}"),
        None => format!("HTTP {status}"),
    }
}

/// An attempt as it was recorded. Its `Debug` has nothing of what was said.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its number in the log.
    pub log_id: LogId,
    /// What it tried to deliver; `None` for a test.
    pub delivery_id: Option<DeliveryId>,
    /// 1 is the delivery's first; goes on after a manual retry.
    pub number: i64,
    /// When it began.
    pub started_at: Timestamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// The status code, if there was a response.
    pub status: Option<u16>,
    /// For people.
    pub message: String,
    /// The URL it went to.
    pub url: String,
    /// A JSON object of what was sent, masked.
    pub request_headers: String,
    /// A JSON object of the response's head.
    pub response_headers: String,
    /// The response's body, cut to [`BODY_LIMIT`].
    pub response_body: Vec<u8>,
    /// The address and port it went to.
    pub remote_address: Option<String>,
    /// Where the time went.
    pub timings: Timings,
    /// The replay that had the delivery tried again, if one did last.
    pub replay_id: Option<ReplayId>,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log_id, delivery_id, number, outcome, .. } = self;
        let mut shown = f.debug_struct("Attempt");
        shown.field("log_id", log_id).field("delivery_id", delivery_id).field("number", number);
        shown.field("outcome", outcome).finish_non_exhaustive()
    }
}

impl Attempt {
    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>()
            + [&self.message, &self.url, &self.request_headers, &self.response_headers]
                .map(String::len)
                .iter()
                .sum::<usize>()
            + self.response_body.len()
    }
}

/// How a body of bytes is shown in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyEncoding {
    /// As it is.
    Utf8,
    /// Not UTF-8: as base64.
    Base64,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(200, "HTTP 200: OK")]
    #[case(404, "HTTP 404: Not Found")]
    #[case(599, "HTTP 599")]
    fn status_lines(#[case] status: u16, #[case] expected: &str) {
        assert_eq!(status_line(status), expected);
    }

    #[test]
    fn codes_are_kept() {
        for outcome in AttemptOutcome::ALL {
            assert_eq!(AttemptOutcome::from_code(outcome.code()), Some(outcome));
        }
    }
}
