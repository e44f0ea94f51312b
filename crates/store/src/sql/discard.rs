//! Discarding what is pending to a target, in bounded steps.

use postrider_core::delivery::{DeliveryState, DiscardReason};
use postrider_core::lanes::LaneId;
use postrider_core::target::TargetId;
use postrider_core::{SubscriptionId, TenantId, Timestamp};

use super::{Dialect, Query, Sql};
use crate::error::Result;
use crate::measure;

/// Rows changed in one transaction, so that accepts are never held up for long.
const STEP: i64 = 1000;

impl<DB: Dialect> Sql<DB> {
    /// Ends all pending deliveries to a target that were opened up to `through`. Whoever is
    /// being sent right now may still end delivered: that is a fact.
    ///
    /// Should the process end half-way, the rest is discarded when it is claimed.
    pub(super) async fn discard_pending(
        &self,
        tenant_id: TenantId,
        target: TargetId,
        lane: LaneId,
        reason: DiscardReason,
        through: Timestamp,
    ) -> Result<()> {
        loop {
            let mut tx = self.begin().await?;
            let changed = Query::<DB>::assembled(format!(
                "update deliveries set state = $5, reason = $6, claim = claim + 1, lease_until = 0, strikes = 0,
                     marks = 0, settled_at = $7
                 where (tenant_id, id) in (
                     select d.tenant_id, d.id from deliveries d {}
                     where d.state = 0 and d.lane = $1 and d.tenant_id = $2 and d.target_id = $3
                         and d.opened_at <= $4
                     limit $8)
                     and state + 0 = 0",
                DB::BY_LANE
            ))
            .bind(lane.0)
            .id(tenant_id.uuid())
            .id(target.uuid())
            .time(through)
            .bind(DeliveryState::Discarded.code())
            .bind(reason.to_string())
            .time(self.world.now())
            .bind(STEP)
            .run(&mut tx)
            .await?;
            tx.commit().await?;
            measure::discarded(&reason, changed);
            if changed < STEP.unsigned_abs() {
                return Ok(());
            }
        }
    }

    /// Moves pending deliveries of a subscription into the lane of its new URL. Those that a crash
    /// leaves behind are sent from their old lane, to the new URL.
    pub(super) async fn change_lane(
        &self,
        tenant_id: TenantId,
        subscription_id: SubscriptionId,
        from: LaneId,
        to: LaneId,
    ) -> Result<()> {
        loop {
            let mut tx = self.begin().await?;
            let changed = Query::<DB>::assembled(format!(
                "update deliveries set lane = $4
                 where (tenant_id, id) in (
                     select d.tenant_id, d.id from deliveries d {}
                     where d.state = 0 and d.lane = $1 and d.tenant_id = $2 and d.target_id = $3
                     limit $5)
                     and state + 0 = 0",
                DB::BY_LANE
            ))
            .bind(from.0)
            .id(tenant_id.uuid())
            .id(subscription_id.uuid())
            .bind(to.0)
            .bind(STEP)
            .run(&mut tx)
            .await?;
            tx.commit().await?;
            if changed < STEP.unsigned_abs() {
                self.hand_over.wake(to);
                return Ok(());
            }
        }
    }
}
