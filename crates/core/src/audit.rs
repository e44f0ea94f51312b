//! Who changed, sent again or looked at what.

use uuid::Uuid;

use crate::{ApiKeyId, AuditId, PortalLinkId, TenantId, Timestamp, UserId};

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody with a key, under the name that it had.
    ApiKey(ApiKeyId, String),
    /// Somebody who signed in, under the name that they had.
    User(UserId, String),
    /// Somebody who came by a link.
    PortalLink(PortalLinkId),
    /// Somebody at the command line of the machine.
    CommandLine,
    /// The program by itself.
    Postrider,
}

impl Actor {
    /// What kind it is, in the API.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ApiKey(..) => "api_key",
            Self::User(..) => "user",
            Self::PortalLink(_) => "portal_link",
            Self::CommandLine => "command_line",
            Self::Postrider => "postrider",
        }
    }

    /// The id of whoever it is.
    #[must_use]
    pub const fn id(&self) -> Option<Uuid> {
        match self {
            Self::ApiKey(id, _) => Some(id.uuid()),
            Self::User(id, _) => Some(id.uuid()),
            Self::PortalLink(id) => Some(id.uuid()),
            Self::CommandLine | Self::Postrider => None,
        }
    }

    /// The name that it had.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::ApiKey(_, name) | Self::User(_, name) => Some(name),
            Self::PortalLink(_) | Self::CommandLine | Self::Postrider => None,
        }
    }

    /// For the store.
    #[must_use]
    pub const fn code(&self) -> i64 {
        match self {
            Self::CommandLine => 0,
            Self::ApiKey(..) => 1,
            Self::User(..) => 2,
            Self::PortalLink(_) => 3,
            Self::Postrider => 4,
        }
    }

    /// Read back from the store.
    #[must_use]
    pub fn from_stored(code: i64, id: Option<Uuid>, name: Option<String>) -> Option<Self> {
        match (code, id, name) {
            (0, None, None) => Some(Self::CommandLine),
            (1, Some(id), Some(name)) => Some(Self::ApiKey(id.into(), name)),
            (2, Some(id), Some(name)) => Some(Self::User(id.into(), name)),
            (4, None, None) => Some(Self::Postrider),
            (3, Some(id), None) => Some(Self::PortalLink(id.into())),
            _ => None,
        }
    }
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
