//! Retention, in steps so small that nobody notices.

use std::time::Duration;

use postrider_core::id::uuid_v7;
use postrider_core::{EventId, TenantId, Timestamp};

use super::{Dialect, Query, Sql, tenants};
use crate::error::Result;
use crate::queue::Retention;

/// Events of one step.
const STEP: i64 = 200;

/// An idempotency key is kept at least so long, whatever retention says.
const KEY_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

impl<DB: Dialect> Sql<DB> {
    /// One step for each tenant, and one for tests. Whether there was anything to remove.
    pub(super) async fn prune_step(&self, retention: Retention) -> Result<bool> {
        let now = self.world.now();
        let tenants = tenants::all_ids::<DB>(&mut *self.reader().await?).await?;
        let mut found = false;
        for tenant_id in tenants {
            found |= self.prune_payloads(tenant_id, now - retention.payloads).await?;
            found |= self.prune_events(tenant_id, now - retention.deliveries, now).await?;
        }
        Ok(found | self.prune_tests(now - retention.deliveries).await?)
    }

    async fn prune_payloads(&self, tenant_id: TenantId, before: Timestamp) -> Result<bool> {
        let mut tx = self.begin().await?;
        let sql = format!(
            "select e.id from events e
             where e.tenant_id = $1 and e.id < $2 and e.payload is not null and e.fan_out_after is null
                 and not exists (select 1 from deliveries d
                     where d.event_id = e.id and (d.state = 0 or d.settled_at >= $3))
             order by e.id limit $4 {}",
            DB::LOCKED_OR_SKIPPED
        );
        let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(first_id_at(before)).time(before).bind(STEP);
        let ended = query.rows(&mut tx).await?;
        for row in &ended {
            wipe_payload::<DB>(&mut tx, tenant_id, row.id(0)?).await?;
        }
        tx.commit().await?;
        Ok(!ended.is_empty())
    }

    async fn prune_events(&self, tenant_id: TenantId, before: Timestamp, now: Timestamp) -> Result<bool> {
        let mut tx = self.begin().await?;
        let sql = format!(
            "select e.id from events e
             where e.tenant_id = $1 and e.id < $2 and e.fan_out_after is null
                 and (e.idempotency_key is null or e.created_at < $4)
                 and not exists (select 1 from deliveries d
                     where d.event_id = e.id and (d.state = 0 or d.settled_at >= $3))
             order by e.id limit $5 {}",
            DB::LOCKED_OR_SKIPPED
        );
        let query = Query::<DB>::assembled(sql)
            .id(tenant_id.uuid())
            .id(first_id_at(before))
            .time(before)
            .time(now - KEY_RETENTION)
            .bind(STEP);
        let ended = query.rows(&mut tx).await?;
        let mut pruned = 0;
        for row in &ended {
            pruned += delete_event::<DB>(&mut tx, tenant_id, row.id(0)?).await?;
        }
        if pruned > 0 {
            add_pruned::<DB>(&mut tx, tenant_id, self.node.get(), pruned).await?;
        }
        tx.commit().await?;
        Ok(!ended.is_empty())
    }

    async fn prune_tests(&self, before: Timestamp) -> Result<bool> {
        let mut tx = self.begin().await?;
        let query = Query::<DB>::new(
            "delete from attempts where delivery_id is null and log_id in (
                 select a.log_id from attempts a where a.delivery_id is null and a.started_at < $1
                 order by a.log_id limit $2)",
        );
        let deleted = query.time(before).bind(STEP).run(&mut tx).await?;
        tx.commit().await?;
        Ok(deleted > 0)
    }
}

/// No id made at or after `at` is smaller.
fn first_id_at(at: Timestamp) -> uuid::Uuid {
    uuid_v7(at, [0; 10])
}

/// Said again of a locked event: since it was found, somebody may have opened a delivery of it.
const STILL_ENDED: &str = "not exists (select 1 from deliveries d where d.event_id = events.id and d.state = 0)";

/// Wipes what may hold personal data: what was sent, and what receivers answered.
async fn wipe_payload<DB: Dialect>(db: &mut DB::Connection, tenant_id: TenantId, event_id: EventId) -> Result<()> {
    let sql =
        format!("update events set payload = null, metadata = null where tenant_id = $1 and id = $2 and {STILL_ENDED}");
    if Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(event_id.uuid()).run(db).await? == 0 {
        return Ok(());
    }
    Query::<DB>::new(
        "update attempts set response_body = null
         where tenant_id = $2 and delivery_id in (select d.id from deliveries d where d.event_id = $1)",
    )
    .id(event_id.uuid())
    .id(tenant_id.uuid())
    .run(db)
    .await?;
    Ok(())
}

/// Deletes an event with its deliveries and their attempts; counts the deliveries.
async fn delete_event<DB: Dialect>(db: &mut DB::Connection, tenant_id: TenantId, event_id: EventId) -> Result<i64> {
    let sql = format!("delete from events where tenant_id = $1 and id = $2 and {STILL_ENDED}");
    if Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(event_id.uuid()).run(db).await? == 0 {
        return Ok(0);
    }
    Query::<DB>::new(
        "delete from attempts
         where tenant_id = $2 and delivery_id in (select d.id from deliveries d where d.event_id = $1)",
    )
    .id(event_id.uuid())
    .id(tenant_id.uuid())
    .run(db)
    .await?;
    let deliveries = Query::<DB>::new("delete from deliveries where event_id = $1 and tenant_id = $2");
    let deleted = deliveries.id(event_id.uuid()).id(tenant_id.uuid()).run(db).await?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}

async fn add_pruned<DB: Dialect>(db: &mut DB::Connection, tenant_id: TenantId, node: i64, pruned: i64) -> Result<()> {
    Query::<DB>::new(
        "insert into tenant_stats (tenant_id, node, made, pruned) values ($1, $2, 0, $3)
         on conflict (tenant_id, node) do update set pruned = tenant_stats.pruned + excluded.pruned",
    )
    .id(tenant_id.uuid())
    .bind(node)
    .bind(pruned)
    .run(db)
    .await?;
    Ok(())
}
