//! [`Queue`] on a database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use postrider_core::callback::Callback;
use postrider_core::catalogue::TenantCatalogue;
use postrider_core::lanes::LaneId;
use postrider_core::profile::Profile;
use postrider_core::{CallbackId, DeliveryId, SubscriptionId, TenantId, Timestamp};

use super::{Dialect, Sql, callbacks};
use crate::error::Result;
use crate::hand_over::Claimed;
use crate::queue::{Backlog, LaneDue, Queue, Retention, Settlement};

#[async_trait]
impl<DB: Dialect> Queue for Sql<DB> {
    async fn claim(&self, lane: LaneId, limit: usize) -> Result<Vec<Claimed>> {
        self.claim_lane(lane, limit).await
    }

    async fn lanes_due(&self, after: Option<LaneId>, limit: usize) -> Result<Vec<LaneDue>> {
        self.list_lanes_due(after, limit).await
    }

    async fn settle(&self, settlement: Arc<Settlement>) -> Result<bool> {
        self.commits.settle(settlement).await
    }

    async fn give_back(&self, claims: &[(TenantId, DeliveryId, i64)]) -> Result<()> {
        self.give_claims_back(claims).await
    }

    async fn put_off(&self, tenant_id: TenantId, id: DeliveryId, claim: i64, until: Timestamp) -> Result<()> {
        self.put_claim_off(tenant_id, id, claim, until).await
    }

    async fn abandon(&self, tenant_id: TenantId, id: DeliveryId, claim: i64) -> Result<()> {
        self.abandon_claim(tenant_id, id, claim).await
    }

    async fn mark(&self, tenant_id: TenantId, id: DeliveryId, claim: i64) -> Result<bool> {
        self.mark_suspect(tenant_id, id, claim).await
    }

    async fn deactivate(&self, tenant_id: TenantId, id: SubscriptionId, url: &str) -> Result<bool> {
        self.deactivate_by_itself(tenant_id, id, url, None).await
    }

    async fn snapshot(&self, tenant_id: TenantId) -> Result<Option<Arc<TenantCatalogue>>> {
        self.current_snapshot(tenant_id).await
    }

    async fn callback(&self, tenant_id: TenantId, id: CallbackId) -> Result<Option<Arc<Callback>>> {
        Ok(callbacks::get::<DB>(&mut self.lookup().await?, tenant_id, id).await?.map(Arc::new))
    }

    async fn profile(&self, name: &str) -> Result<Option<Arc<Profile>>> {
        self.profile_of_name(name).await
    }

    async fn fan_out(&self) -> Result<Option<Vec<LaneId>>> {
        self.fan_out_chunk().await
    }

    async fn do_bulk_work(&self) -> Result<bool> {
        self.run_next_job().await
    }

    async fn replay(&self) -> Result<Option<Timestamp>> {
        self.replay_step().await
    }

    async fn look_after_failing(&self, patience: Duration) -> Result<()> {
        self.warn_or_deactivate(patience).await
    }

    async fn tell(&self) -> Result<bool> {
        self.tell_step().await
    }

    async fn roll_up(&self) -> Result<bool> {
        self.roll_up_step().await
    }

    async fn prune(&self, retention: Retention) -> Result<bool> {
        self.prune_step(retention).await
    }

    async fn backlogs(&self) -> Result<Vec<(LaneId, Backlog)>> {
        self.count_backlogs().await
    }

    fn is_running(&self) -> bool {
        self.commits.is_running()
    }

    async fn close(&self) {
        if let Some(proofs) = &self.proofs {
            proofs.end();
        }
        self.commits.close().await;
        if let Some(session) = &self.session {
            session.close().await;
        }
        self.reads.close().await;
        if let Some(versions) = &self.versions {
            versions.close();
        }
        self.lookups.close().await;
        self.catalogues.close().await;
        if let Some(claims) = &self.claims {
            claims.close().await;
        }
        if let Some(bulk) = &self.bulk {
            bulk.close().await;
        }
        self.writes.close().await;
    }
}
