//! Credentials: keys, users, links that sign in. They are made only while whoever makes them, and their tenant, live.

use postrider_core::api_key::KeyHash;
use postrider_core::{ApiKeyId, PortalLinkId, TenantId, Timestamp, UserId};

use crate::error::StoreError;

/// Who makes or changes a credential. Their row is locked in the same transaction: if they are revoked before it commits, it
/// does not; if they are revoked later, what they made is found.
#[derive(Clone, Copy, Debug)]
pub enum Maker {
    /// The program itself, or whoever runs it on its machine.
    Installation,
    /// Whoever has a key.
    ApiKey(ApiKeyId),
    /// Somebody who is signed in with a password.
    User {
        /// Who.
        id: UserId,
        /// When the password was set that was given: with another one, the session is over.
        password_set_at: Timestamp,
        /// Their session.
        session: KeyHash,
    },
    /// Somebody who is signed in by a link.
    PortalLink {
        /// Which.
        id: PortalLinkId,
        /// Their session.
        session: KeyHash,
    },
}

/// Why a credential was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Whoever makes it was revoked, signed out or deleted meanwhile.
    #[error("whoever makes it is there no longer")]
    MakerGone,
    /// There is no such tenant, or it was deleted meanwhile.
    #[error("there is no such tenant: {0:?}")]
    NoTenant(TenantId),
    /// There is one of this name, or this very key.
    #[error("there is such a one already")]
    Taken,
    /// It was tried, and failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
