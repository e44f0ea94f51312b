//! Rows of `tenants`.

use postrider_core::cursor::Page;
use postrider_core::tenant::Tenant;
use postrider_core::{TenantId, Timestamp};
use uuid::Uuid;

use super::{Dialect, Query, Row};
use crate::error::Result;

const COLUMNS: &str = "id, name, created_at";

fn read<DB: Dialect>(row: &Row<DB>) -> Result<Tenant> {
    Ok(Tenant { id: row.id(0)?, name: row.get(1)?, created_at: row.time(2)? })
}

/// Makes a tenant; false if the name is taken.
pub(super) async fn insert<DB: Dialect>(db: &mut DB::Connection, tenant: &Tenant) -> Result<bool> {
    let made = Query::<DB>::new(
        "insert into tenants (id, name, created_at) values ($1, $2, $3)
         on conflict (name) where deleted_at is null do nothing",
    )
    .id(tenant.id.uuid())
    .bind(tenant.name.clone())
    .time(tenant.created_at)
    .run(db)
    .await?;
    Ok(made == 1)
}

pub(super) async fn list<DB: Dialect>(db: &mut DB::Connection, page: Page) -> Result<Vec<Tenant>> {
    let sql = format!("select {COLUMNS} from tenants where deleted_at is null and id < $1 order by id desc limit $2");
    let query = Query::<DB>::assembled(sql).id(page.before.unwrap_or(Uuid::max())).bind(i64::from(page.limit));
    query.rows(db).await?.iter().map(read).collect()
}

pub(super) async fn get<DB: Dialect>(db: &mut DB::Connection, id: TenantId) -> Result<Option<Tenant>> {
    let sql = format!("select {COLUMNS} from tenants where deleted_at is null and id = $1");
    Query::<DB>::assembled(sql).id(id.uuid()).row(db).await?.as_ref().map(read).transpose()
}

pub(super) async fn get_named<DB: Dialect>(db: &mut DB::Connection, name: &str) -> Result<Option<Tenant>> {
    let sql = format!("select {COLUMNS} from tenants where deleted_at is null and name = $1");
    Query::<DB>::assembled(sql).bind(name.to_owned()).row(db).await?.as_ref().map(read).transpose()
}

/// Ids of all tenants, deleted ones too: their rows are still to be pruned.
pub(super) async fn all_ids<DB: Dialect>(db: &mut DB::Connection) -> Result<Vec<TenantId>> {
    Query::<DB>::new("select id from tenants order by id").rows(db).await?.iter().map(|row| row.id(0)).collect()
}

/// Marks a tenant as deleted.
pub(super) async fn delete<DB: Dialect>(db: &mut DB::Connection, id: TenantId, now: Timestamp) -> Result<()> {
    let query = Query::<DB>::new("update tenants set deleted_at = $2 where id = $1");
    query.id(id.uuid()).time(now).run(db).await?;
    Ok(())
}

/// The version of a living tenant's catalogue.
pub(super) async fn version<DB: Dialect>(db: &mut DB::Connection, id: TenantId) -> Result<Option<i64>> {
    let query = Query::<DB>::new("select catalogue_version from tenants where id = $1 and deleted_at is null");
    query.id(id.uuid()).row(db).await?.map(|row| row.get(0)).transpose()
}

/// Gives a living tenant's catalogue its next version.
pub(super) async fn raise_version<DB: Dialect>(db: &mut DB::Connection, id: TenantId) -> Result<Option<i64>> {
    let query = Query::<DB>::new(
        "update tenants set catalogue_version = catalogue_version + 1 where id = $1 and deleted_at is null
         returning catalogue_version",
    );
    query.id(id.uuid()).row(db).await?.map(|row| row.get(0)).transpose()
}
