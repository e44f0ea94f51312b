//! Header lists: the static ones that a subscription sends, and how headers are shown.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use http::{HeaderName, HeaderValue};
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::json::push_quoted;

/// Stands for a value that is not shown.
pub const MASK: &str = "********";

/// Of a header as JSON, in bytes: room is made for as many.
const TYPICAL_LENGTH: usize = 64;

/// Set by the connection, or by Postrider in every format.
const CONNECTIONS: [&str; 12] = [
    "accept-encoding",
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];
const CONNECTIONS_PREFIXES: [&str; 2] = ["content-", "proxy-"];
/// Set by published formats.
const FORMATS_PREFIXES: [&str; 3] = ["webhook-", "x-webhook-", "x-workflow-"];

/// Whether neither a format nor a subscription may set this header.
#[must_use]
pub fn is_reserved_by_connection(name: &HeaderName) -> bool {
    let name = name.as_str();
    CONNECTIONS.contains(&name) || CONNECTIONS_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Headers that a subscription adds to each request. Their values may be credentials: `Debug` hides
/// them, lists mask them, the store seals them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StaticHeaders(Vec<(HeaderName, HeaderValue)>);

/// Why a static header is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderRefusal {
    /// More than [`StaticHeaders::MAX_COUNT`].
    #[error("must have at most {} headers", StaticHeaders::MAX_COUNT)]
    TooMany,
    /// Not a token of RFC 9110.
    #[error("`{0}` is not a header name")]
    Name(String),
    /// Set by the connection, the format or the sender.
    #[error("`{0}` is set by Postrider and cannot be changed")]
    Reserved(String),
    /// The same name in another spelling.
    #[error("`{0}` is given more than once")]
    Twice(String),
    /// What was shown in place of a value.
    #[error("the value of `{0}` is the mask of one that is not shown; leave `headers` out to keep them as they are")]
    Mask(String),
    /// Not visible ASCII, or too long.
    #[error("the value of `{0}` must be visible ASCII, at most {max} characters", max = StaticHeaders::MAX_VALUE)]
    Value(String),
}

impl StaticHeaders {
    /// Most headers.
    pub const MAX_COUNT: usize = 20;
    /// Longest value, in characters.
    pub const MAX_VALUE: usize = 2048;

    /// Checks names and values.
    ///
    /// # Errors
    /// A [`HeaderRefusal`] for each header that cannot be used.
    pub fn new(pairs: Vec<(String, String)>) -> Result<Self, Vec<HeaderRefusal>> {
        if pairs.len() > Self::MAX_COUNT {
            return Err(vec![HeaderRefusal::TooMany]);
        }
        let (mut seen, mut headers, mut refusals) = (HashSet::new(), Vec::new(), Vec::new());
        for (name, value) in pairs {
            match Self::checked(&mut seen, name, &value) {
                Ok(header) => headers.push(header),
                Err(refusal) => refusals.push(refusal),
            }
        }
        if refusals.is_empty() { Ok(Self(headers)) } else { Err(refusals) }
    }

    fn checked(
        seen: &mut HashSet<HeaderName>,
        name: String,
        value: &str,
    ) -> Result<(HeaderName, HeaderValue), HeaderRefusal> {
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(HeaderRefusal::Name(name));
        };
        let is_formats = FORMATS_PREFIXES.iter().any(|prefix| header.as_str().starts_with(prefix));
        if is_formats || is_reserved_by_connection(&header) {
            return Err(HeaderRefusal::Reserved(name));
        }
        if value == MASK {
            return Err(HeaderRefusal::Mask(name));
        }
        let visible = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let fits = visible && value.trim() == value && value.len() <= Self::MAX_VALUE;
        match HeaderValue::from_str(value) {
            Ok(mut checked) if fits => {
                checked.set_sensitive(true);
                if seen.insert(header.clone()) { Ok((header, checked)) } else { Err(HeaderRefusal::Twice(name)) }
            }
            _ => Err(HeaderRefusal::Value(name)),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Names with masked values, for people.
    #[must_use]
    pub fn masked(&self) -> HeaderList {
        self.0.iter().map(|(name, _)| (name, MASK.as_bytes())).collect()
    }

    /// Plain text for the vault.
    #[must_use]
    pub fn to_plain(&self) -> Zeroizing<Vec<u8>> {
        let pairs: Vec<_> = self.0.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap_or_default())).collect();
        Zeroizing::new(serde_json::to_vec(&pairs).unwrap_or_default())
    }

    /// Back from the vault.
    #[must_use]
    pub fn from_plain(plain: &[u8]) -> Option<Self> {
        Self::new(serde_json::from_slice(plain).ok()?).ok()
    }
}

impl fmt::Debug for StaticHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Headers as they are recorded and shown: a JSON object in the order on the wire, names in Title-Case, values of a
/// repeated name joined by `, `, bytes that are not UTF-8 replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderList(String);

