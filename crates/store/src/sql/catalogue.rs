//! [`Catalogue`] on a database.

use std::sync::Arc;

use async_trait::async_trait;
use postrider_core::api_key::{ApiKey, KeyHash};
use postrider_core::callback::Callback;
use postrider_core::catalogue::TenantCatalogue;
use postrider_core::cursor::Page;
use postrider_core::delivery::DiscardReason;
use postrider_core::event_type::{EventType, EventTypeName};
use postrider_core::filter::Filter;
use postrider_core::lanes::LaneId;
use postrider_core::notice::{Notice, OPERATIONS_TENANT};
use postrider_core::redaction::RedactedPaths;
use postrider_core::standing::Standing;
use postrider_core::subscription::{Settings, Subscription, TargetStats};
use postrider_core::target::TargetId;
use postrider_core::tenant::{PayloadRetention, Tenant};
use postrider_core::{ApiKeyId, CallbackId, SubscriptionId, TenantId, Timestamp};

use super::bulk_jobs::{self, Job, JobKind};
use super::{
    Change, Dialect, Sql, accounts, api_keys, callback_secrets, callbacks, event_types, failing, makers, notices,
    replays, snapshot, subscription_versions, subscriptions, tenants,
};
use crate::catalogue::{
    CallbackFilter, Catalogue, ChangeError, NewApiKey, NewCallback, NewSubscription, Rotation, SettingsChange,
    TenantChange, TenantChanged, TypeChange,
};
use crate::credentials::CredentialError;
use crate::error::{Result, StoreError};
use crate::shares::Who;

#[async_trait]
impl<DB: Dialect> Catalogue for Sql<DB> {
    async fn create_tenant(&self, name: &str, default_profile: &str) -> Result<Option<Tenant>> {
        let now = self.world.now();
        let (id, default_profile) = (self.world.new_id_at(now), default_profile.to_owned());
        let tenant = Tenant {
            id,
            name: name.to_owned(),
            default_profile,
            redacted_paths: RedactedPaths::default(),
            payload_retention: PayloadRetention::Default,
            created_at: now,
        };
        let mut tx = self.begin().await?;
        let made = tenants::insert::<DB>(&mut tx, &tenant).await?;
        if made && tenant.name == OPERATIONS_TENANT {
            notices::insert_types::<DB>(&mut tx, tenant.id, tenant.created_at).await?;
        }
        tx.commit().await?;
        Ok(made.then_some(tenant))
    }

    async fn update_tenant(&self, id: TenantId, wanted: TenantChange) -> Result<TenantChanged> {
        let Some(mut change) = self.begin_change(id).await? else { return Ok(TenantChanged::Missing) };
        if let Some(name) = &wanted.name
            && tenants::is_name_of_other::<DB>(&mut change.tx, id, name).await?
        {
            return Ok(TenantChanged::NameTaken);
        }
        let changed = tenants::update::<DB>(&mut change.tx, id, wanted).await?;
        self.commit_change(change).await?;
        Ok(changed.map_or(TenantChanged::Missing, TenantChanged::Done))
    }

    async fn tenants(&self, page: Page) -> Result<Vec<Tenant>> {
        tenants::list::<DB>(&mut *self.reader(Who::Operator).await?, page).await
    }

    async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>> {
        tenants::get::<DB>(&mut *self.reader(Who::Operator).await?, id).await
    }

    async fn tenant_named(&self, name: &str) -> Result<Option<Tenant>> {
        tenants::get_named::<DB>(&mut *self.reader(Who::Operator).await?, name).await
    }

    async fn delete_tenant(&self, id: TenantId) -> Result<bool> {
        let Some(mut change) = self.begin_change(id).await? else { return Ok(false) };
        let now = self.world.now();
        tenants::delete::<DB>(&mut change.tx, id, now).await?;
        api_keys::delete_all::<DB>(&mut change.tx, id).await?;
        accounts::delete_all::<DB>(&mut change.tx, id).await?;
        replays::cancel_all::<DB>(&mut change.tx, id).await?;
        let owned = subscriptions::living_lanes::<DB>(&mut change.tx, id).await?;
        let callbacks = callbacks::with_pending::<DB>(&mut change.tx, id).await?;
        let discard = |target, lane, reason| self.job(id, target, lane, change.version, JobKind::Discard(reason));
        let of_webhooks = owned
            .into_iter()
            .map(|(owned, lane)| discard(TargetId::Subscription(owned), lane, DiscardReason::WebhookDeleted));
        let of_callbacks = callbacks
            .iter()
            .map(|callback| discard(TargetId::Callback(callback.id), callback.lane(), DiscardReason::CallbackDeleted));
        let jobs: Vec<Job> = of_webhooks.chain(of_callbacks).collect();
        bulk_jobs::insert::<DB>(&mut change.tx, &jobs).await?;
        subscription_versions::delete_all::<DB>(&mut change.tx, id, change.version, now).await?;
        subscriptions::delete_all::<DB>(&mut change.tx, id, now).await?;
        callbacks::delete_all::<DB>(&mut change.tx, id, now).await?;
        callback_secrets::delete_all::<DB>(&mut change.tx, id).await?;
        self.commit_change(change).await?;
        self.run_jobs_of_all(&jobs).await?;
        Ok(true)
    }

