//! [`Statistics`] on a database.

use async_trait::async_trait;
use postrider_core::failing::Streak;
use postrider_core::tally::{Tally, Width};
use postrider_core::{SubscriptionId, TenantId, Timestamp};
use uuid::Uuid;

use super::query::readable;
use super::{Dialect, Query, Row, Sql, leases};
use crate::error::Result;
use crate::shares::Who;
use crate::statistics::{Node, Statistics, Waiting, Whose};

/// Rows looked at to count what waits.
const COUNTED: i64 = 50_000;

impl Whose {
    /// For whom it is read.
    const fn reads(&self) -> Who {
        match self {
            Self::All => Who::Operator,
            Self::Tenant(tenant_id) | Self::Subscription(tenant_id, _) => Who::Tenant(*tenant_id),
        }
    }
}

#[async_trait]
impl<DB: Dialect> Statistics for Sql<DB> {
    async fn tallies(
        &self,
        whose: Whose,
        width: Width,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Timestamp, Tally)>> {
        let (tenant_id, target_id) = match whose {
            Whose::All => (Uuid::nil(), Uuid::nil()),
            Whose::Tenant(tenant_id) => (tenant_id.uuid(), Uuid::nil()),
            Whose::Subscription(tenant_id, id) => (tenant_id.uuid(), id.uuid()),
        };
        let query = Query::<DB>::new(
            "select at, tally from rollups
             where tenant_id = $1 and target_id = $2 and width = $3 and at >= $4 and at < $5 order by at",
        );
        let query = query.id(tenant_id).id(target_id).bind(width.seconds()).time(since).time(until);
        let rows = query.rows(&mut *self.reader(whose.reads()).await?).await?;
        let read =
            |row: &Row<DB>| Ok((row.time(0)?, row.parsed(1, "a tally", |text| serde_json::from_str(text).ok())?));
        Ok(readable("rollups", &rows, read))
    }

    async fn waiting(&self, whose: Whose) -> Result<Waiting> {
        // The newest of what is undelivered: what waits is among them, unless very much failed since.
        let newest = format!(
            "from deliveries {} where tenant_id = $2 and state <> 1 order by id desc limit $1",
            DB::UNDELIVERED
        );
        let (select, ids) = match whose {
            Whose::All => ("select due_at, state from deliveries where state = 0 limit $1".to_owned(), vec![]),
            Whose::Tenant(tenant_id) => (format!("select due_at, state {newest}"), vec![tenant_id.uuid()]),
            Whose::Subscription(tenant_id, id) => (
                format!("select due_at, case when target_id = $3 then state else 1 end as state {newest}"),
                vec![tenant_id.uuid(), id.uuid()],
            ),
        };
        let sql = format!(
            "select coalesce(sum(case when d.state = 0 then 1 else 0 end), 0), count(*),
                 min(case when d.state = 0 then d.due_at end)
             from ({select}) d"
        );
        let query = ids.into_iter().fold(Query::<DB>::assembled(sql).bind(COUNTED), Query::id);
        let Some(row) = query.row(&mut *self.reader(whose.reads()).await?).await? else {
            return Ok(Waiting { pending: 0, is_exact: true, oldest_due_at: None });
        };
        Ok(Waiting { pending: row.get(0)?, is_exact: row.get::<i64>(1)? < COUNTED, oldest_due_at: row.maybe_time(2)? })
    }

    async fn failing(&self, tenant_id: TenantId) -> Result<Vec<(SubscriptionId, Streak)>> {
        let query = Query::<DB>::new(
            "select f.subscription_id, f.since, f.last_at, f.attempts from failing f
             join subscriptions s on s.id = f.subscription_id and s.deleted_at is null
             where f.tenant_id = $1 order by f.since",
        );
        let rows = query.id(tenant_id.uuid()).rows(&mut *self.reader(Who::Tenant(tenant_id)).await?).await?;
        let read = |row: &Row<DB>| {
            let streak = Streak { since: row.time(1)?, last_at: row.time(2)?, attempts: row.get(3)? };
            Ok((row.id(0)?, streak))
        };
        Ok(readable("failing", &rows, read))
    }

    async fn failing_by_tenant(&self) -> Result<Vec<(TenantId, i64)>> {
        let query = Query::<DB>::new(
            "select f.tenant_id, count(*) from failing f
             join subscriptions s on s.id = f.subscription_id and s.deleted_at is null and s.is_active = 1
             group by f.tenant_id order by f.tenant_id",
        );
        let rows = query.rows(&mut *self.reader(Who::Operator).await?).await?;
        Ok(readable("failing", &rows, |row| Ok((row.id(0)?, row.get(1)?))))
    }

    async fn nodes(&self) -> Result<Vec<Node>> {
        if !DB::SHARED {
            return Ok(Vec::new());
        }
        leases::nodes::<DB>(&mut *self.reader(Who::Operator).await?).await
    }
}
