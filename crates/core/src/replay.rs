//! Sending again what happened in a period.

use std::time::Duration;

use crate::delivery::DeliveryState;
use crate::target::TargetId;
use crate::{ReplayId, SubscriptionId, TenantId, Timestamp};

/// Deliveries opened in a second, unless said otherwise.
pub const DEFAULT_RATE: u32 = 100;
/// The most.
pub const MAX_RATE: u32 = 1_000;
/// Deliveries opened at once: accepts wait for no more than that.
const MOST_AT_ONCE: u32 = 25;
/// How often a second some are opened.
const TURNS: u32 = 5;

/// Which deliveries are sent again, by how they ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayStatus {
    /// Those in one state, which is an end.
    Ended(DeliveryState),
    /// Those that failed or were discarded and, if one subscription is meant, what it missed.
    Undelivered,
    /// Events that were for the subscription as it was then, and of which no delivery to it was made, since it was inactive.
    /// Whoever did not exist yet missed nothing.
    Missed,
}

impl ReplayStatus {
    /// Every status, with its name in the API.
    pub const ALL: [(&str, Self); 5] = [
        ("undelivered", Self::Undelivered),
        ("failed", Self::Ended(DeliveryState::Failed)),
        ("discarded", Self::Ended(DeliveryState::Discarded)),
        ("delivered", Self::Ended(DeliveryState::Delivered)),
        ("missed", Self::Missed),
    ];

    /// The status of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, status)| status)
    }

    /// Its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, status)| *status == self).map_or("", |(name, _)| name)
    }
}

/// What is sent again: of events that were accepted in a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayScope {
    /// Only to this subscription.
    pub subscription_id: Option<SubscriptionId>,
    /// Only events of this type.
    pub event_type: Option<String>,
    /// How their deliveries ended.
    pub status: ReplayStatus,
    /// Accepted at or after.
    pub since: Timestamp,
    /// Accepted before.
    pub until: Timestamp,
}

impl ReplayScope {
    /// Whether deliveries that are there are meant.
    #[must_use]
    pub fn wants_existing(&self) -> bool {
        self.status != ReplayStatus::Missed
    }

    /// The subscription of which missing deliveries are meant too.
    #[must_use]
    pub fn wants_missed(&self) -> Option<SubscriptionId> {
        let is_meant = matches!(self.status, ReplayStatus::Missed | ReplayStatus::Undelivered);
        self.subscription_id.filter(|_| is_meant)
    }

    /// Whether an event is of the period and the type.
    #[must_use]
    pub fn covers(&self, event_type: &str, created_at: Timestamp) -> bool {
        let is_of_type = self.event_type.as_deref().is_none_or(|wanted| wanted == event_type);
        is_of_type && (self.since..self.until).contains(&created_at)
    }

    /// Whether a delivery of such an event is meant.
    #[must_use]
    pub fn means(&self, target: TargetId, state: DeliveryState) -> bool {
        let is_there = self.subscription_id.is_none_or(|wanted| target == TargetId::Subscription(wanted));
        is_there && self.means_state(state)
    }

    /// Whether deliveries that ended so are meant. What is pending is not.
    #[must_use]
    pub fn means_state(&self, state: DeliveryState) -> bool {
        match self.status {
            ReplayStatus::Ended(wanted) => state == wanted && state != DeliveryState::Pending,
            ReplayStatus::Undelivered => matches!(state, DeliveryState::Failed | DeliveryState::Discarded),
            ReplayStatus::Missed => false,
        }
    }
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayState {
    /// Deliveries are opened.
    Running,
    /// None are, until it is resumed.
    Paused,
    /// All were.
    Finished,
    /// No more will be. Those that were opened stay so.
    Canceled,
}

impl ReplayState {
    /// Every state; the place is its code in the store.
    pub const ALL: [Self; 4] = [Self::Running, Self::Paused, Self::Finished, Self::Canceled];

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Canceled => "canceled",
        }
    }

    /// For the store.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Running => 0,
            Self::Paused => 1,
            Self::Finished => 2,
            Self::Canceled => 3,
        }
    }

    /// Back from the store.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Whether it can become `next` by hand.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match next {
            Self::Running => matches!(self, Self::Paused),
            Self::Paused => matches!(self, Self::Running),
            Self::Canceled => matches!(self, Self::Running | Self::Paused),
            Self::Finished => false,
        }
    }
}

