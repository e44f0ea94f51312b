//! What a receiver should make of a request: whether its signature verifies and, if not, why.

use std::time::Duration;

use http::HeaderMap;
use http::header::HeaderName;

use crate::Timestamp;
use crate::json::{compact, ecmascript};
use crate::profile::{Profile, Profiles};
use crate::secret::SigningSecret;
use crate::signature::{self, Hmac, Scheme, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};

/// How far a receiver lets the sender's clock be off (Standard Webhooks' reference libraries).
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it means for a receiver.
    pub verdict: Verdict,
    /// Why, and what to do about it; a sentence each.
    pub notes: Vec<String>,
}

/// What a receiver should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Take it: the signature verifies.
    Genuine,
    /// Nothing can be said: the format does not sign, or there is no secret to verify with.
    Unchecked,
    /// Refuse it.
    Refused,
}

impl Verdict {
    /// In a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Genuine => "genuine",
            Self::Unchecked => "unchecked",
            Self::Refused => "refused",
        }
    }
}

impl Finding {
    fn new(verdict: Verdict, note: impl Into<String>) -> Self {
        Self { verdict, notes: vec![note.into()] }
    }

    fn refused(note: impl Into<String>) -> Self {
        Self::new(Verdict::Refused, note)
    }
}

/// The format that a request looks like, by the headers that formats set.
#[must_use]
pub fn guess<'p>(profiles: &'p Profiles, headers: &HeaderMap) -> Option<&'p Profile> {
    let is_like = |profile: &&Profile| match profile.scheme() {
        Scheme::StandardWebhooks => headers.contains_key(WEBHOOK_ID),
        Scheme::Hmac(hmac) => headers.contains_key(&hmac.header),
        Scheme::None => profile.header_names().next().is_some(),
    };
    let has_all = |profile: &&Profile| profile.header_names().all(|name| headers.contains_key(name));
    profiles.iter().map(|profile| &**profile).find(|profile| is_like(profile) && has_all(profile))
}

