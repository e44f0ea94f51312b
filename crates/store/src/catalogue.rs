//! What the API sees of who may do what, and who gets what.

use std::sync::Arc;

use async_trait::async_trait;
use postrider_core::api_key::{ApiKey, KeyHash, Scopes};
use postrider_core::callback::Callback;
use postrider_core::catalogue::TenantCatalogue;
use postrider_core::cursor::Page;
use postrider_core::event_type::{EventType, EventTypeName};
use postrider_core::filter::Filter;
use postrider_core::headers::StaticHeaders;
use postrider_core::redaction::RedactedPaths;
use postrider_core::schedule::RetrySchedule;
use postrider_core::secret::Secrets;
use postrider_core::subscription::{AttemptTimeout, Settings, Subscription, TargetStats};
use postrider_core::target_url::TargetUrl;
use postrider_core::tenant::{PayloadRetention, Tenant};
use postrider_core::{ApiKeyId, CallbackId, SubscriptionId, TenantId, Timestamp};

use crate::credentials::{CredentialError, Maker};
use crate::error::{Result, StoreError};

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Who makes it.
    pub maker: Maker,
    /// Whose.
    pub tenant_id: TenantId,
    /// What people call it.
    pub name: String,
    /// What it permits.
    pub scopes: Scopes,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Of the whole key.
    pub hash: KeyHash,
}

/// A subscription to be made.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    /// Whose.
    pub tenant_id: TenantId,
    /// What it receives.
    pub event_type: EventTypeName,
    /// What was chosen.
    pub settings: Settings,
    /// What signs.
    pub secrets: Secrets,
    /// Most values that all filters of its tenant may compare with.
    pub most_literals: usize,
}

/// A change of settings; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct SettingsChange {
    /// Where to.
    pub url: Option<TargetUrl>,
    /// Whether it receives anything.
    pub is_active: Option<bool>,
    /// For people.
    pub description: Option<String>,
    /// What the payload must match.
    pub filters: Option<Filter>,
    /// The wire format.
    pub profile: Option<String>,
    /// When a failed delivery is tried again.
    pub retry_schedule: Option<RetrySchedule>,
    /// How long one attempt may take.
    pub timeout: TimeoutChange,
    /// Sent with each request.
    pub headers: Option<StaticHeaders>,
    /// Most values that all filters of the tenant may compare with afterwards, if the filter changes. Those that are there stay.
    pub most_literals: Option<usize>,
}

/// A subscription was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// All filters of the tenant together would compare with too many values.
    #[error("{asked} values to compare with beside {others} of other filters are more than {most}")]
    TooManyLiterals {
        /// Those of the filter.
        asked: usize,
        /// Those of the tenant's other filters.
        others: usize,
        /// So many may be.
        most: usize,
    },
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What becomes of the time that one attempt may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeoutChange {
    /// It stays as it is.
    #[default]
    Stays,
    /// It is what the wire format says, and follows it.
    OfProfile,
    /// It is this, whatever the wire format.
    Own(AttemptTimeout),
}

impl TimeoutChange {
    const fn apply(self, old: Option<AttemptTimeout>) -> Option<AttemptTimeout> {
        match self {
            Self::Stays => old,
            Self::OfProfile => None,
            Self::Own(timeout) => Some(timeout),
        }
    }
}

impl SettingsChange {
    /// The settings after this change.
    #[must_use]
    pub fn apply(self, old: &Settings) -> Settings {
        Settings {
            url: self.url.unwrap_or_else(|| old.url.clone()),
            is_active: self.is_active.unwrap_or(old.is_active),
            description: self.description.unwrap_or_else(|| old.description.clone()),
            filters: self.filters.unwrap_or_else(|| old.filters.clone()),
            profile: self.profile.unwrap_or_else(|| old.profile.clone()),
            retry_schedule: self.retry_schedule.unwrap_or_else(|| old.retry_schedule.clone()),
            timeout: self.timeout.apply(old.timeout),
            headers: self.headers.unwrap_or_else(|| old.headers.clone()),
        }
    }
}

/// A callback to be made.
#[derive(Clone, Debug)]
pub struct NewCallback {
    /// Whose.
    pub tenant_id: TenantId,
    /// What it is about.
    pub resource_id: String,
    /// Where to.
    pub url: TargetUrl,
    /// The wire format.
    pub profile: String,
    /// A JSON object.
    pub metadata: Option<Arc<str>>,
    /// The only types it receives; all if `None`.
    pub event_types: Option<Vec<EventTypeName>>,
}

/// Which callbacks a list asks for.
#[derive(Clone, Debug, Default)]
pub struct CallbackFilter {
    /// About this resource.
    pub resource_id: Option<String>,
}

/// A change of a tenant; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct TenantChange {
    /// What people call it.
    pub name: Option<String>,
    /// The wire format of what does not name one.
    pub default_profile: Option<String>,
    /// What of its payloads is hidden.
    pub redacted_paths: Option<RedactedPaths>,
    /// How long payloads are kept.
    pub payload_retention: Option<PayloadRetention>,
}

/// What became of such a change.
#[derive(Clone, Debug)]
pub enum TenantChanged {
    /// The tenant as it is now.
    Done(Tenant),
    /// Another tenant has the name.
    NameTaken,
    /// There is no such tenant.
    Missing,
}

/// A new secret to take over.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The new current secret.
    pub next: postrider_core::secret::SigningSecret,
    /// Until when the former signs beside it.
    pub previous_until: Timestamp,
}

