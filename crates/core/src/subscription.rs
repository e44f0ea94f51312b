//! Subscriptions: event type → URL.

use std::time::Duration;

use crate::event_type::{self, EventTypeName};
use crate::filter::Filter;
use crate::headers::StaticHeaders;
use crate::lanes::LaneId;
use crate::schedule::RetrySchedule;
use crate::secret::Secrets;
use crate::target_url::TargetUrl;
use crate::{SubscriptionId, TenantId, Timestamp};

/// Longest description, in characters.
pub const DESCRIPTION_LIMIT: usize = 1024;

/// How long both secrets sign after a rotation, unless said otherwise.
pub const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest overlap of a rotation.
pub const MAX_OVERLAP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The whole time one attempt may take: 1–30 s, 15 s unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptTimeout(u8);

impl AttemptTimeout {
    /// From whole seconds; `None` outside 1–30.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        u8::try_from(seconds).ok().filter(|s| (1..=30).contains(s)).map(Self)
    }

    /// In whole seconds.
    #[must_use]
    pub fn seconds(self) -> i64 {
        i64::from(self.0)
    }

    /// As a duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }
}

impl Default for AttemptTimeout {
    fn default() -> Self {
        Self(15)
    }
}

/// What can be chosen, at creation and later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to.
    pub url: TargetUrl,
    /// Whether it receives anything.
    pub is_active: bool,
    /// For people.
    pub description: String,
    /// What the payload must match.
    pub filters: Filter,
    /// The wire format's name.
    pub profile: String,
    /// When a failed delivery is tried again.
    pub retry_schedule: RetrySchedule,
    /// How long one attempt may take; as long as the format says, if `None`.
    pub timeout: Option<AttemptTimeout>,
    /// Sent with each request.
    pub headers: StaticHeaders,
}

/// An event type → URL subscription, as deliveries need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What it receives; never changes.
    pub event_type: EventTypeName,
    /// What can be chosen.
    pub settings: Settings,
    /// What signs.
    pub secrets: Secrets,
    /// The lane of its URL.
    pub lane: LaneId,
    /// Deliveries that were opened at an earlier version of the catalogue were discarded when it was deactivated, and are not
    /// revived.
    pub discard_before: Option<i64>,
    /// When it was last deactivated.
    pub discard_through: Option<Timestamp>,
    /// When it was last activated.
    pub active_since: Timestamp,
    /// When its filter or format was last changed: what they say of earlier events, they said later.
    pub filters_changed_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Subscription {
    /// Whether an event of this type is for it: exactly its type, or any for `all`.
    #[must_use]
    pub fn receives(&self, event_type: &EventTypeName) -> bool {
        self.settings.is_active && (self.event_type == *event_type || self.event_type.as_str() == event_type::ALL)
    }
}

/// What is counted of a subscription or callback: deliveries that reached an end, and the last attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetStats {
    /// Ended `delivered`.
    pub successful: i64,
    /// Ended `failed`.
    pub failed: i64,
    /// Events that its filter turned away: they made no delivery.
    pub filtered: i64,
    /// When the last attempt began.
    pub last_triggered_at: Option<Timestamp>,
}
