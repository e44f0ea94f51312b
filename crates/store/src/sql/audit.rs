//! Rows of `audit`. Only added.

use postrider_core::audit::{Actor, AuditEntry};
use postrider_core::cursor::Page;
use postrider_core::{ApiKeyId, TenantId, Timestamp};

use super::conditions::Conditions;
use super::{Dialect, Query, Row};
use crate::error::Result;
use crate::journal::AuditFilter;

pub(super) async fn insert<DB: Dialect>(db: &mut DB::Connection, entry: &AuditEntry) -> Result<()> {
    let (key_id, key_name) = match &entry.actor {
        Actor::ApiKey(id, name) => (Some(id.uuid()), Some(name.clone())),
        Actor::CommandLine => (None, None),
    };
    Query::<DB>::new(
        "insert into audit (tenant_id, id, at, api_key_id, api_key_name, action, object_id, request_id, remote_address)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .id(entry.tenant_id.uuid())
    .id(entry.id.uuid())
    .time(entry.at)
    .bind(key_id)
    .bind(key_name)
    .bind(entry.action.clone())
    .bind(entry.object_id.clone())
    .bind(entry.request_id.clone())
    .bind(entry.remote_address.clone())
    .run(db)
    .await?;
    Ok(())
}

pub(super) async fn list<DB: Dialect>(
    db: &mut DB::Connection,
    tenant_id: TenantId,
    filter: &AuditFilter,
    page: Page,
) -> Result<Vec<AuditEntry>> {
    let mut conditions = Conditions::<DB>::new("tenant_id", tenant_id);
    conditions.value("id < {}", page.before);
    conditions.value("action = {}", filter.action.clone());
    conditions.value("object_id = {}", filter.object_id.clone());
    conditions.value("api_key_id = {}", filter.api_key_id.map(ApiKeyId::uuid));
    conditions.value("at >= {}", filter.since.map(Timestamp::as_micros));
    conditions.value("at < {}", filter.until.map(Timestamp::as_micros));
    let select =
        "select tenant_id, id, at, api_key_id, api_key_name, action, object_id, request_id, remote_address from audit";
    let query = conditions.query(select, "order by id desc limit {limit}", i64::from(page.limit));
    query.rows(db).await?.iter().map(read).collect()
}

fn read<DB: Dialect>(row: &Row<DB>) -> Result<AuditEntry> {
    let key = row.get::<Option<uuid::Uuid>>(3)?.zip(row.get::<Option<String>>(4)?);
    Ok(AuditEntry {
        tenant_id: row.id(0)?,
        id: row.id(1)?,
        at: row.time(2)?,
        actor: key.map_or(Actor::CommandLine, |(id, name)| Actor::ApiKey(id.into(), name)),
        action: row.get(5)?,
        object_id: row.get(6)?,
        request_id: row.get(7)?,
        remote_address: row.get(8)?,
    })
}
