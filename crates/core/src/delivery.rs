//! Deliveries: one event at one target, the one state machine.

use std::fmt;

use crate::profile::Misfit;
use crate::target::TargetId;
use crate::{DeliveryId, EventId, Timestamp};

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// To be tried, now or later.
    Pending,
    /// A 2xx came back.
    Delivered,
    /// It ended without one.
    Failed,
    /// It was never to be tried, or no longer.
    Discarded,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Failed, Self::Discarded];

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
        }
    }

    /// For the store. Zero is pending; the numbers are never reused.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Pending => 0,
            Self::Delivered => 1,
            Self::Failed => 2,
            Self::Discarded => 3,
        }
    }

    /// Back from the store.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

/// Which deliveries a list asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    /// Those in one state.
    Is(DeliveryState),
    /// All but delivered.
    Undelivered,
}

impl StatusFilter {
    /// The filter of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == "undelivered" {
            return Some(Self::Undelivered);
        }
        DeliveryState::ALL.into_iter().find(|state| state.name() == name).map(Self::Is)
    }

    /// The states that pass.
    pub fn states(self) -> impl Iterator<Item = DeliveryState> {
        DeliveryState::ALL.into_iter().filter(move |state| match self {
            Self::Is(one) => one == *state,
            Self::Undelivered => *state != DeliveryState::Delivered,
        })
    }
}

/// Why a delivery failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailReason {
    /// Every try of the schedule failed.
    RetriesExhausted,
    /// Its `expires_at` passed.
    Expired,
    /// The receiver said 410: it wants no more.
    Gone,
    /// It took the process down each time it was tried.
    Poison,
    /// The payload does not fit the wire format.
    Misfit(Misfit),
    /// It waited too long for its endpoint to answer anybody.
    EndpointUnavailable,
}

/// Why a delivery was not to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscardReason {
    /// Its subscription was deactivated.
    WebhookInactive,
    /// Its subscription was deleted.
    WebhookDeleted,
    /// Its callback was deleted.
    CallbackDeleted,
    /// The whole tenant was deleted.
    TenantDeleted,
    /// The wire format sends such an event only under a condition, which is not met; says which.
    ProfileCondition(String),
}

impl FailReason {
    /// The names of all of them.
    pub const NAMES: [&str; 6] = ["retries_exhausted", "expired", "gone", "poison", "misfit", "endpoint_unavailable"];

    /// Its name in the API, without details.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RetriesExhausted => "retries_exhausted",
            Self::Expired => "expired",
            Self::Gone => "gone",
            Self::Poison => "poison",
            Self::Misfit(_) => "misfit",
            Self::EndpointUnavailable => "endpoint_unavailable",
        }
    }
}

impl DiscardReason {
    /// The names of all of them.
    pub const NAMES: [&str; 5] =
        ["webhook_inactive", "webhook_deleted", "callback_deleted", "tenant_deleted", "profile_condition"];

    /// Its name in the API, without details.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::WebhookInactive => "webhook_inactive",
            Self::WebhookDeleted => "webhook_deleted",
            Self::CallbackDeleted => "callback_deleted",
            Self::TenantDeleted => "tenant_deleted",
            Self::ProfileCondition(_) => "profile_condition",
        }
    }

    /// One that concerns all that is pending to a target, by its name.
    #[must_use]
    pub fn of_target(name: &str) -> Option<Self> {
        let all = [Self::WebhookInactive, Self::WebhookDeleted, Self::CallbackDeleted, Self::TenantDeleted];
        all.into_iter().find(|reason| reason.name() == name)
    }
}

/// As the API shows it: its name, and what there is to say besides.
impl fmt::Display for FailReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misfit(misfit) => write!(f, "{}: {misfit}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

/// As the API shows it: its name, and what there is to say besides.
impl fmt::Display for DiscardReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProfileCondition(unmet) => write!(f, "{}: {unmet}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

/// A delivery as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id; the same on every try, also after a manual retry.
    pub id: DeliveryId,
    /// What it carries.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: String,
    /// Whose endpoint.
    pub target: TargetId,
    /// Where to, as the target says now; of one that ended, where it went last.
    pub url: String,
    /// The wire format's name.
    pub profile: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it ended so; `None` while pending and when delivered.
    pub reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is tried next, while pending.
    pub next_attempt_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undelivered_is_all_but_delivered() {
        let states: Vec<_> = StatusFilter::Undelivered.states().collect();
        assert_eq!(states, [DeliveryState::Pending, DeliveryState::Failed, DeliveryState::Discarded]);
        assert_eq!(StatusFilter::named("failed"), Some(StatusFilter::Is(DeliveryState::Failed)));
        assert_eq!(StatusFilter::named("lost"), None);
    }

    #[test]
    fn codes_are_kept() {
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::from_code(state.code()), Some(state));
        }
        assert_eq!(DeliveryState::Pending.code(), 0);
        assert_eq!(DeliveryState::from_code(9), None);
    }
}
