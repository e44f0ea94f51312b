//! What is still known of an event and a subscription, to tell why they did or did not meet.

use postrider_core::explain::{Remembered, explain};
use postrider_core::{EventId, SubscriptionId, TenantId, Timestamp};

use super::claim::load_event;
use super::{Dialect, Query, Sql, subscription_versions};
use crate::db::Connection;
use crate::error::Result;
use crate::journal::Explained;
use crate::shares::Who;

impl<DB: Dialect> Sql<DB> {
    pub(super) async fn explain_event(
        &self,
        tenant_id: TenantId,
        event_id: EventId,
        subscription_id: SubscriptionId,
    ) -> Result<Option<Explained>> {
        let mut reader = self.reading(Who::Tenant(tenant_id)).await?;
        let query = Query::<DB>::new(
            "select payload is not null, catalogue_version, created_at from events where tenant_id = $1 and id = $2",
        );
        let Some(row) = query.id(tenant_id.uuid()).id(event_id.uuid()).row(&mut reader).await? else {
            return Ok(None);
        };
        let is_payload_kept = row.get::<bool>(0)?;
        let accepted = (row.get(1)?, row.time(2)?);
        let Some(remembered) = remember::<DB>(&mut reader, tenant_id, subscription_id, accepted).await? else {
            return Ok(None);
        };
        let event = load_event::<DB>(&mut reader, tenant_id, event_id).await?;
        let checks = explain(&event, is_payload_kept, &remembered, self.profiles.own());
        let query =
            Query::<DB>::new("select id from deliveries where event_id = $1 and target_id = $2 and tenant_id = $3");
        let query = query.id(event_id.uuid()).id(subscription_id.uuid()).id(tenant_id.uuid());
        let found = query.row(&mut reader).await?.map(|row| row.id(0)).transpose()?;
        drop(reader);
        let delivery = match found {
            Some(id) => self.find_delivery(tenant_id, id).await?,
            None => None,
        };
        Ok(Some(Explained { checks, delivery }))
    }
}

/// A subscription, deleted or not, as it was when an event of this version and time was accepted.
async fn remember<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    id: SubscriptionId,
    accepted: (Option<i64>, Timestamp),
) -> Result<Option<Remembered>> {
    let sql = format!(
        "select s.created_at, s.deleted_at, s.filters_changed_at, {},
             (select min(f.version) from subscription_versions f where f.tenant_id = $1 and f.subscription_id = $2)
         from subscriptions s where s.tenant_id = $1 and s.id = $2",
        subscription_versions::holding("$1", "$2", "$3", "$4")
    );
    let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(id.uuid()).bind(accepted.0).time(accepted.1);
    let Some(row) = query.row(db).await? else { return Ok(None) };
    let (held, first): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
    let Some(number) = held.or(first) else { return Ok(None) };
    let then = subscription_versions::get::<DB>(db, tenant_id, id, number, accepted).await?;
    let Some(then) = then else { return Ok(None) };
    Ok(Some(Remembered {
        created_at: row.time(0)?,
        deleted_at: row.maybe_time(1)?,
        filters_changed_at: row.time(2)?,
        was_there: held.is_some(),
        then,
    }))
}
