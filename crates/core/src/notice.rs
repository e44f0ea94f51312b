//! What the sender is told of its installation: events in a tenant of its own.

use serde_json::{Value, json};

use crate::failing::Streak;
use crate::target::TargetId;
use crate::{DeliveryId, EventId, ReplayId, SubscriptionId, TenantId, Timestamp};

/// The tenant that is told, once it is made: whoever subscribes in it hears of all others.
pub const OPERATIONS_TENANT: &str = "operations";

/// The group of its event types.
pub const GROUP: &str = "Operations";

/// Told only if somebody subscribes to it: it can be very many.
pub const DELIVERY_FAILED: &str = "delivery.failed";

/// The types of its events, and what they mean.
pub const EVENT_TYPES: [(&str, &str); 4] = [
    ("webhook.failing", "All attempts of a webhook have failed for a while; it says when it will be deactivated"),
    ("webhook.deactivated", "A webhook was deactivated, because it failed for too long or its receiver said 410 Gone"),
    (DELIVERY_FAILED, "A delivery ended without success"),
    ("replay.finished", "A replay of a period has ended"),
];

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A subscription fails, and has for a part of the time after which it is deactivated.
    WebhookFailing {
        /// Whose.
        tenant_id: TenantId,
        /// Which.
        id: SubscriptionId,
        /// Where it leads.
        url: String,
        /// Since when, and how often.
        streak: Streak,
        /// When it is deactivated, if it goes on so.
        deactivates_at: Timestamp,
    },
    /// A subscription was deactivated by itself.
    WebhookDeactivated {
        /// Whose.
        tenant_id: TenantId,
        /// Which.
        id: SubscriptionId,
        /// Where it leads.
        url: String,
        /// How it failed; `None` if its receiver wants no more.
        streak: Option<Streak>,
    },
    /// A delivery ended without success.
    DeliveryFailed {
        /// Whose.
        tenant_id: TenantId,
        /// Which.
        id: DeliveryId,
        /// What it carried.
        event_id: EventId,
        /// The event's type.
        event_type: String,
        /// Where to.
        target: TargetId,
        /// Why.
        reason: Option<String>,
        /// When.
        failed_at: Timestamp,
    },
    /// A replay has ended.
    ReplayFinished {
        /// Whose.
        tenant_id: TenantId,
        /// Which.
        id: ReplayId,
        /// Deliveries that were opened or made.
        replayed: i64,
        /// Those that could not be.
        skipped: i64,
    },
}

impl Notice {
    /// The type of the event that tells it.
    #[must_use]
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::WebhookFailing { .. } => EVENT_TYPES[0].0,
            Self::WebhookDeactivated { .. } => EVENT_TYPES[1].0,
            Self::DeliveryFailed { .. } => EVENT_TYPES[2].0,
            Self::ReplayFinished { .. } => EVENT_TYPES[3].0,
        }
    }

    /// The event's payload.
    #[must_use]
    pub fn payload(&self) -> Value {
        match self {
            Self::WebhookFailing { tenant_id, id, url, streak, deactivates_at } => json!({
                "tenant_id": tenant_id, "webhook_id": id, "webhook_url": url, "failing_since": streak.since,
                "failed_attempts": streak.attempts, "last_failed_at": streak.last_at, "deactivates_at": deactivates_at,
            }),
            Self::WebhookDeactivated { tenant_id, id, url, streak } => json!({
                "tenant_id": tenant_id, "webhook_id": id, "webhook_url": url,
                "reason": if streak.is_some() { "failing" } else { "gone" },
                "failing_since": streak.map(|streak| streak.since),
                "failed_attempts": streak.map(|streak| streak.attempts),
            }),
            Self::DeliveryFailed { tenant_id, id, event_id, event_type, target, reason, failed_at } => json!({
                "tenant_id": tenant_id, "delivery_id": id, "event_id": event_id, "event_type": event_type,
                "webhook_id": target.subscription_id(), "callback_id": target.callback_id(), "reason": reason,
                "failed_at": failed_at,
            }),
            Self::ReplayFinished { tenant_id, id, replayed, skipped } => json!({
                "tenant_id": tenant_id, "replay_id": id, "replayed": replayed, "skipped": skipped,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::event_type::EventTypeName;

    #[test]
    fn what_is_told_names_what_it_is_about() {
        let streak = Streak { since: Timestamp::from_micros(0), last_at: Timestamp::from_micros(1), attempts: 2 };
        let (tenant_id, id) = (TenantId::from(Uuid::from_u128(1)), SubscriptionId::from(Uuid::from_u128(2)));
        let url = "https://a.example/".to_owned();
        let gone = Notice::WebhookDeactivated { tenant_id, id, url: url.clone(), streak: None };
        assert_eq!((gone.event_type(), &gone.payload()["reason"]), ("webhook.deactivated", &json!("gone")));
        let failing = Notice::WebhookDeactivated { tenant_id, id, url, streak: Some(streak) };
        assert_eq!(failing.payload()["failing_since"], "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(failing.payload()["webhook_id"], "00000000-0000-0000-0000-000000000002");
    }

    #[test]
    fn its_types_can_be_subscribed_to() {
        for (name, _) in EVENT_TYPES {
            assert!(EventTypeName::parse(name).is_some_and(|name| !name.is_special()), "{name}");
        }
    }
}
