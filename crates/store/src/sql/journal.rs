//! [`Journal`] on a database.

use async_trait::async_trait;
use postrider_core::attempt::{Attempt, Exchange};
use postrider_core::audit::AuditEntry;
use postrider_core::cursor::{Listed, Page};
use postrider_core::event::EventDraft;
use postrider_core::lanes::LaneId;
use postrider_core::target::TargetId;
use postrider_core::{DeliveryId, EventId, LogId, SubscriptionId, TenantId};

use super::{Dialect, Sql, audit};
use crate::error::Result;
use crate::journal::{
    AuditFilter, DeliveryFilter, DeliveryView, EventFilter, EventView, Explained, Journal, PublishError, Receipt,
    ReopenError, Sent, Urgency,
};
use crate::queue::Backlog;
use crate::shares::Who;

#[async_trait]
impl<DB: Dialect> Journal for Sql<DB> {
    async fn publish(
        &self,
        tenant_id: TenantId,
        drafts: Vec<EventDraft>,
        urgency: Urgency,
    ) -> Vec<Result<Receipt, PublishError>> {
        self.publish_all(tenant_id, drafts, urgency).await
    }

    async fn events(&self, tenant_id: TenantId, filter: &EventFilter, page: Page) -> Result<Listed<EventView>> {
        self.list_events(tenant_id, filter, page).await
    }

    async fn event(&self, tenant_id: TenantId, id: EventId) -> Result<Option<EventView>> {
        self.find_event(tenant_id, id).await
    }

    async fn deliveries(
        &self,
        tenant_id: TenantId,
        filter: &DeliveryFilter,
        page: Page,
    ) -> Result<Listed<DeliveryView>> {
        self.list_deliveries(tenant_id, filter, page).await
    }

    async fn delivery(&self, tenant_id: TenantId, id: DeliveryId) -> Result<Option<DeliveryView>> {
        self.find_delivery(tenant_id, id).await
    }

    async fn sent(&self, tenant_id: TenantId, id: DeliveryId) -> Result<Option<Sent>> {
        self.find_sent(tenant_id, id).await
    }

    async fn deliveries_of(&self, tenant_id: TenantId, event_id: EventId) -> Result<Vec<DeliveryView>> {
        self.list_deliveries_of(tenant_id, event_id).await
    }

    async fn deliveries_of_each(&self, tenant_id: TenantId, event_ids: &[EventId]) -> Result<Vec<DeliveryView>> {
        self.list_deliveries_of_each(tenant_id, event_ids).await
    }

    async fn explain(&self, tenant_id: TenantId, event_id: EventId, id: SubscriptionId) -> Result<Option<Explained>> {
        self.explain_event(tenant_id, event_id, id).await
    }

    async fn backlog(&self, tenant_id: TenantId, lane: LaneId) -> Result<Backlog> {
        self.count_backlog(tenant_id, lane).await
    }

    async fn left_to_discard(&self, tenant_id: TenantId, id: SubscriptionId) -> Result<u64> {
        self.count_left_to_discard(tenant_id, TargetId::Subscription(id)).await
    }

    async fn count_pending(&self, tenant_id: TenantId) -> Result<u64> {
        self.count_pending_of(tenant_id).await
    }

    async fn attempt(&self, tenant_id: TenantId, id: LogId) -> Result<Option<Attempt>> {
        self.find_attempt(tenant_id, id).await
    }

    async fn retry(&self, tenant_id: TenantId, id: DeliveryId) -> Result<DeliveryView, ReopenError> {
        self.retry_delivery(tenant_id, id).await
    }

    async fn replay(
        &self,
        tenant_id: TenantId,
        event_id: EventId,
        subscription_id: Option<SubscriptionId>,
    ) -> Result<i64, ReopenError> {
        self.replay_event(tenant_id, event_id, subscription_id).await
    }

    async fn audit(&self, entry: &AuditEntry) -> Result<()> {
        let mut tx = self.begin().await?;
        audit::insert::<DB>(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn audit_entries(&self, tenant_id: TenantId, filter: &AuditFilter, page: Page) -> Result<Vec<AuditEntry>> {
        audit::list::<DB>(&mut *self.reader(Who::Tenant(tenant_id)).await?, tenant_id, filter, page).await
    }

    async fn record_test(&self, tenant_id: TenantId, exchange: &Exchange) -> Result<LogId> {
        self.insert_test(tenant_id, exchange).await
    }
}
