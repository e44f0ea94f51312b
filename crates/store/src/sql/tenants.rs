//! Rows of `tenants`.

use postrider_core::cursor::Page;
use postrider_core::redaction::RedactedPaths;
use postrider_core::tenant::{PayloadRetention, Tenant};
use postrider_core::{TenantId, Timestamp};
use uuid::Uuid;

use super::query::{readable, readable_page, with_spare};
use super::{Dialect, Query, Row};
use crate::catalogue::TenantChange;
use crate::db::Connection;
use crate::error::Result;

const COLUMNS: &str = "id, name, default_profile, created_at, redacted_paths, payload_retention";

fn read<DB: Dialect>(row: &Row<DB>) -> Result<Tenant> {
    Ok(Tenant {
        id: row.id(0)?,
        name: row.get(1)?,
        default_profile: row.get(2)?,
        created_at: row.time(3)?,
        redacted_paths: row.parsed(4, "a tenant's redacted paths", read_paths)?,
        payload_retention: PayloadRetention::from_stored(row.get(5)?),
    })
}

/// A JSON list.
fn read_paths(text: &str) -> Option<RedactedPaths> {
    RedactedPaths::new(serde_json::from_str(text).ok()?).ok()
}

/// Makes a tenant; false if the name is taken.
pub(super) async fn insert<DB: Dialect>(db: &mut Connection<DB>, tenant: &Tenant) -> Result<bool> {
    let made = Query::<DB>::new(
        "insert into tenants (id, name, default_profile, created_at) values ($1, $2, $3, $4)
         on conflict (name) where deleted_at is null do nothing",
    )
    .id(tenant.id.uuid())
    .bind(tenant.name.clone())
    .bind(tenant.default_profile.clone())
    .time(tenant.created_at)
    .run(db)
    .await?;
    Ok(made == 1)
}

pub(super) async fn list<DB: Dialect>(db: &mut Connection<DB>, page: Page) -> Result<Vec<Tenant>> {
    let sql = format!("select {COLUMNS} from tenants where deleted_at is null and id < $1 order by id desc limit $2");
    let query = Query::<DB>::assembled(sql).id(page.before.unwrap_or(Uuid::max())).bind(with_spare(page));
    Ok(readable_page("tenants", page, &query.rows(db).await?, read))
}

pub(super) async fn get<DB: Dialect>(db: &mut Connection<DB>, id: TenantId) -> Result<Option<Tenant>> {
    let sql = format!("select {COLUMNS} from tenants where deleted_at is null and id = $1");
    Query::<DB>::assembled(sql).id(id.uuid()).row(db).await?.as_ref().map(read).transpose()
}

pub(super) async fn get_named<DB: Dialect>(db: &mut Connection<DB>, name: &str) -> Result<Option<Tenant>> {
    let sql = format!("select {COLUMNS} from tenants where deleted_at is null and name = $1");
    Query::<DB>::assembled(sql).bind(name.to_owned()).row(db).await?.as_ref().map(read).transpose()
}

/// Ids of all tenants, deleted ones too: their rows are still to be pruned; and how long each keeps payloads.
pub(super) async fn all_retentions<DB: Dialect>(db: &mut Connection<DB>) -> Result<Vec<(TenantId, PayloadRetention)>> {
    let rows = Query::<DB>::new("select id, payload_retention from tenants order by id").rows(db).await?;
    Ok(readable("tenants", &rows, |row| Ok((row.id(0)?, PayloadRetention::from_stored(row.get(1)?)))))
}

/// Marks a tenant as deleted.
pub(super) async fn delete<DB: Dialect>(db: &mut Connection<DB>, id: TenantId, now: Timestamp) -> Result<()> {
    let query = Query::<DB>::new("update tenants set deleted_at = $2 where id = $1");
    query.id(id.uuid()).time(now).run(db).await?;
    Ok(())
}

