//! A tenant's subscriptions at one version, matched from memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::event::Event;
use crate::event_type::{self, EventTypeName};
use crate::filter::Filter;
use crate::json::Value;
use crate::profile::Profiles;
use crate::secret::Secrets;
use crate::subscription::{Settings, Subscription};
use crate::{SubscriptionId, TenantId, spelling};

/// What changed of a tenant's catalogue up to a version.
#[derive(Clone, Debug, Default)]
pub struct CatalogueChange {
    /// The version.
    pub version: i64,
    /// What each of the changed subscriptions is now.
    pub subscriptions: Vec<(SubscriptionId, Changed)>,
    /// Its own event types, if they are others now.
    pub custom_types: Option<HashSet<EventTypeName>>,
    /// What signs its callbacks and one-off events, by wire format, if it is another now.
    pub callback_secrets: Option<HashMap<String, CallbackSecrets>>,
    /// Whether it ever had a callback: events of others need not be looked up by their resource.
    pub has_callbacks: bool,
    /// The wire format of what does not name one.
    pub default_profile: String,
}

/// What became of a subscription.
#[derive(Clone, Debug)]
pub enum Changed {
    /// It is this now.
    Is(Box<Subscription>),
    /// It is there no more.
    Deleted,
    /// What is stored of it cannot be read. It gets no events, and what is pending to it waits until it can be.
    Unreadable,
}

/// What signs a tenant's callbacks and one-off events in one wire format.
#[derive(Clone, Debug)]
pub enum CallbackSecrets {
    /// These.
    Known(Secrets),
    /// What is stored cannot be read. Nothing goes out unsigned for that: it waits until it can be.
    Unreadable,
}

/// The subscriptions of a tenant as they were at one catalogue version.
///
/// Every change of a subscription raises the version. Whoever accepts an event proves in the same
/// transaction that the version which it matched against is still the newest.
#[derive(Clone, Debug)]
pub struct TenantCatalogue {
    tenant_id: TenantId,
    version: i64,
    profiles: Arc<Profiles>,
    by_id: BTreeMap<SubscriptionId, Arc<Subscription>>,
    unreadable: BTreeSet<SubscriptionId>,
    /// In the order of their ids. Shared with the catalogues before and after, as far as they have the same.
    by_type: HashMap<EventTypeName, Arc<Vec<Arc<Subscription>>>>,
    custom_types: Arc<HashSet<EventTypeName>>,
    callback_secrets: Arc<HashMap<String, CallbackSecrets>>,
    has_callbacks: bool,
    default_profile: String,
    literal_count: usize,
}

/// Whom an event goes to.
#[derive(Clone, Debug, Default)]
pub struct Matches {
    /// Those that receive it, in the order of their ids.
    pub matching: Vec<Arc<Subscription>>,
    /// Those whose filter turned it away.
    pub turned_away: Vec<SubscriptionId>,
}

impl TenantCatalogue {
    /// The catalogue of a tenant that has nothing yet.
    #[must_use]
    pub fn empty(tenant_id: TenantId, profiles: Arc<Profiles>) -> Self {
        Self {
            tenant_id,
            version: 0,
            profiles,
            by_id: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            by_type: HashMap::new(),
            custom_types: Arc::default(),
            callback_secrets: Arc::default(),
            has_callbacks: false,
            default_profile: String::new(),
            literal_count: 0,
        }
    }

    /// This catalogue after a change.
    #[must_use]
    pub fn changed(&self, change: CatalogueChange) -> Self {
        let CatalogueChange { version, subscriptions, custom_types, callback_secrets, has_callbacks, default_profile } =
            change;
        let mut new = Self { version, has_callbacks, default_profile, ..self.clone() };
        if let Some(types) = custom_types {
            new.custom_types = Arc::new(types);
        }
        if let Some(secrets) = callback_secrets {
            new.callback_secrets = Arc::new(secrets);
        }
        for (id, changed) in subscriptions {
            new.replace(id, changed);
        }
        new
    }

