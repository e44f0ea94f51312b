//! Signing secrets: `whsec_` and base64, one current, older ones overlapping during a rotation.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Timestamp, World};

const PREFIX: &str = "whsec_";

/// A secret that signs deliveries. Shown once; its `Debug` hides it; wiped from memory when the last clone
/// is dropped. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Arc<Forms>);

#[derive(PartialEq, Eq)]
struct Forms {
    shown: Zeroizing<String>,
    key: Zeroizing<Vec<u8>>,
}

impl SigningSecret {
    /// A new secret of 32 random bytes.
    #[must_use]
    pub fn generate(world: &World) -> Self {
        let key = Zeroizing::new(world.random_bytes::<32>().to_vec());
        let shown = Zeroizing::new(format!("{PREFIX}{}", BASE64_STANDARD.encode(&*key)));
        Self(Arc::new(Forms { shown, key }))
    }

    /// Reads a secret as it was shown; `None` unless it is `whsec_` and base64 of at least one byte.
    #[must_use]
    pub fn parse(shown: &str) -> Option<Self> {
        let key = BASE64_STANDARD.decode(shown.strip_prefix(PREFIX)?).ok()?;
        let (shown, key) = (Zeroizing::new(shown.to_owned()), Zeroizing::new(key));
        (!key.is_empty()).then(|| Self(Arc::new(Forms { shown, key })))
    }

    /// For the one answer that shows it, and for the vault.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0.shown
    }

    /// The HMAC key of Standard Webhooks: the decoded part after the prefix.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.0.key
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(whsec_…)")
    }
}

/// The secrets of one subscription: the current one and those that still sign beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    current: SigningSecret,
    previous: Vec<(SigningSecret, Timestamp)>,
}

/// How the vault's plain text looks. Never leaves this module unsealed.
#[derive(Serialize, Deserialize)]
struct Stored {
    current: String,
    previous: Vec<(String, i64)>,
}

impl Secrets {
    /// At most this many older secrets overlap; the oldest go first.
    pub const PREVIOUS_LIMIT: usize = 4;

    /// A first secret.
    #[must_use]
    pub const fn new(current: SigningSecret) -> Self {
        Self { current, previous: Vec::new() }
    }

    /// The newest secret.
    #[must_use]
    pub const fn current(&self) -> &SigningSecret {
        &self.current
    }

    /// Those that sign at `now`, the newest first.
    pub fn signing_at(&self, now: Timestamp) -> impl Iterator<Item = &SigningSecret> {
        let overlapping = self.previous.iter().filter(move |(_, until)| now < *until);
        std::iter::once(&self.current).chain(overlapping.map(|(secret, _)| secret))
    }

    /// The same with `next` as the current secret. The former signs beside it until `until`, and those
    /// before it no longer than that: without an overlap, `next` alone signs.
    #[must_use]
    pub fn rotated(&self, next: SigningSecret, now: Timestamp, until: Timestamp) -> Self {
        let earlier = self.previous.iter().map(|(secret, end)| (secret.clone(), (*end).min(until)));
        let former = std::iter::once((self.current.clone(), until)).chain(earlier);
        let previous = former.filter(|(_, end)| now < *end).take(Self::PREVIOUS_LIMIT).collect();
        Self { current: next, previous }
    }

    /// Plain text for the vault.
    #[must_use]
    pub fn to_plain(&self) -> Zeroizing<Vec<u8>> {
        let stored = Stored {
            current: self.current.reveal().to_owned(),
            previous: self.previous.iter().map(|(s, until)| (s.reveal().to_owned(), until.as_micros())).collect(),
        };
        Zeroizing::new(serde_json::to_vec(&stored).unwrap_or_default())
    }

    /// Back from the vault.
    #[must_use]
    pub fn from_plain(plain: &[u8]) -> Option<Self> {
        let stored: Stored = serde_json::from_slice(plain).ok()?;
        let previous = stored
            .previous
            .iter()
            .map(|(shown, until)| Some((SigningSecret::parse(shown)?, Timestamp::from_micros(*until))))
            .collect::<Option<_>>()?;
        Some(Self { current: SigningSecret::parse(&stored.current)?, previous })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(fill: u8) -> SigningSecret {
        SigningSecret::parse(&format!("whsec_{}", BASE64_STANDARD.encode([fill; 32]))).expect("valid")
    }

    #[test]
    fn debug_hides_the_secret() {
        assert_eq!(format!("{:?}", secret(1)), "SigningSecret(whsec_…)");
    }

    #[test]
    fn both_secrets_sign_until_the_overlap_ends() {
        let at = Timestamp::from_micros;
        let secrets = Secrets::new(secret(1)).rotated(secret(2), at(10), at(20));
        assert_eq!(secrets.signing_at(at(19)).collect::<Vec<_>>(), [&secret(2), &secret(1)]);
        assert_eq!(secrets.signing_at(at(20)).collect::<Vec<_>>(), [&secret(2)]);
    }

    #[test]
    fn no_overlap_keeps_nothing_and_the_vault_keeps_all() {
        let at = Timestamp::from_micros;
        let secrets = Secrets::new(secret(1)).rotated(secret(2), at(10), at(10));
        assert_eq!(secrets, Secrets::new(secret(2)));
        let rotated = secrets.rotated(secret(3), at(10), at(30));
        assert_eq!(Secrets::from_plain(&rotated.to_plain()), Some(rotated.clone()));
        assert_eq!(rotated.rotated(secret(4), at(20), at(20)), Secrets::new(secret(4)), "earlier ones end too");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for text in ["", "whsec_", "whsec_!!", "AAAA"] {
            assert_eq!(SigningSecret::parse(text), None, "{text}");
        }
    }
}