    async fn create_api_key(&self, key: NewApiKey) -> Result<ApiKey, CredentialError> {
        let now = self.world.now();
        let made = ApiKey {
            id: self.world.new_id_at(now),
            tenant_id: key.tenant_id,
            name: key.name,
            scopes: key.scopes,
            created_at: now,
            expires_at: key.expires_at,
            last_used_at: None,
        };
        let mut tx = self.begin().await?;
        makers::lock::<DB>(&mut tx, key.maker, Some(made.tenant_id), now).await?;
        if !api_keys::insert::<DB>(&mut tx, &made, &key.hash).await? {
            return Err(CredentialError::Taken);
        }
        tx.commit().await?;
        Ok(made)
    }

    async fn api_keys(&self, tenant_id: TenantId, page: Page) -> Result<Vec<ApiKey>> {
        api_keys::list::<DB>(&mut *self.reader(Who::Tenant(tenant_id)).await?, tenant_id, page).await
    }

    async fn revoke_api_key(&self, tenant_id: TenantId, id: ApiKeyId) -> Result<bool> {
        let mut tx = self.begin().await?;
        let revoked = api_keys::delete::<DB>(&mut tx, tenant_id, id).await?;
        tx.commit().await?;
        Ok(revoked)
    }

    async fn api_key_by_hash(&self, hash: &KeyHash) -> Result<Option<ApiKey>> {
        api_keys::get_by_hash::<DB>(&mut self.lookup().await?, hash).await
    }

    async fn note_use(&self, tenant_id: TenantId, id: ApiKeyId) -> Result<()> {
        let mut tx = self.begin().await?;
        api_keys::note_use::<DB>(&mut tx, tenant_id, id, self.world.now()).await?;
        tx.commit().await
    }

    async fn custom_event_types(&self, tenant_id: TenantId) -> Result<Vec<EventType>> {
        event_types::list::<DB>(&mut *self.reader(Who::Tenant(tenant_id)).await?, tenant_id).await
    }

    async fn create_event_type(&self, tenant_id: TenantId, event_type: EventType) -> Result<bool> {
        let mut change = self.change_of_living(tenant_id).await?;
        let made = event_types::insert::<DB>(&mut change.tx, tenant_id, &event_type, self.world.now()).await?;
        tenants::note_types::<DB>(&mut change.tx, tenant_id, change.version).await?;
        self.commit_change(change).await?;
        Ok(made)
    }

    async fn update_event_type(
        &self,
        tenant_id: TenantId,
        name: &EventTypeName,
        change: TypeChange,
    ) -> Result<Option<EventType>> {
        let mut tx = self.begin().await?;
        let changed = event_types::update::<DB>(&mut tx, tenant_id, name, change).await?;
        tx.commit().await?;
        Ok(changed)
    }

    async fn delete_event_type(&self, tenant_id: TenantId, name: &EventTypeName) -> Result<bool> {
        let mut change = self.change_of_living(tenant_id).await?;
        let deleted = event_types::delete::<DB>(&mut change.tx, tenant_id, name).await?;
        tenants::note_types::<DB>(&mut change.tx, tenant_id, change.version).await?;
        self.commit_change(change).await?;
        Ok(deleted)
    }

    async fn create_subscription(&self, new: NewSubscription) -> Result<Subscription, ChangeError> {
        let now = self.world.now();
        let subscription = Subscription {
            id: self.world.new_id_at(now),
            tenant_id: new.tenant_id,
            event_type: new.event_type,
            lane: LaneId::of(new.tenant_id, &new.settings.url),
            settings: new.settings,
            secrets: new.secrets,
            discard_before: None,
            discard_through: None,
            active_since: now,
            filters_changed_at: now,
            created_at: now,
            updated_at: now,
        };
        let mut change = self.change_of_living(new.tenant_id).await?;
        self.check_literals(&mut change, 0, &subscription.settings.filters, new.most_literals).await?;
        subscriptions::insert::<DB>(&mut change.tx, &self.vault, &subscription, change.version).await?;
        let standing = Standing::of_living(subscription.settings.is_active);
        subscription_versions::begin::<DB>(&mut change.tx, &subscription, change.version, standing, now).await?;
        self.commit_change(change).await?;
        Ok(subscription)
    }