    fn replace(&mut self, id: SubscriptionId, changed: Changed) {
        self.unreadable.remove(&id);
        if let Some(old) = self.by_id.remove(&id) {
            self.literal_count -= old.settings.filters.literal_count();
            let list = self.by_type.get_mut(&old.event_type).map(Arc::make_mut);
            list.into_iter().for_each(|list| list.retain(|other| other.id != id));
        }
        if matches!(changed, Changed::Unreadable) {
            self.unreadable.insert(id);
        }
        if let Changed::Is(new) = changed {
            let new: Arc<Subscription> = Arc::from(new);
            self.literal_count += new.settings.filters.literal_count();
            let list = Arc::make_mut(self.by_type.entry(new.event_type.clone()).or_default());
            let place = list.partition_point(|other| other.id < id);
            list.insert(place, Arc::clone(&new));
            self.by_id.insert(id, new);
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn tenant_id(&self) -> TenantId {
        self.tenant_id
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// Whether the tenant may use this type: one of the formats' catalogues or its own.
    #[must_use]
    pub fn knows(&self, name: &EventTypeName) -> bool {
        self.profiles.has_type(name) || self.custom_types.contains(name)
    }

    /// At most three known names that somebody who typed `wrong` may have meant.
    #[must_use]
    pub fn suggestions(&self, wrong: &str) -> Vec<&str> {
        let published = self.profiles.event_types().iter().map(|known| &known.name);
        spelling::nearest(wrong, published.chain(self.custom_types.iter()).map(EventTypeName::as_str))
    }

    /// How many subscriptions there are, active or not.
    #[must_use]
    pub fn subscription_count(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is such a subscription, and what is stored of it cannot be read.
    #[must_use]
    pub fn is_unreadable(&self, id: SubscriptionId) -> bool {
        self.unreadable.contains(&id)
    }

    /// One subscription, active or not; `None` if it was deleted, or cannot be read.
    #[must_use]
    pub fn get(&self, id: SubscriptionId) -> Option<&Arc<Subscription>> {
        self.by_id.get(&id)
    }

    /// What signs callbacks and one-off events in this wire format; they go out unsigned as long as there is nothing.
    #[must_use]
    pub fn callback_secrets(&self, profile: &str) -> Option<&CallbackSecrets> {
        self.callback_secrets.get(profile)
    }

    /// Whether events must be looked up by their resource.
    #[must_use]
    pub const fn has_callbacks(&self) -> bool {
        self.has_callbacks
    }

    /// The wire format of what does not name one.
    #[must_use]
    pub fn default_profile(&self) -> &str {
        &self.default_profile
    }

    /// Whether anybody receives events of this type, whatever their filters.
    #[must_use]
    pub fn has_subscriber(&self, event_type: &str) -> bool {
        let types = [event_type, event_type::ALL].into_iter().filter_map(EventTypeName::parse);
        let mut candidates = types.filter_map(|name| self.by_type.get(&name)).flat_map(|list| list.iter());
        candidates.any(|candidate| candidate.settings.is_active)
    }

    /// How many values all filters compare with, those of inactive subscriptions too.
    #[must_use]
    pub const fn literal_count(&self) -> usize {
        self.literal_count
    }

    /// Whom an event is for. Its payload is read only if somebody filters.
    #[must_use]
    pub fn matches(&self, event: &Event) -> Matches {
        let mut matching = self.matching(event);
        while matching.advance(usize::MAX) {}
        matching.finish()
    }

    /// The same in steps, for a caller that lets others have their turn between them.
    #[must_use]
    pub fn matching<'c>(&'c self, event: &'c Event) -> Matching<'c> {
        let all = EventTypeName::parse(event_type::ALL).and_then(|all| self.by_type.get(&all));
        let of_type = self.by_type.get(&event.draft.event_type);
        let lists = [of_type, all].map(|list| list.map_or(&[][..], |list| list.as_slice()));
        Matching { event, lists, judge: Judge::new(&self.profiles, event), matches: Matches::default() }
    }
}

/// An event that is held against the subscriptions of a catalogue, some at a time.
pub struct Matching<'c> {
    event: &'c Event,
    /// Those of the event's type and those of all types, as far as they were not looked at.
    lists: [&'c [Arc<Subscription>]; 2],
    judge: Judge<'c>,
    matches: Matches,
}

impl Matching<'_> {
    /// Looks at the next subscriptions, at most so many. Whether there are more.
    pub fn advance(&mut self, at_most: usize) -> bool {
        let Some(list) = self.lists.iter_mut().find(|list| !list.is_empty()) else { return false };
        let (now, later) = list.split_at(list.len().min(at_most));
        *list = later;
        for candidate in now.iter().filter(|candidate| candidate.receives(&self.event.draft.event_type)) {
            let Settings { filters, profile, .. } = &candidate.settings;
            if self.judge.passes(filters, profile) {
                self.matches.matching.push(Arc::clone(candidate));
            } else {
                self.matches.turned_away.push(candidate.id);
            }
        }
        self.lists.iter().any(|list| !list.is_empty())
    }

    /// What was found.
    #[must_use]
    pub fn finish(mut self) -> Matches {
        self.matches.matching.sort_unstable_by_key(|subscription| subscription.id);
        self.matches
    }
}

/// Holds an event against filters; reads its payload once, and only if somebody filters.
pub struct Judge<'e> {
    profiles: &'e Profiles,
    event: &'e Event,
    payload: Option<Value<'e>>,
    /// Formats whose own condition is not met: what they are to discard is no matter of filters.
    unmet: HashMap<&'e str, bool>,
}

impl<'e> Judge<'e> {
    /// A judge of one event.
    #[must_use]
    pub fn new(profiles: &'e Profiles, event: &'e Event) -> Self {
        Self { profiles, event, payload: None, unmet: HashMap::new() }
    }

    /// Whether a filter lets the event pass. A format's own condition comes first.
    pub fn passes(&mut self, filters: &Filter, profile: &str) -> bool {
        self.payload_for(filters, profile).is_none_or(|payload| filters.passes(payload))
    }

    /// Where a filter turns the event away; `None` if it passes.
    pub fn failing_place(&mut self, filters: &Filter, profile: &str) -> Option<String> {
        filters.failing_place(self.payload_for(filters, profile)?)
    }

    /// The payload, if the filter has a say.
    fn payload_for(&mut self, filters: &Filter, profile: &str) -> Option<&Value<'e>> {
        if filters.is_everything() || self.is_unmet(profile) {
            return None;
        }
        if self.payload.is_none() {
            self.payload = Value::parse(&self.event.draft.payload).ok();
        }
        self.payload.as_ref()
    }

    fn is_unmet(&mut self, profile: &str) -> bool {
        let Some(profile) = self.profiles.named(profile) else { return false };
        *self.unmet.entry(&profile.name).or_insert_with(|| profile.unmet_condition(self.event).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::filter::Filter;
    use crate::headers::StaticHeaders;
    use crate::lanes::LaneId;
    use crate::schedule::RetrySchedule;
    use crate::secret::SigningSecret;
    use crate::target_url::TargetUrl;

    fn test_subscription() -> Subscription {
        let (tenant_id, url) = (TenantId::from(uuid::Uuid::nil()), "https://a.example/");
        let at = Timestamp::from_micros(1);
        Subscription {
            id: SubscriptionId::from(uuid::Uuid::nil()),
            tenant_id,
            event_type: EventTypeName::parse(event_type::ALL).expect("well-formed"),
            lane: LaneId(1),
            settings: Settings {
                url: TargetUrl::from_stored(url).expect("a URL"),
                is_active: true,
                description: String::new(),
                filters: Filter::everything(),
                profile: "standard".to_owned(),
                retry_schedule: RetrySchedule::default(),
                timeout: None,
                headers: StaticHeaders::default(),
            },
            secrets: Secrets::new(
                SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=").expect("a secret"),
            ),
            discard_before: None,
            discard_through: None,
            active_since: at,
            filters_changed_at: at,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn a_change_replaces_what_changed_and_nothing_else() {
        let named = |id: u128, event_type: &str| {
            let event_type = EventTypeName::parse(event_type).expect("well-formed");
            let id = SubscriptionId::from(uuid::Uuid::from_u128(id));
            (id, Subscription { id, event_type, ..test_subscription() })
        };
        let of = |catalogue: &TenantCatalogue, event_type: &str| -> Vec<u128> {
            let list = catalogue.by_type.get(&EventTypeName::parse(event_type).expect("well-formed"));
            list.into_iter().flat_map(|list| list.iter()).map(|one| one.id.uuid().as_u128()).collect()
        };
        let change = |version, subscriptions| CatalogueChange { version, subscriptions, ..CatalogueChange::default() };
        let put = |(id, subscription)| (id, Changed::Is(Box::new(subscription)));
        let empty = TenantCatalogue::empty(TenantId::from(uuid::Uuid::nil()), Arc::new(Profiles::published()));
        let first = empty.changed(change(1, vec![put(named(3, "a.b")), put(named(1, "a.b")), put(named(2, "all"))]));
        assert_eq!((of(&first, "a.b"), of(&first, "all")), (vec![1, 3], vec![2]));
        let (id, mut narrower) = named(1, "a.b");
        narrower.settings.filters = Filter::compile(r#"{"x": {"$in": [1, 2, 3]}}"#).expect("usable");
        let second = first.changed(change(2, vec![put((id, narrower)), (named(3, "a.b").0, Changed::Unreadable)]));
        assert_eq!((of(&second, "a.b"), second.literal_count(), second.version()), (vec![1], 3, 2));
        assert_eq!((of(&first, "a.b"), first.literal_count()), (vec![1, 3], 0), "it stays as it was");
        assert!(second.is_unreadable(named(3, "a.b").0) && second.get(named(3, "a.b").0).is_none());
        let third = second.changed(change(3, vec![(named(3, "a.b").0, Changed::Deleted), (id, Changed::Deleted)]));
        assert_eq!((third.subscription_count(), third.literal_count()), (1, 0));
        assert!(!third.is_unreadable(named(3, "a.b").0));
        assert!(Arc::ptr_eq(
            &first.by_type[&named(2, "all").1.event_type],
            &second.by_type[&named(2, "all").1.event_type]
        ));
    }
}
