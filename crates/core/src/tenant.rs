//! A customer of the sender, who owns everything else.

use crate::{TenantId, Timestamp};

/// The tenant that every new installation has.
pub const DEFAULT_TENANT: &str = "default";

/// Longest name of a tenant, an API key or the like, in characters.
pub const NAME_LIMIT: usize = 128;

/// A customer of the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// What people call it; unique among the living.
    pub name: String,
    /// The wire format of what does not name one.
    pub default_profile: String,
    /// When it was made.
    pub created_at: Timestamp,
}