/// A replay and how far it is.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Its id.
    pub id: ReplayId,
    /// Whose.
    pub tenant_id: TenantId,
    /// What is sent again.
    pub scope: ReplayScope,
    /// Deliveries opened in a second, at most.
    pub rate: u32,
    /// Where it stands.
    pub state: ReplayState,
    /// What was found when it was made.
    pub total: Count,
    /// Deliveries that were opened or made.
    pub replayed: i64,
    /// Those that could not be: their target is gone or inactive, their payload no longer kept, or somebody else had
    /// opened them.
    pub skipped: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it went on last.
    pub updated_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Replay {
    /// How much of it is done, from 0 to 1, as far as that can be known.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share, for people")]
    pub fn progress(&self) -> f64 {
        match self.state {
            ReplayState::Finished => 1.0,
            _ if self.total.count == 0 => 0.0,
            // More may have come to be meant since they were counted.
            _ => ((self.replayed + self.skipped) as f64 / self.total.count as f64).min(0.99),
        }
    }
}

/// How many deliveries a replay means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// So many were found.
    pub count: i64,
    /// Whether these are all; if not, the search was given up for now.
    pub is_exact: bool,
}

/// How many deliveries are opened at once, and how long after that the next.
#[must_use]
pub fn pace(rate: u32) -> (u32, Duration) {
    let at_once = (rate / TURNS).clamp(1, MOST_AT_ONCE);
    (at_once, Duration::from_secs(1) * at_once / rate.max(1))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use uuid::Uuid;

    use super::*;

    #[rstest]
    #[case(1, 1, 1_000)]
    #[case(4, 1, 250)]
    #[case(100, 20, 200)]
    #[case(1_000, 25, 25)]
    fn the_pace_keeps_the_rate(#[case] rate: u32, #[case] at_once: u32, #[case] millis: u64) {
        assert_eq!(pace(rate), (at_once, Duration::from_millis(millis)));
    }

    fn scope(status: ReplayStatus, subscription_id: Option<SubscriptionId>) -> ReplayScope {
        let (since, until) = (Timestamp::from_micros(10), Timestamp::from_micros(20));
        ReplayScope { subscription_id, event_type: Some("a.b".to_owned()), status, since, until }
    }

    #[test]
    fn the_period_has_a_beginning_and_ends_before_its_end() {
        let scope = scope(ReplayStatus::Undelivered, None);
        let covered = |micros| scope.covers("a.b", Timestamp::from_micros(micros));
        assert_eq!([9, 10, 19, 20].map(covered), [false, true, true, false]);
        assert!(!scope.covers("a.c", Timestamp::from_micros(15)));
    }

    #[test]
    fn what_is_pending_is_never_meant() {
        let target = TargetId::Subscription(Uuid::from_u128(1).into());
        for (name, status) in ReplayStatus::ALL {
            assert!(!scope(status, None).means(target, DeliveryState::Pending), "{name}");
            assert_eq!(ReplayStatus::named(name).map(ReplayStatus::name), Some(name));
        }
        let meant = |status| DeliveryState::ALL.map(|state| scope(status, None).means(target, state));
        assert_eq!(meant(ReplayStatus::Undelivered), [false, false, true, true]);
        assert_eq!(meant(ReplayStatus::Ended(DeliveryState::Delivered)), [false, true, false, false]);
    }

    #[test]
    fn only_one_subscription_can_have_missed_something() {
        let id = SubscriptionId::from(Uuid::from_u128(1));
        assert_eq!(scope(ReplayStatus::Undelivered, None).wants_missed(), None);
        assert_eq!(scope(ReplayStatus::Undelivered, Some(id)).wants_missed(), Some(id));
        assert_eq!(scope(ReplayStatus::Ended(DeliveryState::Failed), Some(id)).wants_missed(), None);
        let other = TargetId::Subscription(Uuid::from_u128(2).into());
        assert!(!scope(ReplayStatus::Undelivered, Some(id)).means(other, DeliveryState::Failed));
    }

    #[test]
    fn what_has_ended_stays_so() {
        for ended in [ReplayState::Finished, ReplayState::Canceled] {
            assert!(ReplayState::ALL.iter().all(|next| !ended.may_become(*next)));
        }
        assert!(ReplayState::Paused.may_become(ReplayState::Running));
    }
}
