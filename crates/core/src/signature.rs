//! How requests are signed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{KeyInit, Mac};
use http::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use sha2::Sha256;

use crate::secret::{Secrets, SigningSecret};
use crate::{EventId, Timestamp};

/// The headers of Standard Webhooks.
pub const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
/// When this try was signed, in Unix seconds.
pub const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// One signature a secret, separated by spaces.
pub const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// A way to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Not at all.
    None,
    /// Symmetric signatures of Standard Webhooks (<https://www.standardwebhooks.com>, v1): three headers.
    StandardWebhooks,
    /// HMAC-SHA256 of the body in one header.
    Hmac(Hmac),
}

/// HMAC-SHA256 of the body, with the newest secret: there is room for one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hmac {
    /// The header that it stands in.
    pub header: HeaderName,
    /// How its bytes are written.
    pub encoding: Encoding,
    /// What stands before it, such as `sha256=`.
    pub prefix: String,
    /// Which bytes of the secret are the key.
    pub key: KeyForm,
}

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Lower-case hexadecimal digits.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// Which bytes of a secret are the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// The UTF-8 bytes of the whole secret, `whsec_` included.
    AsShown,
    /// What the base64 behind `whsec_` stands for.
    Decoded,
}

impl Scheme {
    /// Its name in a format's file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::StandardWebhooks => "standard-webhooks",
            Self::Hmac(_) => "hmac-sha256",
        }
    }

    /// The bytes that are signed; `None` if none are.
    #[must_use]
    pub fn signed(&self, id: EventId, at: Timestamp, body: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::None => None,
            Self::StandardWebhooks => Some([before_body(&id.to_string(), at).as_bytes(), body].concat()),
            Self::Hmac(_) => Some(body.to_vec()),
        }
    }

    /// The headers that it adds to one try. Without secrets, those that need none.
    #[must_use]
    pub fn sign(
        &self,
        secrets: Option<&Secrets>,
        id: EventId,
        at: Timestamp,
        body: &[u8],
    ) -> Vec<(HeaderName, HeaderValue)> {
        match self {
            Self::None => Vec::new(),
            Self::StandardWebhooks => {
                let id = id.to_string();
                let signature = secrets.and_then(|secrets| sign_all(secrets.signing_at(at), &id, at, body));
                let mut headers = Vec::with_capacity(3);
                headers.push((WEBHOOK_ID, plain(id)));
                headers.push((WEBHOOK_TIMESTAMP, HeaderValue::from(at.as_seconds())));
                headers.extend(signature.map(|signature| (WEBHOOK_SIGNATURE, plain(signature))));
                headers
            }
            Self::Hmac(hmac) => secrets
                .map(|secrets| (hmac.header.clone(), plain(hmac.sign(secrets.current(), body))))
                .into_iter()
                .collect(),
        }
    }
}

impl Hmac {
    /// The header's value.
    #[must_use]
    pub fn sign(&self, secret: &SigningSecret, body: &[u8]) -> String {
        let key = match self.key {
            KeyForm::AsShown => secret.reveal().as_bytes(),
            KeyForm::Decoded => secret.key(),
        };
        let digest = keyed(key).chain_update(body).finalize().into_bytes();
        let digest = match self.encoding {
            Encoding::Hex => digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            Encoding::Base64 => BASE64_STANDARD.encode(digest),
        };
        format!("{}{digest}", self.prefix)
    }

    /// Whether the header's value fits, compared in constant time.
    #[must_use]
    pub fn verify(&self, secret: &SigningSecret, body: &[u8], value: &str) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.sign(secret, body).as_bytes(), value.as_bytes()).into()
    }
}

/// One signature of Standard Webhooks: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.
#[must_use]
pub fn sign(secret: &SigningSecret, id: &str, at: Timestamp, body: &[u8]) -> String {
    sign_all([secret].into_iter(), id, at, body).expect("one signature a secret")
}

/// The header's value: one signature a secret, separated by spaces. `None` without secrets.
pub fn sign_all<'a>(
    secrets: impl Iterator<Item = &'a SigningSecret>,
    id: &str,
    at: Timestamp,
    body: &[u8],
) -> Option<String> {
    let before_body = before_body(id, at);
    let mut signatures = String::with_capacity(SIGNATURE_LENGTH);
    for secret in secrets {
        signatures.push_str(if signatures.is_empty() { "v1," } else { " v1," });
        BASE64_STANDARD.encode_string(mac(secret, &before_body, body).finalize().into_bytes(), &mut signatures);
    }
    (!signatures.is_empty()).then_some(signatures)
}

/// Of one signature, in characters.
const SIGNATURE_LENGTH: usize = "v1,".len() + 44;

/// What is signed before the body.
fn before_body(id: &str, at: Timestamp) -> String {
    format!("{id}.{}.", at.as_seconds())
}

/// Whether any signature in the header's value fits, compared in constant time.
#[must_use]
pub fn verify(secret: &SigningSecret, id: &str, at: Timestamp, body: &[u8], header: &str) -> bool {
    let before_body = before_body(id, at);
    header.split(' ').filter_map(|part| part.strip_prefix("v1,")).any(|encoded| {
        BASE64_STANDARD.decode(encoded).is_ok_and(|given| mac(secret, &before_body, body).verify_slice(&given).is_ok())
    })
}

fn mac(secret: &SigningSecret, before_body: &str, body: &[u8]) -> hmac::Hmac<Sha256> {
    keyed(secret.key()).chain_update(before_body).chain_update(body)
}

fn keyed(key: &[u8]) -> hmac::Hmac<Sha256> {
    <hmac::Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn plain(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("ids and signatures are visible ASCII")
}
#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's reference libraries.
    #[test]
    fn matches_the_published_example() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("valid");
        let at = Timestamp::from_micros(1_614_265_330_000_000);
        let header = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(verify(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#, &header));
        assert!(!verify(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232315}"#, &header));
    }

    #[test]
    fn what_is_signed_is_what_the_signature_is_of() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("valid");
        let (id, at) = (EventId::NIL, Timestamp::from_micros(1_614_265_330_000_000));
        let signed = Scheme::StandardWebhooks.signed(id, at, b"{}").expect("signed");
        assert_eq!(signed, format!("{id}.1614265330.{{}}").as_bytes());
        let digest = keyed(secret.key()).chain_update(&signed).finalize().into_bytes();
        assert_eq!(sign(&secret, &id.to_string(), at, b"{}"), format!("v1,{}", BASE64_STANDARD.encode(digest)));
        assert_eq!(Scheme::None.signed(id, at, b"{}"), None);
    }

    proptest::proptest! {
        #[test]
        #[expect(clippy::disallowed_methods, reason = "the public crate compares with the wall clock")]
        fn the_public_crate_accepts_what_we_sign(body in "\\PC*", key in proptest::array::uniform32(0u8..)) {
            let secret = SigningSecret::parse(&format!("whsec_{}", BASE64_STANDARD.encode(key))).expect("valid");
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
            let at = Timestamp::from_micros(i64::try_from(now.as_micros()).expect("fits"));
            let signature = sign_all([&secret].into_iter(), "id", at, body.as_bytes()).expect("one secret");
            let mut headers = http::HeaderMap::new();
            headers.insert("webhook-id", "id".parse().expect("plain"));
            headers.insert("webhook-timestamp", at.as_seconds().to_string().parse().expect("plain"));
            headers.insert("webhook-signature", signature.parse().expect("plain"));
            let verifier = standardwebhooks::Webhook::new(secret.reveal()).expect("valid");
            proptest::prop_assert!(verifier.verify(body.as_bytes(), &headers).is_ok());
        }
    }
}