    async fn subscriptions(&self, tenant_id: TenantId, page: Option<Page>) -> Result<Vec<(Subscription, TargetStats)>> {
        subscriptions::list::<DB>(&mut *self.reader(Who::Tenant(tenant_id)).await?, &self.vault, tenant_id, page).await
    }

    async fn subscription(
        &self,
        tenant_id: TenantId,
        id: SubscriptionId,
    ) -> Result<Option<(Subscription, TargetStats)>> {
        subscriptions::get_with_stats::<DB>(
            &mut *self.reader(Who::Tenant(tenant_id)).await?,
            &self.vault,
            tenant_id,
            id,
        )
        .await
    }

    async fn update_subscription(
        &self,
        tenant_id: TenantId,
        id: SubscriptionId,
        wanted: SettingsChange,
    ) -> Result<bool, ChangeError> {
        self.change_subscription(tenant_id, id, wanted, |_| true, None).await
    }

    async fn delete_subscription(&self, tenant_id: TenantId, id: SubscriptionId) -> Result<bool> {
        let Some(mut change) = self.begin_change(tenant_id).await? else { return Ok(false) };
        let Some(old) = subscriptions::get::<DB>(&mut change.tx, &self.vault, tenant_id, id).await? else {
            return Ok(false);
        };
        let (now, version, target) = (self.world.now(), change.version, TargetId::Subscription(id));
        subscriptions::delete::<DB>(&mut change.tx, tenant_id, id, version, now).await?;
        subscription_versions::begin::<DB>(&mut change.tx, &old, version, Standing::Deleted, now).await?;
        let discard = JobKind::Discard(DiscardReason::WebhookDeleted);
        let job = self.job(tenant_id, target, old.lane, version, discard);
        bulk_jobs::insert::<DB>(&mut change.tx, &[job]).await?;
        self.commit_change(change).await?;
        self.run_jobs_of(tenant_id, target).await?;
        Ok(true)
    }

    async fn rotate_secret(&self, tenant_id: TenantId, id: SubscriptionId, rotation: Rotation) -> Result<bool> {
        let Some(mut change) = self.begin_change(tenant_id).await? else { return Ok(false) };
        let Some(old) = subscriptions::get::<DB>(&mut change.tx, &self.vault, tenant_id, id).await? else {
            return Ok(false);
        };
        let now = self.world.now();
        let secrets = old.secrets.rotated(rotation.next, now, rotation.previous_until);
        let new = Subscription { secrets, updated_at: now, ..old };
        subscriptions::update::<DB>(&mut change.tx, &self.vault, &new, change.version).await?;
        self.commit_change(change).await?;
        Ok(true)
    }

    async fn create_callback(&self, new: NewCallback) -> Result<Option<Callback>> {
        self.insert_callback(new).await
    }

    async fn callbacks(
        &self,
        tenant_id: TenantId,
        filter: &CallbackFilter,
        page: Page,
    ) -> Result<Vec<(Callback, TargetStats)>> {
        self.list_callbacks(tenant_id, filter, page).await
    }

    async fn callback(&self, tenant_id: TenantId, id: CallbackId) -> Result<Option<(Callback, TargetStats)>> {
        self.find_callback(tenant_id, id).await
    }

    async fn delete_callback(&self, tenant_id: TenantId, id: CallbackId) -> Result<bool> {
        self.remove_callback(tenant_id, id).await
    }

    async fn rotate_callback_secret(&self, tenant_id: TenantId, profile: &str, rotation: Rotation) -> Result<bool> {
        self.change_callback_secret(tenant_id, profile, rotation).await
    }

    async fn snapshot(&self, tenant_id: TenantId) -> Result<Option<Arc<TenantCatalogue>>> {
        self.cached_snapshot(tenant_id).await
    }

    async fn newest_snapshot(&self, tenant_id: TenantId) -> Result<Option<Arc<TenantCatalogue>>> {
        self.current_snapshot(tenant_id).await
    }

