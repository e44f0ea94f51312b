//! Retention, in steps so small that nobody notices.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postrider_core::tally::Width;
use postrider_core::tenant::PayloadRetention;
use postrider_core::{EventId, TenantId, Timestamp};
use uuid::Uuid;

use super::ended::{delete_events, lock_ended, wipe_payloads};
use super::window::first_id_at;
use super::{Dialect, Query, Sql, tenants};
use crate::error::Result;
use crate::queue::Retention;

/// Events looked at in one step.
pub(super) const STEP: i64 = 200;

/// An idempotency key is kept at least so long, whatever retention says.
const KEY_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// How far retention has looked: for each tenant the event behind which it goes on. Gone with the
/// process; the next begins with the oldest events again.
pub(super) type Seen = Mutex<HashMap<TenantId, Uuid>>;

/// What retention no longer keeps of the events it looked at.
struct Found {
    /// Events whose payloads go.
    payloads: Vec<EventId>,
    /// Events that go.
    events: Vec<EventId>,
    /// The last one looked at, if there are more.
    last: Option<Uuid>,
}

impl<DB: Dialect> Sql<DB> {
    /// One step for each tenant, and one for tests. False when all was looked at once.
    pub(super) async fn prune_step(&self, retention: Retention) -> Result<bool> {
        let now = self.world.now();
        let tenants = tenants::all_retentions::<DB>(&mut *self.reader().await?).await?;
        let mut has_more = false;
        for (tenant_id, own) in tenants {
            let retention = match own {
                PayloadRetention::For(payloads) => Retention { payloads, ..retention },
                PayloadRetention::Default | PayloadRetention::OnSuccess => retention,
            };
            if own == PayloadRetention::OnSuccess {
                has_more |= self.wipe_delivered(tenant_id).await?;
            }
            let found = self.find_prunable(tenant_id, retention, now).await?;
            self.prune_found(tenant_id, &found).await?;
            has_more |= found.last.is_some();
            let mut seen = self.seen_by_retention.lock().unwrap_or_else(PoisonError::into_inner);
            match found.last {
                Some(last) => seen.insert(tenant_id, last),
                None => seen.remove(&tenant_id),
            };
        }
        has_more |= self.prune_callbacks(now - retention.deliveries).await?;
        has_more |= self.prune_tallies(now - retention.statistics).await?;
        Ok(has_more | self.prune_tests(now - retention.deliveries).await?)
    }

    /// Looks at the next events in the order of their ids, without holding up any writer.
    async fn find_prunable(&self, tenant_id: TenantId, retention: Retention, now: Timestamp) -> Result<Found> {
        let after = self.seen_by_retention.lock().unwrap_or_else(PoisonError::into_inner).get(&tenant_id).copied();
        let (payloads_before, events_before) = (now - retention.payloads, now - retention.deliveries);
        let rows = Query::<DB>::new(
            "select e.id,
                 e.fan_out_after is null and e.payload is not null and e.id < $4 and not exists (
                     select 1 from deliveries d where d.event_id = e.id and (d.state = 0 or d.settled_at >= $5)),
                 e.fan_out_after is null and e.id < $6 and (e.idempotency_key is null or e.created_at < $8)
                     and not exists (
                     select 1 from deliveries d where d.event_id = e.id and (d.state = 0 or d.settled_at >= $7))
             from events e where e.tenant_id = $1 and e.id > $2 and e.id < $3 order by e.id limit $9",
        )
        .id(tenant_id.uuid())
        .id(after.unwrap_or(Uuid::nil()))
        .id(first_id_at(payloads_before.max(events_before)))
        .id(first_id_at(payloads_before))
        .time(payloads_before)
        .id(first_id_at(events_before))
        .time(events_before)
        .time(now - KEY_RETENTION)
        .bind(STEP)
        .rows(&mut *self.reader().await?)
        .await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == STEP);
        let last = rows.last().filter(|_| is_full).map(|row| row.get(0)).transpose()?;
        let mut found = Found { payloads: Vec::new(), events: Vec::new(), last };
        for row in &rows {
            match (row.get::<bool>(1)?, row.get::<bool>(2)?) {
                (_, true) => found.events.push(row.id(0)?),
                (true, false) => found.payloads.push(row.id(0)?),
                (false, false) => {}
            }
        }
        Ok(found)
    }

    async fn prune_found(&self, tenant_id: TenantId, found: &Found) -> Result<()> {
        if found.payloads.is_empty() && found.events.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        let payloads = lock_ended::<DB>(&mut tx, tenant_id, &found.payloads).await?;
        wipe_payloads::<DB>(&mut tx, tenant_id, &payloads).await?;
        let events = lock_ended::<DB>(&mut tx, tenant_id, &found.events).await?;
        let pruned = delete_events::<DB>(&mut tx, tenant_id, &events).await?;
        if pruned > 0 {
            add_pruned::<DB>(&mut tx, tenant_id, self.node.get(), pruned).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn prune_tallies(&self, before: Timestamp) -> Result<bool> {
        let mut has_more = false;
        for width in Width::ALL {
            // Up to the time of the last of them: those of the same time go together.
            let query = Query::<DB>::new(
                "delete from rollups where width = $1 and at <= coalesce((
                     select max(o.at) from (
                         select r.at from rollups r where r.width = $1 and r.at < $2 order by r.at limit $3) o), -1)",
            );
            let mut tx = self.begin().await?;
            let deleted = query.bind(width.seconds()).time(before).bind(STEP).run(&mut tx).await?;
            tx.commit().await?;
            has_more |= deleted > 0;
        }
        Ok(has_more)
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
