//! Deliveries of events with very many targets, made in bounded chunks after the accept.

use std::collections::BTreeSet;

use postrider_core::lanes::LaneId;
use postrider_core::target_url::TargetUrl;
use postrider_core::{DeliveryId, EventId, SubscriptionId, TenantId, Timestamp};
use uuid::Uuid;

use super::accept::MAX_TARGETS;
use super::{Dialect, Query, Sql};
use crate::error::Result;

/// An event whose deliveries are still to be made.
struct Unfinished {
    tenant_id: TenantId,
    event_id: EventId,
    event_type: String,
    created_at: Timestamp,
    after: Uuid,
}

impl<DB: Dialect> Sql<DB> {
    /// Makes the next chunk of the oldest such event. The cursor moves in the same transaction.
    pub(super) async fn fan_out_chunk(&self) -> Result<Vec<LaneId>> {
        let mut tx = self.begin().await?;
        let Some(event) = next_unfinished::<DB>(&mut tx).await? else { return Ok(Vec::new()) };
        let targets = next_targets::<DB>(&mut tx, &event).await?;
        let mut made = 0;
        for (subscription_id, lane) in &targets {
            made += self
                .insert_pending(&mut tx, event.tenant_id, event.event_id, *subscription_id, *lane, event.created_at)
                .await?;
        }
        add_made::<DB>(&mut tx, event.tenant_id, self.node.get(), made).await?;
        let last = targets.last().filter(|_| targets.len() == MAX_TARGETS).map(|(id, _)| id.uuid());
        Query::<DB>::new("update events set fan_out_after = $3 where tenant_id = $1 and id = $2")
            .id(event.tenant_id.uuid())
            .id(event.event_id.uuid())
            .bind(last)
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        let lanes: BTreeSet<LaneId> = targets.into_iter().map(|(_, lane)| lane).collect();
        Ok(lanes.into_iter().collect())
    }

    /// Makes a delivery that is due since `opened_at`, for anyone; unless there is one. How many were made.
    pub(super) async fn insert_pending(
        &self,
        db: &mut DB::Connection,
        tenant_id: TenantId,
        event_id: EventId,
        subscription_id: SubscriptionId,
        lane: LaneId,
        opened_at: Timestamp,
    ) -> Result<u64> {
        Query::<DB>::new(
            "insert into deliveries (tenant_id, id, event_id, subscription_id, lane, state, due_at, lease_until,
                 claim, node, strikes, tries, attempts, created_at, opened_at)
             values ($1, $2, $3, $4, $5, 0, $6, 0, 0, 0, 0, 0, 0, $6, $6)
             on conflict (event_id, subscription_id) do nothing",
        )
        .id(tenant_id.uuid())
        .id(self.world.new_id_at::<DeliveryId>(self.world.now()).uuid())
        .id(event_id.uuid())
        .id(subscription_id.uuid())
        .bind(lane.0)
        .time(opened_at)
        .run(db)
        .await
    }
}

async fn next_unfinished<DB: Dialect>(db: &mut DB::Connection) -> Result<Option<Unfinished>> {
    let sql = format!(
        "select tenant_id, id, event_type, created_at, fan_out_after from events
         where fan_out_after is not null order by id limit 1 {}",
        DB::LOCKED_OR_SKIPPED
    );
    let Some(row) = Query::<DB>::assembled(sql).row(db).await? else { return Ok(None) };
    Ok(Some(Unfinished {
        tenant_id: row.id(0)?,
        event_id: row.id(1)?,
        event_type: row.get(2)?,
        created_at: row.time(3)?,
        after: row.get(4)?,
    }))
}

/// The subscriptions that matched when the event was accepted, deleted and deactivated ones too:
/// their deliveries end discarded, with the reason.
async fn next_targets<DB: Dialect>(
    db: &mut DB::Connection,
    event: &Unfinished,
) -> Result<Vec<(SubscriptionId, LaneId)>> {
    let rows = Query::<DB>::new(
        "select id, url from subscriptions
         where tenant_id = $1 and id > $2 and event_type in ($3, 'all') and created_at <= $4
             and (deleted_at is null or deleted_at >= $4)
             and ((is_active = 1 and active_since <= $4) or discard_through >= $4)
         order by id limit $5",
    )
    .id(event.tenant_id.uuid())
    .id(event.after)
    .bind(event.event_type.clone())
    .time(event.created_at)
    .bind(i64::try_from(MAX_TARGETS).unwrap_or(i64::MAX))
    .rows(db)
    .await?;
    rows.iter()
        .map(|row| {
            let url = row.parsed(1, "a subscription's URL", TargetUrl::from_stored)?;
            Ok((row.id(0)?, LaneId::of(event.tenant_id, &url)))
        })
        .collect()
}

/// Counts deliveries that were made.
pub(super) async fn add_made<DB: Dialect>(
    db: &mut DB::Connection,
    tenant_id: TenantId,
    node: i64,
    made: u64,
) -> Result<()> {
    Query::<DB>::new(
        "insert into tenant_stats (tenant_id, node, made, pruned) values ($1, $2, $3, 0)
         on conflict (tenant_id, node) do update set made = tenant_stats.made + excluded.made",
    )
    .id(tenant_id.uuid())
    .bind(node)
    .bind(i64::try_from(made).unwrap_or(i64::MAX))
    .run(db)
    .await?;
    Ok(())
}