    async fn reseal(&self) -> Result<u64> {
        self.reseal_canary().await?;
        let (mut resealed, mut after) = (self.reseal_callback_secrets().await?, SubscriptionId::NIL);
        loop {
            let page = subscriptions::sealed_after::<DB>(&mut *self.reader(Who::Background).await?, after).await?;
            let Some(last) = page.last() else { return Ok(resealed) };
            after = last.id;
            for old in page.iter().filter(|sealed| !self.vault.is_current(&sealed.secrets)) {
                // A change of nothing: all that is sealed is written anew.
                let wanted = SettingsChange::default();
                let changed = self.change_subscription(old.tenant_id, old.id, wanted, |_| true, None).await;
                match of_the_store(changed) {
                    Ok(changed) => resealed += u64::from(changed),
                    // What cannot be opened stays as it is; the rest goes on.
                    Err(error) if error.is_of_a_row() => {
                        tracing::error!(webhook_id = %old.id, %error, "a secret cannot be sealed anew");
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    async fn check_vault(&self) -> Result<()> {
        self.check_canary().await
    }
}

impl<DB: Dialect> Sql<DB> {
    /// Changes the settings of a subscription that is there and is the one that is meant. What the program did by itself is
    /// told, and is in the audit log.
    pub(super) async fn change_subscription(
        &self,
        tenant_id: TenantId,
        id: SubscriptionId,
        wanted: SettingsChange,
        is_meant: impl Fn(&Subscription) -> bool + Send,
        by_itself: Option<&Notice>,
    ) -> Result<bool, ChangeError> {
        let Some(mut change) = self.begin_change(tenant_id).await? else { return Ok(false) };
        let old = subscriptions::get::<DB>(&mut change.tx, &self.vault, tenant_id, id).await?;
        let Some(old) = old.filter(is_meant) else { return Ok(false) };
        if let Some((filters, most)) = wanted.filters.as_ref().zip(wanted.most_literals) {
            self.check_literals(&mut change, old.settings.filters.literal_count(), filters, most).await?;
        }
        let (now, version) = (self.world.now(), change.version);
        let new = changed(&old, wanted, version, now);
        subscriptions::update::<DB>(&mut change.tx, &self.vault, &new, version).await?;
        let is_active = new.settings.is_active;
        if !(is_active == old.settings.is_active && judge_alike(&old.settings, &new.settings)) {
            let standing = Standing::of_living(is_active);
            subscription_versions::begin::<DB>(&mut change.tx, &new, version, standing, now).await?;
        }
        if is_active && !old.settings.is_active {
            failing::forgive::<DB>(&mut change.tx, id).await?;
        }
        if let Some(notice) = by_itself {
            self.note_deed(&mut change.tx, tenant_id, id, notice).await?;
        }
        let jobs = self.jobs_after(&old, &new, version);
        bulk_jobs::insert::<DB>(&mut change.tx, &jobs).await?;
        self.commit_change(change).await?;
        if !jobs.is_empty() {
            self.run_jobs_of(tenant_id, TargetId::Subscription(id)).await?;
        }
        Ok(true)
    }

    /// Whether the filters of a tenant may compare with those values: counted as nobody else can change it.
    async fn check_literals(
        &self,
        change: &mut Change<DB>,
        before: usize,
        filters: &Filter,
        most: usize,
    ) -> Result<(), ChangeError> {
        let asked = filters.literal_count();
        if asked <= before {
            return Ok(());
        }
        let (tenant_id, base) = (change.tenant_id, self.cache().last_read(change.tenant_id));
        let profiles = self.profiles.own();
        let now = snapshot::read::<DB>(&mut change.tx, &self.vault, profiles, tenant_id, base.as_deref()).await?;
        let others = now.map_or(0, |now| now.literal_count()).saturating_sub(before);
        if others.saturating_add(asked) > most {
            return Err(ChangeError::TooManyLiterals { asked, others, most });
        }
        Ok(())
    }

    /// What a change makes necessary: what is pending is discarded, or goes into the lane of the new URL.
    fn jobs_after(&self, old: &Subscription, new: &Subscription, version: i64) -> Vec<Job> {
        let target = TargetId::Subscription(old.id);
        let job = |kind| self.job(old.tenant_id, target, old.lane, version, kind);
        let is_deactivated = old.settings.is_active && !new.settings.is_active;
        let discard = is_deactivated.then(|| job(JobKind::Discard(DiscardReason::WebhookInactive)));
        let change_lane = (old.lane != new.lane).then(|| job(JobKind::ChangeLane(new.lane)));
        discard.into_iter().chain(change_lane).collect()
    }
}

/// The outcome of a change that has no limits.
pub(super) fn of_the_store<T>(changed: Result<T, ChangeError>) -> Result<T> {
    changed.map_err(|error| match error {
        ChangeError::Store(error) => error,
        ChangeError::TooManyLiterals { .. } => StoreError::Damaged("a change that was not to be limited"),
    })
}

/// A subscription after a change at a version of its tenant's catalogue.
fn changed(old: &Subscription, wanted: SettingsChange, version: i64, now: Timestamp) -> Subscription {
    let settings = wanted.apply(&old.settings);
    let mut new = old.clone();
    new.lane = LaneId::of(old.tenant_id, &settings.url);
    new.updated_at = now;
    if old.settings.is_active && !settings.is_active {
        new.discard_before = Some(version);
        new.discard_through = Some(now);
    }
    if !old.settings.is_active && settings.is_active {
        new.active_since = now;
    }
    if !judge_alike(&old.settings, &settings) {
        new.filters_changed_at = now;
    }
    new.settings = settings;
    new
}

/// Whether both let the same events pass.
fn judge_alike(one: &Settings, other: &Settings) -> bool {
    one.filters == other.filters && one.profile == other.profile
}
