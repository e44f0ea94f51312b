//! Rows of `callbacks`.

use std::collections::HashMap;
use std::sync::Arc;

use postrider_core::callback::{Callback, PER_RESOURCE_LIMIT};
use postrider_core::cursor::Page;
use postrider_core::delivery::DiscardReason;
use postrider_core::event_type::EventTypeName;
use postrider_core::subscription::TargetStats;
use postrider_core::target::TargetId;
use postrider_core::target_url::TargetUrl;
use postrider_core::{CallbackId, TenantId, Timestamp};

use super::bulk_jobs::{self, JobKind};
use super::conditions::Conditions;
use super::dialect::{Cells, Kind, RowSet, Schema};
use super::query::{readable, readable_page, with_spare};
use super::{Dialect, Query, Row, Sql};
use crate::catalogue::{CallbackFilter, NewCallback};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::shares::Who;

const COLUMNS: &str = "c.id, c.tenant_id, c.resource_id, c.url, c.profile, c.metadata, c.event_types, c.created_at";

const STATS: &str = "
    (select cast(coalesce(sum(t.successful), 0) as bigint) from target_stats t where t.target_id = c.id),
    (select cast(coalesce(sum(t.failed), 0) as bigint) from target_stats t where t.target_id = c.id),
    (select max(t.last_attempt_at) from target_stats t where t.target_id = c.id)";

const RESOURCE: Schema = &[("resource_id", Kind::Text)];

fn read<DB: Dialect>(row: &Row<DB>) -> Result<Callback> {
    let event_types: Option<String> = row.get(6)?;
    let names = |text: String| -> Option<Vec<EventTypeName>> {
        let names: Vec<String> = serde_json::from_str(&text).ok()?;
        names.iter().map(|name| EventTypeName::parse(name)).collect()
    };
    let damaged = StoreError::Damaged("a callback's event types");
    Ok(Callback {
        id: row.id(0)?,
        tenant_id: row.id(1)?,
        resource_id: row.get(2)?,
        url: row.parsed(3, "a callback's URL", TargetUrl::from_stored)?,
        profile: row.get(4)?,
        metadata: row.get::<Option<String>>(5)?.map(Into::into),
        event_types: event_types.map(|text| names(text).ok_or(damaged)).transpose()?,
        created_at: row.time(7)?,
    })
}

fn read_with_stats<DB: Dialect>(row: &Row<DB>) -> Result<(Callback, TargetStats)> {
    let last_triggered_at = row.maybe_time(10)?;
    Ok((read(row)?, TargetStats { successful: row.get(8)?, failed: row.get(9)?, filtered: 0, last_triggered_at }))
}

/// A living callback.
pub(super) async fn get<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    id: CallbackId,
) -> Result<Option<Callback>> {
    let sql =
        format!("select {COLUMNS} from callbacks c where c.tenant_id = $1 and c.id = $2 and c.deleted_at is null");
    let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(id.uuid());
    query.row(db).await?.as_ref().map(read).transpose()
}

/// Those of a tenant that have a delivery pending.
pub(super) async fn with_pending<DB: Dialect>(db: &mut Connection<DB>, tenant_id: TenantId) -> Result<Vec<Callback>> {
    let sql = format!(
        "select {COLUMNS} from callbacks c
         where c.tenant_id = $1 and c.id in (
             select d.target_id from deliveries d {}
             where d.tenant_id = $1 and d.state = 0 and d.state <> 1 and d.target_kind = 1)",
        DB::UNDELIVERED
    );
    Ok(readable("callbacks", &Query::<DB>::assembled(sql).id(tenant_id.uuid()).rows(db).await?, read))
}

/// Deletes all of a tenant.
pub(super) async fn delete_all<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    now: Timestamp,
) -> Result<()> {
    let query = Query::<DB>::new(
        "update callbacks set deleted_at = $2, metadata = null where tenant_id = $1 and deleted_at is null",
    );
    query.id(tenant_id.uuid()).time(now).run(db).await?;
    Ok(())
}