/// Looks at a request in the format `profile`. The first secret is the current one, others are older.
#[must_use]
pub fn inspect(
    profiles: &Profiles,
    profile: &Profile,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[SigningSecret],
    now: Timestamp,
) -> Finding {
    match profile.scheme() {
        Scheme::None => {
            let name = &profile.name;
            let note = format!("The format `{name}` does not sign; verify what it says by asking the sender back.");
            Finding::new(Verdict::Unchecked, note)
        }
        Scheme::StandardWebhooks => inspect_standard(profiles, profile, headers, body, secrets, now),
        Scheme::Hmac(hmac) => inspect_hmac(profiles, profile, hmac, headers, body, secrets),
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn shown(name: &HeaderName) -> String {
    crate::headers::title_case(name.as_str())
}

/// A header that should be there and is not; another format's may be in its place.
fn missing(profiles: &Profiles, profile: &Profile, name: &HeaderName, headers: &HeaderMap) -> Finding {
    let mut finding = Finding::refused(format!("The header {} is missing.", shown(name)));
    if let Some(other) = guess(profiles, headers).filter(|other| other.name != profile.name) {
        finding.notes.push(format!("The request looks like the format `{}`; try that one.", other.name));
    } else if *name != WEBHOOK_ID && *name != WEBHOOK_TIMESTAMP {
        let why = "Without a secret nothing is signed: callbacks and one-off URLs have none until \
                   POST /api/v1/callback-secret/rotate/ makes one.";
        finding.notes.push(why.to_owned());
    }
    finding
}

fn no_secret() -> Finding {
    Finding::new(Verdict::Unchecked, "There is no secret to verify with; give it with --secret.")
}

fn inspect_standard(
    profiles: &Profiles,
    profile: &Profile,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[SigningSecret],
    now: Timestamp,
) -> Finding {
    let missing = |name: &HeaderName| missing(profiles, profile, name, headers);
    let Some(id) = text(headers, &WEBHOOK_ID) else { return missing(&WEBHOOK_ID) };
    let Some(seconds) = text(headers, &WEBHOOK_TIMESTAMP) else { return missing(&WEBHOOK_TIMESTAMP) };
    let Some(signatures) = text(headers, &WEBHOOK_SIGNATURE) else { return missing(&WEBHOOK_SIGNATURE) };
    let Some(at) = read_seconds(seconds) else {
        return Finding::refused(format!("Webhook-Timestamp is `{seconds}`; it must be whole Unix seconds."));
    };
    if !signatures.split(' ').any(|part| part.starts_with("v1,")) {
        return Finding::refused("Webhook-Signature holds no signature that starts with `v1,`.");
    }
    let mut finding = judge(body, secrets, |secret, body| signature::verify(secret, id, at, body, signatures));
    if let Some(note) = skew(at, now) {
        finding.notes.push(note);
        if finding.verdict == Verdict::Genuine {
            finding.verdict = Verdict::Refused;
        }
    }
    finding
}

fn inspect_hmac(
    profiles: &Profiles,
    profile: &Profile,
    hmac: &Hmac,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[SigningSecret],
) -> Finding {
    let Some(value) = text(headers, &hmac.header) else { return missing(profiles, profile, &hmac.header, headers) };
    if !value.starts_with(&hmac.prefix) {
        return Finding::refused(format!("{} must start with `{}`.", shown(&hmac.header), hmac.prefix));
    }
    judge(body, secrets, |secret, body| hmac.verify(secret, body, value))
}

fn read_seconds(text: &str) -> Option<Timestamp> {
    let seconds: i64 = text.parse().ok()?;
    seconds.checked_mul(1_000_000).map(Timestamp::from_micros)
}

/// Finds the secret and the form of the body that the signature fits.
fn judge(body: &[u8], secrets: &[SigningSecret], fits: impl Fn(&SigningSecret, &[u8]) -> bool) -> Finding {
    let Some(current) = secrets.first() else { return no_secret() };
    if fits(current, body) {
        return Finding::new(Verdict::Genuine, "The signature verifies.");
    }
    if secrets.iter().any(|older| fits(older, body)) {
        let note = "The signature verifies with an older secret: it was signed before a rotation, or whoever signed \
                    has not heard of it.";
        return Finding::new(Verdict::Genuine, note);
    }
    for (form, what) in other_forms(body) {
        if secrets.iter().any(|secret| fits(secret, &form)) {
            let note = format!(
                "The signature fits the body {what}: verify over the bytes as they come, before anything \
                                parses them or writes them anew."
            );
            return Finding::refused(note);
        }
    }
    let mut finding = Finding::refused("The signature fits neither this body nor another form of it with this secret.");
    let causes = "Either the secret is another one (a rotated one, another webhook's, another tenant's), or the body was \
                  changed on its way.";
    finding.notes.push(causes.to_owned());
    finding
}

/// Forms that the body may have had when it was signed.
fn other_forms(body: &[u8]) -> Vec<(Vec<u8>, &'static str)> {
    let mut forms = vec![(body.trim_ascii_end().to_vec(), "without the white space at its end")];
    if let Ok(text) = std::str::from_utf8(body) {
        let is_json = serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
        if let Some(compacted) = is_json.then(|| compact(text).ok()).flatten() {
            forms.push((compacted.into_bytes(), "without the white space in it; it was re-serialised"));
        }
        if let Ok(normal) = ecmascript::normalize(text) {
            forms.push((normal.into_bytes(), "as JSON.stringify writes it; it was re-serialised"));
        }
    }
    forms
}

/// Says so if a receiver's clock and the time of signing are too far apart.
fn skew(signed_at: Timestamp, now: Timestamp) -> Option<String> {
    let (apart, direction) =
        if now < signed_at { (signed_at.since(now), "ahead of") } else { (now.since(signed_at), "behind") };
    let seconds = apart.as_secs();
    let limit = TOLERANCE.as_secs();
    (apart > TOLERANCE).then(|| {
        format!(
            "It was signed {seconds} s {direction} the time here; receivers refuse more than {limit} s: an old request, or \
             a clock that is wrong."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeliveryId;
    use crate::event::Event;
    use crate::event_type::EventTypeName;
    use crate::profile::{Example, Outbound};
    use crate::secret::Secrets;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn secret(fill: u8) -> SigningSecret {
        use base64::Engine;
        let key = base64::prelude::BASE64_STANDARD.encode([fill; 32]);
        SigningSecret::parse(&format!("whsec_{key}")).expect("valid")
    }

    fn signed(profile: &str, payload: &str) -> (HeaderMap, Vec<u8>) {
        let profiles = Profiles::published();
        let profile = profiles.named(profile).expect("published");
        let event_type = EventTypeName::parse("verification.completed").expect("well-formed");
        let event: Event = Example { event_type, payload: payload.to_owned(), metadata: None }.as_event();
        let outbound = Outbound { event: &event, metadata: None, delivery_id: DeliveryId::NIL, attempt: 1 };
        let prepared = profile.prepare(&outbound, Some(&Secrets::new(secret(1))), NOW).expect("fits");
        (prepared.headers.into_iter().collect(), prepared.body)
    }

    fn finding(profile: &str, request: &(HeaderMap, Vec<u8>), secrets: &[SigningSecret], now: Timestamp) -> Finding {
        let profiles = Profiles::published();
        inspect(&profiles, profiles.named(profile).expect("published"), &request.0, &request.1, secrets, now)
    }

    #[test]
    fn what_is_genuine() {
        for profile in ["standard", "anycheck"] {
            let request = signed(profile, r#"{"n":1}"#);
            assert_eq!(finding(profile, &request, &[secret(1)], NOW).verdict, Verdict::Genuine);
            let older = finding(profile, &request, &[secret(2), secret(1)], NOW);
            assert_eq!(older.verdict, Verdict::Genuine);
            assert!(older.notes[0].contains("older secret"));
            assert_eq!(finding(profile, &request, &[], NOW).verdict, Verdict::Unchecked);
        }
        assert_eq!(finding("casekeeper", &signed("casekeeper", "{}"), &[], NOW).verdict, Verdict::Unchecked);
    }

    #[test]
    fn why_something_is_refused() {
        let refused = |profile: &str, request: &(HeaderMap, Vec<u8>), secrets: &[SigningSecret]| {
            let finding = finding(profile, request, secrets, NOW);
            assert_eq!(finding.verdict, Verdict::Refused, "{finding:?}");
            finding.notes.join(" ")
        };
        let standard = signed("standard", r#"{"s":"é","n":1}"#);
        assert!(refused("standard", &standard, &[secret(2)]).contains("the secret is another one"));
        let pretty = String::from_utf8(standard.1.clone()).expect("text").replace(':', ": ").replace("é", "\\u00e9");
        let reserialised = (standard.0.clone(), pretty.replace("00: ", "00:").into_bytes());
        assert!(refused("standard", &reserialised, &[secret(1)]).contains("re-serialised"));
        let pasted = (standard.0.clone(), [standard.1.as_slice(), b"\r\n"].concat());
        assert!(refused("standard", &pasted, &[secret(1)]).contains("white space at its end"));
        assert!(refused("anycheck", &standard, &[secret(1)]).contains("looks like the format `standard`"));
        assert!(refused("standard", &signed("anycheck", "{}"), &[secret(1)]).contains("`anycheck`"));
        let mut unsigned = signed("standard", "{}");
        unsigned.0.remove(WEBHOOK_SIGNATURE);
        let notes = refused("standard", &unsigned, &[secret(1)]);
        assert!(notes.contains("callback-secret") && !notes.contains("looks like"), "{notes}");
        let mut unsigned = signed("anycheck", "{}");
        unsigned.0.clear();
        assert!(refused("anycheck", &unsigned, &[secret(1)]).contains("callback-secret"));
        let mut garbled = signed("standard", "{}");
        garbled.0.insert(WEBHOOK_TIMESTAMP, "soon".parse().expect("plain"));
        assert!(refused("standard", &garbled, &[secret(1)]).contains("whole Unix seconds"));
        garbled.0.insert(WEBHOOK_TIMESTAMP, "1700000000".parse().expect("plain"));
        garbled.0.insert(WEBHOOK_SIGNATURE, "v2,x".parse().expect("plain"));
        assert!(refused("standard", &garbled, &[secret(1)]).contains("`v1,`"));
    }

    #[test]
    fn clocks_may_be_five_minutes_apart() {
        let request = signed("standard", "{}");
        for (seconds, verdict) in
            [(-301, Verdict::Refused), (-300, Verdict::Genuine), (300, Verdict::Genuine), (301, Verdict::Refused)]
        {
            let now = Timestamp::from_micros(NOW.as_micros() + seconds * 1_000_000);
            assert_eq!(finding("standard", &request, &[secret(1)], now).verdict, verdict, "{seconds}");
        }
    }

    #[test]
    fn formats_are_known_by_their_headers() {
        let profiles = Profiles::published();
        for name in ["standard", "aplyid", "anycheck"] {
            let payload = r#"{"external_id":"x"}"#;
            assert_eq!(guess(&profiles, &signed(name, payload).0).map(|profile| profile.name.as_str()), Some(name));
        }
        assert_eq!(guess(&profiles, &signed("casekeeper", "{}").0), None);
    }
}