/// Whether another living tenant has this name.
pub(super) async fn is_name_of_other<DB: Dialect>(db: &mut Connection<DB>, id: TenantId, name: &str) -> Result<bool> {
    let query = Query::<DB>::new("select id from tenants where name = $2 and id <> $1 and deleted_at is null");
    Ok(query.id(id.uuid()).bind(name.to_owned()).row(db).await?.is_some())
}

/// Changes a living tenant; what is `None` stays.
pub(super) async fn update<DB: Dialect>(
    db: &mut Connection<DB>,
    id: TenantId,
    change: TenantChange,
) -> Result<Option<Tenant>> {
    let sql = format!(
        "update tenants set name = coalesce($2, name), default_profile = coalesce($3, default_profile),
             redacted_paths = coalesce($4, redacted_paths),
             payload_retention = case when $5 = 1 then $6 else payload_retention end
         where id = $1 and deleted_at is null returning {COLUMNS}"
    );
    let paths = change.redacted_paths.map(|paths| serde_json::to_string(paths.as_slice()).unwrap_or_default());
    let query = Query::<DB>::assembled(sql)
        .id(id.uuid())
        .bind(change.name)
        .bind(change.default_profile)
        .bind(paths)
        .bind(i64::from(change.payload_retention.is_some()))
        .bind(change.payload_retention.and_then(PayloadRetention::stored));
    query.row(db).await?.as_ref().map(read).transpose()
}

/// What a tenant's catalogue begins with.
pub(super) struct Head {
    pub(super) version: i64,
    pub(super) has_callbacks: bool,
    pub(super) default_profile: String,
    /// When its own event types were last changed, and the secrets of its callbacks.
    pub(super) types_version: i64,
    pub(super) secrets_version: i64,
}

/// The head of a living tenant's catalogue.
pub(super) async fn head<DB: Dialect>(db: &mut Connection<DB>, id: TenantId) -> Result<Option<Head>> {
    let query = Query::<DB>::new(
        "select catalogue_version, has_callbacks, default_profile, types_version, secrets_version from tenants
         where id = $1 and deleted_at is null",
    );
    let Some(row) = query.id(id.uuid()).row(db).await? else { return Ok(None) };
    Ok(Some(Head {
        version: row.get(0)?,
        has_callbacks: row.get::<i64>(1)? != 0,
        default_profile: row.get(2)?,
        types_version: row.get(3)?,
        secrets_version: row.get(4)?,
    }))
}

/// The version of a living tenant's catalogue, which does not change before this transaction ends.
pub(super) async fn locked_version<DB: Dialect>(db: &mut Connection<DB>, id: TenantId) -> Result<Option<i64>> {
    let sql = format!("select catalogue_version from tenants where id = $1 and deleted_at is null {}", DB::SHARED_LOCK);
    Query::<DB>::assembled(sql).id(id.uuid()).row(db).await?.map(|row| row.get(0)).transpose()
}

/// Notes that its own event types are others from this version on.
pub(super) async fn note_types<DB: Dialect>(db: &mut Connection<DB>, id: TenantId, version: i64) -> Result<()> {
    Query::<DB>::new("update tenants set types_version = $2 where id = $1").id(id.uuid()).bind(version).run(db).await?;
    Ok(())
}

/// Notes that the secrets of its callbacks are others from this version on.
pub(super) async fn note_secrets<DB: Dialect>(db: &mut Connection<DB>, id: TenantId, version: i64) -> Result<()> {
    let query = Query::<DB>::new("update tenants set secrets_version = $2 where id = $1");
    query.id(id.uuid()).bind(version).run(db).await?;
    Ok(())
}

/// Gives a living tenant's catalogue its next version.
pub(super) async fn raise_version<DB: Dialect>(db: &mut Connection<DB>, id: TenantId) -> Result<Option<i64>> {
    let query = Query::<DB>::new(
        "update tenants set catalogue_version = catalogue_version + 1 where id = $1 and deleted_at is null
         returning catalogue_version",
    );
    query.id(id.uuid()).row(db).await?.map(|row| row.get(0)).transpose()
}
