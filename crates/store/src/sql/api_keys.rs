//! Rows of `api_keys`.

use postrider_core::api_key::{ApiKey, KeyHash, Scopes};
use postrider_core::cursor::Page;
use postrider_core::{ApiKeyId, TenantId, Timestamp};
use uuid::Uuid;

use super::query::{readable_page, with_spare};
use super::{Dialect, Query, Row};
use crate::db::Connection;
use crate::error::Result;

const COLUMNS: &str = "id, tenant_id, name, scopes, created_at, expires_at, last_used_at";

fn read<DB: Dialect>(row: &Row<DB>) -> Result<ApiKey> {
    Ok(ApiKey {
        id: row.id(0)?,
        tenant_id: row.id(1)?,
        name: row.get(2)?,
        scopes: Scopes::from_bits(row.get(3)?),
        created_at: row.time(4)?,
        expires_at: row.maybe_time(5)?,
        last_used_at: row.maybe_time(6)?,
    })
}

/// Makes a key; false if this very key exists.
pub(super) async fn insert<DB: Dialect>(db: &mut Connection<DB>, key: &ApiKey, hash: &KeyHash) -> Result<bool> {
    let made = Query::<DB>::new(
        "insert into api_keys (id, tenant_id, name, hash, scopes, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (hash) do nothing",
    )
    .id(key.id.uuid())
    .id(key.tenant_id.uuid())
    .bind(key.name.clone())
    .bind(hash.0.to_vec())
    .bind(key.scopes.bits())
    .time(key.created_at)
    .bind(key.expires_at.map(Timestamp::as_micros))
    .run(db)
    .await?;
    Ok(made == 1)
}

pub(super) async fn list<DB: Dialect>(db: &mut Connection<DB>, tenant_id: TenantId, page: Page) -> Result<Vec<ApiKey>> {
    let sql = format!("select {COLUMNS} from api_keys where tenant_id = $1 and id < $2 order by id desc limit $3");
    let query =
        Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(page.before.unwrap_or(Uuid::max())).bind(with_spare(page));
    Ok(readable_page("api_keys", page, &query.rows(db).await?, read))
}

pub(super) async fn delete<DB: Dialect>(db: &mut Connection<DB>, tenant_id: TenantId, id: ApiKeyId) -> Result<bool> {
    let query = Query::<DB>::new("delete from api_keys where tenant_id = $1 and id = $2");
    Ok(query.id(tenant_id.uuid()).id(id.uuid()).run(db).await? == 1)
}

pub(super) async fn note_use<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<()> {
    let query = Query::<DB>::new("update api_keys set last_used_at = $3 where tenant_id = $1 and id = $2");
    query.id(tenant_id.uuid()).id(id.uuid()).time(now).run(db).await?;
    Ok(())
}

pub(super) async fn delete_all<DB: Dialect>(db: &mut Connection<DB>, tenant_id: TenantId) -> Result<()> {
    Query::<DB>::new("delete from api_keys where tenant_id = $1").id(tenant_id.uuid()).run(db).await?;
    Ok(())
}

pub(super) async fn get_by_hash<DB: Dialect>(db: &mut Connection<DB>, hash: &KeyHash) -> Result<Option<ApiKey>> {
    let sql = format!("select {COLUMNS} from api_keys where hash = $1");
    Query::<DB>::assembled(sql).bind(hash.0.to_vec()).row(db).await?.as_ref().map(read).transpose()
}