/// A change of a custom event type; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct TypeChange {
    /// The group it is listed in.
    pub group: Option<String>,
    /// What it means.
    pub description: Option<String>,
}

/// Tenants, keys, event types and subscriptions. Everything is scoped by tenant: another tenant's
/// id is as good as none.
#[async_trait]
pub trait Catalogue: Send + Sync + 'static {
    /// Makes a tenant; `None` if the name is taken.
    async fn create_tenant(&self, name: &str, default_profile: &str) -> Result<Option<Tenant>>;
    /// Changes a tenant.
    async fn update_tenant(&self, id: TenantId, change: TenantChange) -> Result<TenantChanged>;
    /// All tenants, newest first.
    async fn tenants(&self, page: Page) -> Result<Vec<Tenant>>;
    /// One tenant.
    async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>>;
    /// One tenant, by its name.
    async fn tenant_named(&self, name: &str) -> Result<Option<Tenant>>;
    /// Deletes a tenant with its keys and subscriptions; what is pending is discarded, the log stays
    /// until retention. False if there is none.
    async fn delete_tenant(&self, id: TenantId) -> Result<bool>;

    /// Makes a key.
    ///
    /// # Errors
    /// [`CredentialError`]; `Taken` if this very key exists already.
    async fn create_api_key(&self, key: NewApiKey) -> Result<ApiKey, CredentialError>;
    /// A tenant's keys, newest first.
    async fn api_keys(&self, tenant_id: TenantId, page: Page) -> Result<Vec<ApiKey>>;
    /// Ends a key for good. False if there is none.
    async fn revoke_api_key(&self, tenant_id: TenantId, id: ApiKeyId) -> Result<bool>;
    /// The key of that hash, expired or not.
    async fn api_key_by_hash(&self, hash: &KeyHash) -> Result<Option<ApiKey>>;
    /// Writes down that a key is used now.
    async fn note_use(&self, tenant_id: TenantId, id: ApiKeyId) -> Result<()>;

    /// A tenant's own event types, by name.
    async fn custom_event_types(&self, tenant_id: TenantId) -> Result<Vec<EventType>>;
    /// Makes one; false if the tenant has it.
    async fn create_event_type(&self, tenant_id: TenantId, event_type: EventType) -> Result<bool>;
    /// Changes one; `None` if the tenant has none of that name.
    async fn update_event_type(
        &self,
        tenant_id: TenantId,
        name: &EventTypeName,
        change: TypeChange,
    ) -> Result<Option<EventType>>;
    /// Deletes one. False if the tenant has none of that name.
    async fn delete_event_type(&self, tenant_id: TenantId, name: &EventTypeName) -> Result<bool>;

    /// Makes a subscription.
    async fn create_subscription(&self, new: NewSubscription) -> Result<Subscription, ChangeError>;
    /// A tenant's subscriptions, newest first; all of them without a page.
    async fn subscriptions(&self, tenant_id: TenantId, page: Option<Page>) -> Result<Vec<(Subscription, TargetStats)>>;
    /// One subscription.
    async fn subscription(
        &self,
        tenant_id: TenantId,
        id: SubscriptionId,
    ) -> Result<Option<(Subscription, TargetStats)>>;
    /// Changes settings. Deactivating discards what is pending. False if there is none.
    async fn update_subscription(
        &self,
        tenant_id: TenantId,
        id: SubscriptionId,
        change: SettingsChange,
    ) -> Result<bool, ChangeError>;
    /// Deletes a subscription; what is pending is discarded. False if there is none.
    async fn delete_subscription(&self, tenant_id: TenantId, id: SubscriptionId) -> Result<bool>;
    /// Puts a new secret in charge. False if there is none.
    async fn rotate_secret(&self, tenant_id: TenantId, id: SubscriptionId, rotation: Rotation) -> Result<bool>;

    /// Makes a callback; `None` if its resource has as many as it may.
    async fn create_callback(&self, new: NewCallback) -> Result<Option<Callback>>;
    /// A tenant's callbacks, newest first.
    async fn callbacks(
        &self,
        tenant_id: TenantId,
        filter: &CallbackFilter,
        page: Page,
    ) -> Result<Vec<(Callback, TargetStats)>>;
    /// One callback.
    async fn callback(&self, tenant_id: TenantId, id: CallbackId) -> Result<Option<(Callback, TargetStats)>>;
    /// Deletes a callback; what is pending is discarded. False if there is none.
    async fn delete_callback(&self, tenant_id: TenantId, id: CallbackId) -> Result<bool>;
    /// Puts a new secret in charge of the tenant's callbacks and one-off events in one wire format.
    /// Whether there was one before.
    async fn rotate_callback_secret(&self, tenant_id: TenantId, profile: &str, rotation: Rotation) -> Result<bool>;

    /// A tenant's subscriptions and types as they are now, from memory where possible; `None` if
    /// there is no such tenant.
    async fn snapshot(&self, tenant_id: TenantId) -> Result<Option<Arc<TenantCatalogue>>>;
    /// The same as they are this moment, whoever changed them.
    async fn newest_snapshot(&self, tenant_id: TenantId) -> Result<Option<Arc<TenantCatalogue>>>;
    /// Seals anew with the current key what the previous one sealed. How many rows had such.
    async fn reseal(&self) -> Result<u64>;
    /// Proves that the vault's key is the one that the database is sealed with. Where nothing is sealed yet, it becomes that.
    ///
    /// # Errors
    /// [`StoreError::Vault`](crate::StoreError::Vault) if it was sealed with another key.
    async fn check_vault(&self) -> Result<()>;
}
