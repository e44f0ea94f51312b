//! Callbacks: where the events of one resource go, as said when the resource was created.

use std::sync::Arc;

use crate::event_type::EventTypeName;
use crate::lanes::LaneId;
use crate::target_url::TargetUrl;
use crate::{CallbackId, TenantId, Timestamp};

/// Most callbacks of one resource.
pub const PER_RESOURCE_LIMIT: usize = 20;

/// A subscription to one resource. Never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// Its id.
    pub id: CallbackId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What it is about.
    pub resource_id: String,
    /// Where to.
    pub url: TargetUrl,
    /// The wire format's name.
    pub profile: String,
    /// Sent with each event: a JSON object.
    pub metadata: Option<Arc<str>>,
    /// The only types it receives; all if `None`.
    pub event_types: Option<Vec<EventTypeName>>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Callback {
    /// Whether it receives events of this type of its resource.
    #[must_use]
    pub fn receives(&self, event_type: &EventTypeName) -> bool {
        self.event_types.as_ref().is_none_or(|wanted| wanted.contains(event_type))
    }

    /// The lane of its URL.
    #[must_use]
    pub fn lane(&self) -> LaneId {
        LaneId::of(self.tenant_id, &self.url)
    }
}
