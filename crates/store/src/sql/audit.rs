//! Rows of `audit`. Only added.

use postrider_core::audit::{Actor, AuditEntry};
use postrider_core::cursor::Page;
use postrider_core::{TenantId, Timestamp};

use super::conditions::Conditions;
use super::query::{readable_page, with_spare};
use super::{Dialect, Query, Row};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::journal::AuditFilter;

pub(super) async fn insert<DB: Dialect>(db: &mut Connection<DB>, entry: &AuditEntry) -> Result<()> {
    Query::<DB>::new(
        "insert into audit
             (tenant_id, id, at, actor, actor_id, actor_name, action, object_id, request_id, remote_address)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .id(entry.tenant_id.uuid())
    .id(entry.id.uuid())
    .time(entry.at)
    .bind(entry.actor.code())
    .bind(entry.actor.id())
    .bind(entry.actor.name().map(str::to_owned))
    .bind(entry.action.clone())
    .bind(entry.object_id.clone())
    .bind(entry.request_id.clone())
    .bind(entry.remote_address.clone())
    .run(db)
    .await?;
    Ok(())
}

pub(super) async fn list<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    filter: &AuditFilter,
    page: Page,
) -> Result<Vec<AuditEntry>> {
    let mut conditions = Conditions::<DB>::new("tenant_id", tenant_id);
    conditions.value("id < {}", page.before);
    conditions.value("action = {}", filter.action.clone());
    conditions.value("object_id = {}", filter.object_id.clone());
    conditions.value("actor_id = {}", filter.actor_id);
    conditions.value("at >= {}", filter.since.map(Timestamp::as_micros));
    conditions.value("at < {}", filter.until.map(Timestamp::as_micros));
    let select = "select tenant_id, id, at, actor, actor_id, actor_name, action, object_id, request_id, remote_address
                  from audit";
    let query = conditions.query(select, "order by id desc limit {limit}", with_spare(page));
    Ok(readable_page("audit", page, &query.rows(db).await?, read))
}

fn read<DB: Dialect>(row: &Row<DB>) -> Result<AuditEntry> {
    let actor = Actor::from_stored(row.get(3)?, row.get(4)?, row.get(5)?);
    Ok(AuditEntry {
        tenant_id: row.id(0)?,
        id: row.id(1)?,
        at: row.time(2)?,
        actor: actor.ok_or(StoreError::Damaged("who did something"))?,
        action: row.get(6)?,
        object_id: row.get(7)?,
        request_id: row.get(8)?,
        remote_address: row.get(9)?,
    })
}