impl<DB: Dialect> Sql<DB> {
    /// The callbacks of these resources, by resource.
    pub(super) async fn callbacks_of(
        &self,
        tenant_id: TenantId,
        resource_ids: impl Iterator<Item = &str>,
    ) -> Result<HashMap<String, Vec<Arc<Callback>>>> {
        let mut rows = DB::Rows::new(RESOURCE);
        for resource_id in resource_ids {
            rows.text(Some(resource_id));
            rows.end_row();
        }
        let sql = format!(
            "select {COLUMNS} from callbacks c
             where c.tenant_id = $1 and c.deleted_at is null and c.resource_id in (select r.resource_id from {} r)
             order by c.id",
            DB::Rows::source(RESOURCE, 2)
        );
        let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).bind_rows(rows);
        let mut found: HashMap<String, Vec<Arc<Callback>>> = HashMap::new();
        for callback in readable("callbacks", &query.rows(&mut self.lookup().await?).await?, read) {
            found.entry(callback.resource_id.clone()).or_default().push(Arc::new(callback));
        }
        Ok(found)
    }

    /// Makes a callback; `None` if its resource has as many as it may.
    pub(super) async fn insert_callback(&self, new: NewCallback) -> Result<Option<Callback>> {
        let now = self.world.now();
        let NewCallback { tenant_id, resource_id, url, profile, metadata, event_types } = new;
        let id = self.world.new_id_at(now);
        let callback = Callback { id, tenant_id, resource_id, url, profile, metadata, event_types, created_at: now };
        if !self.has_callbacks(tenant_id).await? {
            self.begin_callbacks(tenant_id).await?;
        }
        let mut tx = self.begin().await?;
        let made = insert::<DB>(&mut tx, &callback).await?;
        tx.commit().await?;
        Ok(made.then_some(callback))
    }

    async fn has_callbacks(&self, tenant_id: TenantId) -> Result<bool> {
        let query = Query::<DB>::new("select has_callbacks from tenants where id = $1");
        let row = query.id(tenant_id.uuid()).row(&mut self.lookup().await?).await?;
        Ok(row.map(|row| row.get::<i64>(0)).transpose()? == Some(1))
    }

    /// Before a tenant's first callback, its catalogue changes: from then on events are looked up by
    /// their resource.
    async fn begin_callbacks(&self, tenant_id: TenantId) -> Result<()> {
        let mut change = self.change_of_living(tenant_id).await?;
        let query = Query::<DB>::new("update tenants set has_callbacks = 1 where id = $1");
        query.id(tenant_id.uuid()).run(&mut change.tx).await?;
        self.commit_change(change).await
    }

    pub(super) async fn list_callbacks(
        &self,
        tenant_id: TenantId,
        filter: &CallbackFilter,
        page: Page,
    ) -> Result<Vec<(Callback, TargetStats)>> {
        let mut conditions = Conditions::<DB>::new("c.tenant_id", tenant_id);
        conditions.raw("c.deleted_at is null");
        conditions.value("c.id < {}", page.before);
        conditions.value("c.resource_id = {}", filter.resource_id.clone());
        let select = format!("select {COLUMNS}, {STATS} from callbacks c");
        let query = conditions.query(&select, "order by c.id desc limit {limit}", with_spare(page));
        let rows = query.rows(&mut *self.reader(Who::Tenant(tenant_id)).await?).await?;
        Ok(readable_page("callbacks", page, &rows, read_with_stats))
    }

    pub(super) async fn find_callback(
        &self,
        tenant_id: TenantId,
        id: CallbackId,
    ) -> Result<Option<(Callback, TargetStats)>> {
        let sql = format!(
            "select {COLUMNS}, {STATS} from callbacks c
             where c.tenant_id = $1 and c.id = $2 and c.deleted_at is null"
        );
        let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(id.uuid());
        query.row(&mut *self.reader(Who::Tenant(tenant_id)).await?).await?.as_ref().map(read_with_stats).transpose()
    }

    /// Deletes a callback with its metadata, which may be personal. False if there is none. The
    /// catalogue changes, so that nobody accepts an event for it who looked it up before.
    pub(super) async fn remove_callback(&self, tenant_id: TenantId, id: CallbackId) -> Result<bool> {
        let Some(mut change) = self.begin_change(tenant_id).await? else { return Ok(false) };
        let Some(callback) = get::<DB>(&mut change.tx, tenant_id, id).await? else { return Ok(false) };
        let now = self.world.now();
        let query =
            Query::<DB>::new("update callbacks set deleted_at = $3, metadata = null where tenant_id = $1 and id = $2");
        query.id(tenant_id.uuid()).id(id.uuid()).time(now).run(&mut change.tx).await?;
        let (target, discard) = (TargetId::Callback(id), JobKind::Discard(DiscardReason::CallbackDeleted));
        let job = self.job(tenant_id, target, callback.lane(), change.version, discard);
        bulk_jobs::insert::<DB>(&mut change.tx, &[job]).await?;
        self.commit_change(change).await?;
        self.run_jobs_of(tenant_id, target).await?;
        Ok(true)
    }
}

/// Makes one, unless its resource has as many as it may.
async fn insert<DB: Dialect>(db: &mut Connection<DB>, callback: &Callback) -> Result<bool> {
    let names = |names: &Vec<EventTypeName>| serde_json::to_string(names).unwrap_or_default();
    let made = Query::<DB>::new(
        "insert into callbacks (id, tenant_id, resource_id, url, profile, metadata, event_types, created_at)
         select $1, $2, $3, $4, $5, $6, $7, $8
         where (select count(*) from callbacks c
                where c.tenant_id = $2 and c.resource_id = $3 and c.deleted_at is null) < $9",
    )
    .id(callback.id.uuid())
    .id(callback.tenant_id.uuid())
    .bind(callback.resource_id.clone())
    .bind(callback.url.to_string())
    .bind(callback.profile.clone())
    .bind(callback.metadata.as_deref().map(str::to_owned))
    .bind(callback.event_types.as_ref().map(names))
    .time(callback.created_at)
    .bind(i64::try_from(PER_RESOURCE_LIMIT).unwrap_or(i64::MAX))
    .run(db)
    .await?;
    Ok(made == 1)
}
