//! Wire formats: what a request to a receiver looks like.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};

use crate::Timestamp;
use crate::event::Event;
use crate::lifecycle::AnswerRules;
use crate::secret::Secrets;
use crate::signature::sign_all;

/// The default format: Standard Webhooks.
pub const STANDARD: &str = "standard";

/// How Postrider names itself to receivers.
pub const AGENT: &str = concat!("Postrider/", env!("CARGO_PKG_VERSION"));

/// A wire format.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// What it makes of answers that are no success.
    pub answer_rules: AnswerRules,
}

static PROFILES: [Profile; 1] =
    [Profile { name: STANDARD, answer_rules: AnswerRules { retry_after: true, gone: true } }];

/// A request, ready to go on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// All headers but the subscription's static ones and the connection's.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The exact bytes.
    pub body: Vec<u8>,
}

impl Profile {
    /// The format of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    /// Every format's name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PROFILES.iter().map(|profile| profile.name)
    }

    /// Builds and signs the request of one try at `now`. Without secrets it goes out unsigned.
    ///
    /// The body is the same on every try; only `webhook-timestamp` and the signature over it change.
    #[must_use]
    pub fn prepare(&self, event: &Event, secrets: Option<&Secrets>, now: Timestamp) -> Prepared {
        let body = standard_body(event).into_bytes();
        let id = event.id.to_string();
        let mut headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(AGENT)),
            (HeaderName::from_static("webhook-id"), plain(&id)),
            (HeaderName::from_static("webhook-timestamp"), HeaderValue::from(now.as_seconds())),
        ];
        if let Some(signature) = secrets.and_then(|secrets| sign_all(secrets.signing_at(now), &id, now, &body)) {
            headers.push((HeaderName::from_static("webhook-signature"), plain(&signature)));
        }
        Prepared { headers, body }
    }
}

/// `{"type", "timestamp", "data"}`: the payload goes in untouched.
fn standard_body(event: &Event) -> String {
    let draft = &event.draft;
    format!(r#"{{"type":"{}","timestamp":"{}","data":{}}}"#, draft.event_type, event.happened_at(), draft.payload)
}

fn plain(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("ids and signatures are visible ASCII")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::event::EventDraft;
    use crate::event_type::EventTypeName;
    use crate::secret::SigningSecret;
    use crate::{EventId, TenantId};

    fn event() -> Event {
        let payload = r#"{"score":1.10,"big":12345678901234567890,"name":"é"}"#;
        Event {
            id: EventId::from(Uuid::from_u128(7)),
            tenant_id: TenantId::NIL,
            created_at: Timestamp::parse("2026-01-19T10:30:00.123456Z").expect("valid"),
            draft: EventDraft {
                event_type: EventTypeName::parse("screening.completed").expect("well-formed"),
                payload: payload.into(),
                occurred_at: None,
                expires_at: None,
                resource_id: None,
                metadata: None,
                idempotency_key: None,
                trace_context: None,
            },
        }
    }

    fn names(prepared: &Prepared) -> Vec<&str> {
        prepared.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn the_exact_bytes_of_the_standard_format() {
        let secrets = Secrets::new(SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("valid"));
        let now = Timestamp::from_micros(1_700_000_000_999_999);
        let prepared = Profile::named(STANDARD).expect("built in").prepare(&event(), Some(&secrets), now);
        assert_eq!(
            String::from_utf8(prepared.body.clone()).as_deref(),
            Ok(
                r#"{"type":"screening.completed","timestamp":"2026-01-19T10:30:00.123456+00:00","data":{"score":1.10,"big":12345678901234567890,"name":"é"}}"#
            )
        );
        assert_eq!(
            names(&prepared),
            ["content-type", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature"]
        );
        assert_eq!(prepared.headers[2].1, "00000000-0000-0000-0000-000000000007");
        assert_eq!(prepared.headers[3].1, "1700000000");
    }

    #[test]
    fn without_a_secret_it_is_unsigned() {
        let prepared = PROFILES[0].prepare(&event(), None, Timestamp::from_micros(0));
        assert_eq!(names(&prepared), ["content-type", "user-agent", "webhook-id", "webhook-timestamp"]);
    }

    #[test]
    fn a_later_try_has_the_same_body_and_id() {
        let first = PROFILES[0].prepare(&event(), None, Timestamp::from_micros(0));
        let second = PROFILES[0].prepare(&event(), None, Timestamp::from_micros(5_000_000));
        assert_eq!(first.body, second.body);
        assert_eq!(first.headers[2], second.headers[2]);
        assert_ne!(first.headers[3], second.headers[3]);
    }
}
