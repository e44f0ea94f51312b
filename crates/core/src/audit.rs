//! Who changed, sent again or looked at what.

use crate::{ApiKeyId, AuditId, TenantId, Timestamp};

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody with a key, under the name that it had.
    ApiKey(ApiKeyId, String),
    /// Somebody at the command line of the machine.
    CommandLine,
}

/// One thing that was done. Entries are written once, and neither changed nor removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id; in the order of time.
    pub id: AuditId,
    /// Whose it was done to.
    pub tenant_id: TenantId,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What was done, such as `webhook.updated`.
    pub action: String,
    /// What it was done to: an id, or a name where those are the ids.
    pub object_id: Option<String>,
    /// The request that did it.
    pub request_id: Option<String>,
    /// Where the request came from.
    pub remote_address: Option<String>,
}
