//! What is still known of an event and a subscription, to tell why they did or did not meet.

use postrider_core::event_type::EventTypeName;
use postrider_core::explain::{Remembered, explain};
use postrider_core::filter::Filter;
use postrider_core::{EventId, SubscriptionId, TenantId};

use super::claim::load_event;
use super::{Dialect, Query, Row, Sql};
use crate::error::Result;
use crate::journal::Explained;

impl<DB: Dialect> Sql<DB> {
    pub(super) async fn explain_event(
        &self,
        tenant_id: TenantId,
        event_id: EventId,
        subscription_id: SubscriptionId,
    ) -> Result<Option<Explained>> {
        let mut reader = self.reading().await?;
        let query = Query::<DB>::new("select payload is not null from events where tenant_id = $1 and id = $2");
        let Some(row) = query.id(tenant_id.uuid()).id(event_id.uuid()).row(&mut reader).await? else {
            return Ok(None);
        };
        let is_payload_kept = row.get::<bool>(0)?;
        let Some(remembered) = remember::<DB>(&mut reader, tenant_id, subscription_id).await? else {
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

/// A subscription, deleted or not.
async fn remember<DB: Dialect>(
    db: &mut DB::Connection,
    tenant_id: TenantId,
    id: SubscriptionId,
) -> Result<Option<Remembered>> {
    let query = Query::<DB>::new(
        "select event_type, is_active, active_since, discard_through, filters, profile, created_at, filters_changed_at,
             deleted_at
         from subscriptions where tenant_id = $1 and id = $2",
    );
    let row = query.id(tenant_id.uuid()).id(id.uuid()).row(db).await?;
    let read = |row: Row<DB>| {
        Ok(Remembered {
            event_type: row.parsed(0, "a subscription's event type", EventTypeName::parse)?,
            is_active: row.get::<i64>(1)? != 0,
            active_since: row.time(2)?,
            discard_through: row.maybe_time(3)?,
            filters: row.parsed(4, "a filter", |text| Filter::compile(text).ok())?,
            profile: row.get(5)?,
            created_at: row.time(6)?,
            filters_changed_at: row.time(7)?,
            deleted_at: row.maybe_time(8)?,
        })
    };
    row.map(read).transpose()
}
