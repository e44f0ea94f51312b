//! Credentials and what they permit.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{ApiKeyId, TenantId, Timestamp, World};

/// Shortest key that may be given from outside, in characters (`POSTRIDER_BOOTSTRAP_API_KEY`).
pub const MIN_KEY_LENGTH: usize = 32;

/// One thing that a key may permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Look at everything of the tenant.
    Read,
    /// Publish events.
    Publish,
    /// Change subscriptions; includes [`Scope::Read`].
    Manage,
    /// Look at what a tenant hides of its payloads too.
    Payloads,
    /// Everything, in every tenant.
    Admin,
}

impl Scope {
    /// Every scope, weakest first.
    pub const ALL: [Self; 5] = [Self::Read, Self::Publish, Self::Manage, Self::Payloads, Self::Admin];

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Publish => "publish",
            Self::Manage => "manage",
            Self::Payloads => "payloads",
            Self::Admin => "admin",
        }
    }

    /// The scope of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    const fn bit(self) -> i64 {
        match self {
            Self::Read => 1,
            Self::Publish => 2,
            Self::Manage => 4,
            Self::Admin => 8,
            Self::Payloads => 16,
        }
    }

    /// This scope and all that it includes.
    const fn implied(self) -> i64 {
        match self {
            Self::Read | Self::Publish | Self::Payloads => self.bit(),
            Self::Manage => self.bit() | Self::Read.bit(),
            Self::Admin => 31,
        }
    }
}

/// A set of scopes, as granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(i64);

impl Scopes {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Read back from the store.
    #[must_use]
    pub const fn from_bits(bits: i64) -> Self {
        Self(bits & 31)
    }

    /// For the store.
    #[must_use]
    pub const fn bits(self) -> i64 {
        self.0
    }

    /// Whether any granted scope is or includes `scope`.
    #[must_use]
    pub fn permits(self, scope: Scope) -> bool {
        self.iter().any(|granted| granted.implied() & scope.bit() != 0)
    }

    /// Whether this set permits all that `other` does: a key may only make keys of that kind.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        other.iter().all(|scope| self.permits(scope))
    }

    /// Whether nothing is granted.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The granted scopes, weakest first.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// SHA-256 of a whole key. Keys have 256 random bits, so a fast hash is enough.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// The credential itself, shown once.
pub struct PlainKey(Zeroizing<String>);

impl PlainKey {
    /// A new random key: `prk_` and 43 characters of base64url.
    #[must_use]
    pub fn generate(world: &World) -> Self {
        Self::generate_with("prk_", world)
    }

    /// The same of another kind, which its prefix names.
    #[must_use]
    pub fn generate_with(prefix: &str, world: &World) -> Self {
        let bytes = Zeroizing::new(world.random_bytes::<32>());
        Self(Zeroizing::new(format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(*bytes))))
    }

    /// A key that came from outside.
    #[must_use]
    pub fn given(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// For the one answer that shows it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the store keeps.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainKey(…)")
    }
}

/// A credential as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What people call it.
    pub name: String,
    /// What it permits.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to a minute.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it may be used at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manage_includes_read_and_admin_includes_all() {
        let manage: Scopes = [Scope::Manage].into_iter().collect();
        assert!(manage.permits(Scope::Read) && !manage.permits(Scope::Publish));
        let admin: Scopes = [Scope::Admin].into_iter().collect();
        assert!(Scope::ALL.into_iter().all(|scope| admin.permits(scope)));
    }

    #[test]
    fn a_key_makes_no_stronger_key() {
        let manage: Scopes = [Scope::Manage].into_iter().collect();
        assert!(manage.covers([Scope::Read].into_iter().collect()));
        assert!(!manage.covers([Scope::Read, Scope::Publish].into_iter().collect()));
        assert!(!manage.covers(Scopes::all()));
    }
}
