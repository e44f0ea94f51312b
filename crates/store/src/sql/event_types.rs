//! Rows of `event_types`: tenants' own.

use postrider_core::event_type::{EventType, EventTypeName};
use postrider_core::{TenantId, Timestamp};

use super::query::readable;
use super::{Dialect, Query, Row};
use crate::catalogue::TypeChange;
use crate::db::Connection;
use crate::error::Result;

fn read<DB: Dialect>(row: &Row<DB>) -> Result<EventType> {
    Ok(EventType {
        name: row.parsed(0, "an event type's name", EventTypeName::parse)?,
        group: row.get(1)?,
        description: row.get(2)?,
        profile: None,
        custom: true,
    })
}

pub(super) async fn list<DB: Dialect>(db: &mut Connection<DB>, tenant_id: TenantId) -> Result<Vec<EventType>> {
    let query = Query::<DB>::new(
        "select name, group_name, description from event_types where tenant_id = $1 order by group_name, name",
    );
    Ok(readable("event_types", &query.id(tenant_id.uuid()).rows(db).await?, read))
}

/// Makes one; false if the tenant has it.
pub(super) async fn insert<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    event_type: &EventType,
    now: Timestamp,
) -> Result<bool> {
    let made = Query::<DB>::new(
        "insert into event_types (tenant_id, name, group_name, description, created_at)
         values ($1, $2, $3, $4, $5) on conflict (tenant_id, name) do nothing",
    )
    .id(tenant_id.uuid())
    .bind(event_type.name.to_string())
    .bind(event_type.group.clone())
    .bind(event_type.description.clone())
    .time(now)
    .run(db)
    .await?;
    Ok(made == 1)
}

pub(super) async fn update<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    name: &EventTypeName,
    change: TypeChange,
) -> Result<Option<EventType>> {
    let query = Query::<DB>::new(
        "update event_types set group_name = coalesce($3, group_name), description = coalesce($4, description)
         where tenant_id = $1 and name = $2 returning name, group_name, description",
    )
    .id(tenant_id.uuid())
    .bind(name.to_string())
    .bind(change.group)
    .bind(change.description);
    query.row(db).await?.as_ref().map(read).transpose()
}

pub(super) async fn delete<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    name: &EventTypeName,
) -> Result<bool> {
    let query = Query::<DB>::new("delete from event_types where tenant_id = $1 and name = $2");
    Ok(query.id(tenant_id.uuid()).bind(name.to_string()).run(db).await? == 1)
}
