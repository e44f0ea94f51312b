//! A tenant's subscriptions at one version, matched from memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::event_type::{self, EventTypeName};
use crate::subscription::Subscription;
use crate::{SubscriptionId, TenantId};

/// The subscriptions of a tenant as they were at one catalogue version.
///
/// Every change of a subscription raises the version. Whoever accepts an event proves in the same
/// transaction that the version which it matched against is still the newest.
#[derive(Clone, Debug)]
pub struct TenantCatalogue {
    tenant_id: TenantId,
    version: i64,
    by_id: BTreeMap<SubscriptionId, Arc<Subscription>>,
    by_type: HashMap<EventTypeName, Vec<Arc<Subscription>>>,
    custom_types: HashSet<EventTypeName>,
}

impl TenantCatalogue {
    /// The subscriptions and own event types of `tenant_id` at `version`.
    #[must_use]
    pub fn new(
        tenant_id: TenantId,
        version: i64,
        subscriptions: Vec<Subscription>,
        custom_types: HashSet<EventTypeName>,
    ) -> Self {
        let by_id: BTreeMap<_, _> = subscriptions.into_iter().map(|s| (s.id, Arc::new(s))).collect();
        let mut by_type: HashMap<EventTypeName, Vec<Arc<Subscription>>> = HashMap::new();
        for subscription in by_id.values() {
            by_type.entry(subscription.event_type.clone()).or_default().push(Arc::clone(subscription));
        }
        Self { tenant_id, version, by_id, by_type, custom_types }
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

    /// Whether the tenant may use this type: a built-in one or its own.
    #[must_use]
    pub fn knows(&self, name: &EventTypeName) -> bool {
        event_type::is_built_in(name) || self.custom_types.contains(name)
    }

    /// At most three known names that somebody who typed `wrong` may have meant.
    #[must_use]
    pub fn suggestions(&self, wrong: &str) -> Vec<&str> {
        let built_in = event_type::built_in().iter().map(|known| &known.name);
        event_type::nearest(wrong, built_in.chain(&self.custom_types).map(EventTypeName::as_str))
    }

    /// One subscription, active or not; `None` if it was deleted.
    #[must_use]
    pub fn get(&self, id: SubscriptionId) -> Option<&Arc<Subscription>> {
        self.by_id.get(&id)
    }

    /// Those that receive this type, in the order of their ids.
    #[must_use]
    pub fn matching(&self, event_type: &EventTypeName) -> Vec<Arc<Subscription>> {
        let own = self.by_type.get(event_type);
        let all = EventTypeName::parse(event_type::ALL).and_then(|all| self.by_type.get(&all));
        let mut found: Vec<_> = own
            .into_iter()
            .chain(all)
            .flatten()
            .filter(|subscription| subscription.receives(event_type))
            .cloned()
            .collect();
        found.sort_unstable_by_key(|subscription| subscription.id);
        found
    }
}