impl HeaderList {
    /// The JSON.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl<'h> FromIterator<(&'h HeaderName, &'h [u8])> for HeaderList {
    fn from_iter<I: IntoIterator<Item = (&'h HeaderName, &'h [u8])>>(headers: I) -> Self {
        let headers: Vec<_> = headers.into_iter().collect();
        let mut json = String::with_capacity(headers.len() * TYPICAL_LENGTH);
        json.push('{');
        for (at, (name, value)) in headers.iter().enumerate() {
            if headers[..at].iter().any(|(earlier, _)| earlier == name) {
                continue;
            }
            json.push_str(if at == 0 { "\"" } else { ",\"" });
            // A header's name has nothing that JSON escapes.
            push_title_case(name.as_str(), &mut json);
            json.push_str("\":");
            let mut joined = text(value);
            for (_, more) in headers[at + 1..].iter().filter(|(later, _)| later == name) {
                joined.to_mut().extend([", ", &text(more)]);
            }
            push_quoted(&joined, &mut json);
        }
        json.push('}');
        Self(json)
    }
}

impl Default for HeaderList {
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

impl Serialize for HeaderList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

fn text(value: &[u8]) -> Cow<'_, str> {
    // Nearly always valid, which is quicker to see than what is not.
    std::str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed)
}

/// `webhook-id` → `Webhook-Id`, as header names go out over HTTP/1.1.
#[must_use]
pub fn title_case(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    push_title_case(name, &mut shown);
    shown
}

fn push_title_case(name: &str, shown: &mut String) {
    let mut is_first = true;
    shown.extend(name.chars().map(|letter| {
        let cased = if is_first { letter.to_ascii_uppercase() } else { letter };
        is_first = letter == '-';
        cased
    }));
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn one(name: &str, value: &str) -> Result<StaticHeaders, HeaderRefusal> {
        StaticHeaders::new(vec![(name.to_owned(), value.to_owned())]).map_err(|refusals| refusals[0].clone())
    }

    #[rstest]
    #[case("Authorization", "Bearer abc")]
    #[case("X-Tenant", "42")]
    #[case("x-api-key", "")]
    fn permitted(#[case] name: &str, #[case] value: &str) {
        assert!(one(name, value).is_ok());
    }

    #[rstest]
    #[case("Host")]
    #[case("CONTENT-LENGTH")]
    #[case("Content-Anything")]
    #[case("User-Agent")]
    #[case("Accept-Encoding")]
    #[case("Expect")]
    #[case("Connection")]
    #[case("Keep-Alive")]
    #[case("TE")]
    #[case("Trailer")]
    #[case("Transfer-Encoding")]
    #[case("Upgrade")]
    #[case("Proxy-Authorization")]
    #[case("webhook-signature")]
    #[case("X-Webhook-Signature")]
    #[case("X-Workflow-Event-Type")]
    fn reserved(#[case] name: &str) {
        assert_eq!(one(name, "x"), Err(HeaderRefusal::Reserved(name.to_owned())));
    }

    #[rstest]
    #[case("a b", "x", HeaderRefusal::Name("a b".into()))]
    #[case("", "x", HeaderRefusal::Name(String::new()))]
    #[case("X-A", "a\r\nHost: b", HeaderRefusal::Value("X-A".into()))]
    #[case("X-A", "é", HeaderRefusal::Value("X-A".into()))]
    #[case("X-A", " a", HeaderRefusal::Value("X-A".into()))]
    fn unusable(#[case] name: &str, #[case] value: &str, #[case] why: HeaderRefusal) {
        assert_eq!(one(name, value), Err(why));
    }

    #[test]
    fn values_are_hidden_and_survive_the_vault() {
        let headers = one("authorization", "Bearer sentinel").expect("permitted");
        assert!(!format!("{headers:?}").contains("sentinel"));
        assert_eq!(serde_json::to_string(&headers.masked()).expect("serialises"), r#"{"Authorization":"********"}"#);
        assert_eq!(StaticHeaders::from_plain(&headers.to_plain()), Some(headers));
    }

    #[test]
    fn repeated_names_are_joined_in_json() {
        let [cookie, other] = ["set-cookie", "x-b"].map(HeaderName::from_static);
        let sent: [(_, &[u8]); 4] = [(&cookie, b"a"), (&other, b"\xff\"1"), (&cookie, b"c"), (&cookie, b"")];
        let list: HeaderList = sent.into_iter().collect();
        assert_eq!(list.as_json(), "{\"Set-Cookie\":\"a, c, \",\"X-B\":\"\u{fffd}\\\"1\"}");
        assert_eq!(serde_json::to_string(&list).expect("serialises"), list.as_json());
        assert_eq!(HeaderList::default().as_json(), "{}");
    }

    #[test]
    fn a_name_stands_once() {
        let twice = vec![("X-A".to_owned(), "1".to_owned()), ("x-a".to_owned(), "2".to_owned())];
        assert_eq!(StaticHeaders::new(twice), Err(vec![HeaderRefusal::Twice("x-a".into())]));
    }
}
