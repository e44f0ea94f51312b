//! Targets: what a delivery goes to.

use std::sync::Arc;

use uuid::Uuid;

use crate::callback::Callback;
use crate::event::{Event, OneOff};
use crate::headers::StaticHeaders;
use crate::profile::Profile;
use crate::schedule::RetrySchedule;
use crate::secret::Secrets;
use crate::subscription::{AttemptTimeout, Subscription};
use crate::target_url::TargetUrl;
use crate::{CallbackId, EventId, SubscriptionId};

/// Which target. An event has at most one delivery to each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetId {
    /// A subscription.
    Subscription(SubscriptionId),
    /// A callback.
    Callback(CallbackId),
    /// The URL that was published with this event.
    OneOff(EventId),
}

impl TargetId {
    /// For the store: which kind, by a number that is never reused.
    #[must_use]
    pub const fn kind(self) -> i64 {
        match self {
            Self::Subscription(_) => 0,
            Self::Callback(_) => 1,
            Self::OneOff(_) => 2,
        }
    }

    /// For the store: which one.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        match self {
            Self::Subscription(id) => id.uuid(),
            Self::Callback(id) => id.uuid(),
            Self::OneOff(id) => id.uuid(),
        }
    }

    /// Back from the store.
    #[must_use]
    pub fn from_stored(kind: i64, id: Uuid) -> Option<Self> {
        match kind {
            0 => Some(Self::Subscription(id.into())),
            1 => Some(Self::Callback(id.into())),
            2 => Some(Self::OneOff(id.into())),
            _ => None,
        }
    }

    /// The subscription that it is.
    #[must_use]
    pub const fn subscription_id(self) -> Option<SubscriptionId> {
        if let Self::Subscription(id) = self { Some(id) } else { None }
    }

    /// The callback that it is.
    #[must_use]
    pub const fn callback_id(self) -> Option<CallbackId> {
        if let Self::Callback(id) = self { Some(id) } else { None }
    }
}

/// Where and how to send, as the target says at the moment of sending.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where to.
    pub url: TargetUrl,
    /// The wire format.
    pub profile: Arc<Profile>,
    /// What signs; unsigned without.
    pub secrets: Option<Secrets>,
    /// Sent with each request.
    pub headers: StaticHeaders,
    /// How long one attempt may take.
    pub timeout: AttemptTimeout,
    /// When a failed delivery is tried again.
    pub schedule: RetrySchedule,
    /// What the format knows as `metadata`: a JSON object.
    pub metadata: Option<Arc<str>>,
}

impl Endpoint {
    /// A subscription's.
    #[must_use]
    pub fn of_subscription(subscription: &Subscription, profile: Arc<Profile>, event: &Event) -> Self {
        let settings = &subscription.settings;
        Self {
            url: settings.url.clone(),
            secrets: Some(subscription.secrets.clone()),
            headers: settings.headers.clone(),
            timeout: settings.timeout.unwrap_or(profile.timeout),
            schedule: settings.retry_schedule.clone(),
            metadata: event.draft.metadata.clone(),
            profile,
        }
    }

    /// A callback's.
    #[must_use]
    pub fn of_callback(callback: &Callback, profile: Arc<Profile>, secrets: Option<Secrets>) -> Self {
        Self { metadata: callback.metadata.clone(), ..Self::unchosen(callback.url.clone(), profile, secrets) }
    }

    /// A one-off URL's.
    #[must_use]
    pub fn of_one_off(one_off: &OneOff, profile: Arc<Profile>, secrets: Option<Secrets>, event: &Event) -> Self {
        Self { metadata: event.draft.metadata.clone(), ..Self::unchosen(one_off.url.clone(), profile, secrets) }
    }

    /// Where nothing but URL and format can be chosen.
    fn unchosen(url: TargetUrl, profile: Arc<Profile>, secrets: Option<Secrets>) -> Self {
        Self {
            url,
            secrets,
            headers: StaticHeaders::default(),
            timeout: profile.timeout,
            schedule: RetrySchedule::default(),
            metadata: None,
            profile,
        }
    }
}
