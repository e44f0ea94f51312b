//! Who signs in, and for how long.

use std::time::Duration;

use crate::role::Role;
use crate::{PortalLinkId, TenantId, Timestamp, UserId};

/// Longest name of a user, in characters.
pub const USER_NAME_LIMIT: usize = 64;

/// Somebody who signs in with a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// What they sign in with; unique in the installation.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Where; none for operators.
    pub tenant_id: Option<TenantId>,
    /// When they were added.
    pub created_at: Timestamp,
    /// When the password was last set: what was signed in with another is over.
    pub password_set_at: Timestamp,
}

/// Whether this can be a user's name: letters, digits and `.`, `_`, `-`, `+`, `@`.
#[must_use]
pub fn is_user_name(name: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "._-+@".contains(c);
    (1..=USER_NAME_LIMIT).contains(&name.len()) && name.chars().all(is_fit)
}

/// A link that signs a tenant's own user in, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalLink {
    /// The id.
    pub id: PortalLinkId,
    /// Where it leads.
    pub tenant_id: TenantId,
    /// What whoever comes by it may do; a tenant's role.
    pub role: Role,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// For how long somebody stays signed in.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Without doing anything.
    pub idle: Duration,
    /// In all.
    pub absolute: Duration,
}

impl SessionLimits {
    /// Eight hours without a request, a week in all.
    pub const USUAL: Self =
        Self { idle: Duration::from_secs(8 * 60 * 60), absolute: Duration::from_secs(7 * 24 * 60 * 60) };

    /// When a session is over, if nothing more is done.
    #[must_use]
    pub fn ends_at(self, signed_in_at: Timestamp, seen_at: Timestamp) -> Timestamp {
        (seen_at + self.idle).min(signed_in_at + self.absolute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["anna", "anna.b+c@example.com", "A-1_x"] {
            assert!(is_user_name(good), "{good}");
        }
        for bad in ["", "a b", "ä", "a/b", "<b>", &"x".repeat(65)] {
            assert!(!is_user_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_session_ends_when_it_is_idle_or_old() {
        let (limits, hour) = (SessionLimits::USUAL, Duration::from_secs(3600));
        let start = Timestamp::from_micros(0);
        assert_eq!(limits.ends_at(start, start), start + 8 * hour);
        assert_eq!(limits.ends_at(start, start + 165 * hour), start + 168 * hour);
    }
}
