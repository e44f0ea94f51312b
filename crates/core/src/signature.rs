//! The symmetric signature of Standard Webhooks (<https://www.standardwebhooks.com>, v1).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Timestamp;
use crate::secret::SigningSecret;

/// One signature: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.
#[must_use]
pub fn sign(secret: &SigningSecret, id: &str, at: Timestamp, body: &[u8]) -> String {
    let digest = mac(secret, id, at, body).finalize().into_bytes();
    format!("v1,{}", BASE64_STANDARD.encode(digest))
}

/// The header's value: one signature a secret, separated by spaces. `None` without secrets.
pub fn sign_all<'a>(
    secrets: impl Iterator<Item = &'a SigningSecret>,
    id: &str,
    at: Timestamp,
    body: &[u8],
) -> Option<String> {
    let signatures: Vec<String> = secrets.map(|secret| sign(secret, id, at, body)).collect();
    (!signatures.is_empty()).then(|| signatures.join(" "))
}

/// Whether any signature in the header's value fits, compared in constant time.
#[must_use]
pub fn verify(secret: &SigningSecret, id: &str, at: Timestamp, body: &[u8], header: &str) -> bool {
    header.split(' ').filter_map(|part| part.strip_prefix("v1,")).any(|encoded| {
        BASE64_STANDARD.decode(encoded).is_ok_and(|given| mac(secret, id, at, body).verify_slice(&given).is_ok())
    })
}

fn mac(secret: &SigningSecret, id: &str, at: Timestamp, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.key()).expect("HMAC takes keys of any length");
    mac.update(id.as_bytes());
    mac.update(b".");
    mac.update(at.as_seconds().to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac
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
