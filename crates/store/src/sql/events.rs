//! Lists of events, and one event.

use std::collections::HashMap;
use std::time::Duration;

use postrider_core::cursor::{Listed, Page};
use postrider_core::delivery::DeliveryState;
use postrider_core::{CallbackId, EventId, SubscriptionId, TenantId};

use super::claim::read_one_off;
use super::conditions::{Conditions, state_condition};
use super::dialect::RowSet;
use super::ids::{IDS, id_rows};
use super::query::{readable, readable_page, with_spare};
use super::{Dialect, Query, Row, Sql, window};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::journal::{EventFilter, EventView, StatusCounts};
use crate::shares::Who;

/// To what an id tells its time.
const EXACTNESS: Duration = Duration::from_millis(1);

const COLUMNS: &str = "e.id, e.event_type, e.metadata, e.resource_id, e.idempotency_key, e.created_at, e.occurred_at,
    e.expires_at, e.one_off_url, e.one_off_profile";

fn read<DB: Dialect>(row: &Row<DB>, payload: Option<String>) -> Result<EventView> {
    Ok(EventView {
        id: row.id(0)?,
        event_type: row.get(1)?,
        payload,
        metadata: row.get(2)?,
        resource_id: row.get(3)?,
        idempotency_key: row.get(4)?,
        created_at: row.time(5)?,
        occurred_at: row.maybe_time(6)?,
        expires_at: row.maybe_time(7)?,
        one_off: read_one_off(row, 8)?,
        counts: StatusCounts::default(),
    })
}

/// Whether an index leads to just what is asked for.
fn is_indexed(filter: &EventFilter) -> bool {
    let EventFilter { event_type, resource_id, subscription_id, callback_id, status, since: _, until: _ } = filter;
    let is_any = event_type.is_none() && subscription_id.is_none() && callback_id.is_none() && status.is_none();
    resource_id.is_some() || is_any
}

/// What of a filter the order of ids leads to: an event has the time of its id.
fn ordered<DB: Dialect>(tenant_id: TenantId, filter: &EventFilter, page: Page) -> Conditions<DB> {
    let mut conditions = Conditions::<DB>::new("e.tenant_id", tenant_id);
    conditions.value("e.id < {}", page.before);
    conditions.value("e.id >= {}", filter.since.map(window::first_id_at));
    conditions.value("e.id < {}", filter.until.map(|until| window::first_id_at(until + EXACTNESS)));
    conditions
}

impl<DB: Dialect> Sql<DB> {
    pub(super) async fn list_events(
        &self,
        tenant_id: TenantId,
        filter: &EventFilter,
        page: Page,
    ) -> Result<Listed<EventView>> {
        let mut reader = self.reader(Who::Tenant(tenant_id)).await?;
        let floor = match is_indexed(filter) {
            true => None,
            false => window::floor::<DB>(&mut reader, ordered::<DB>(tenant_id, filter, page), "events e").await?,
        };
        let mut conditions = ordered::<DB>(tenant_id, filter, page);
        conditions.value("e.id > {}", floor);
        conditions.value("e.event_type = {}", filter.event_type.clone());
        conditions.value("e.resource_id = {}", filter.resource_id.clone());
        conditions.value("e.created_at >= {}", filter.since.map(postrider_core::Timestamp::as_micros));
        conditions.value("e.created_at < {}", filter.until.map(postrider_core::Timestamp::as_micros));
        let states = filter.status.map(|status| format!(" and {}", state_condition(status))).unwrap_or_default();
        let with_delivery =
            format!("exists (select 1 from deliveries d {} where d.event_id = e.id{states}", DB::BY_EVENT);
        let to_target = |kind| format!("{with_delivery} and d.target_kind = {kind} and d.target_id = {{}})");
        conditions.value(&to_target(0), filter.subscription_id.map(SubscriptionId::uuid));
        conditions.value(&to_target(1), filter.callback_id.map(CallbackId::uuid));
        if filter.status.is_some() {
            conditions.raw(&format!("{with_delivery})"));
        }
        let select = format!("select {COLUMNS} from events e");
        let query = conditions.query(&select, "order by e.id desc limit {limit}", with_spare(page.and_one()));
        let rows = query.rows(&mut reader).await?;
        let events = readable_page("events", page.and_one(), &rows, |row| read(row, None));
        let mut listed = Listed::of(events, page, floor, |event| event.id.uuid());
        let mut counts = count_states::<DB>(&mut reader, listed.items.iter().map(|event| event.id)).await?;
        for event in &mut listed.items {
            event.counts = counts.remove(&event.id).unwrap_or_default();
        }
        Ok(listed)
    }

    pub(super) async fn find_event(&self, tenant_id: TenantId, id: EventId) -> Result<Option<EventView>> {
        let sql = format!("select {COLUMNS}, e.payload from events e where e.tenant_id = $1 and e.id = $2");
        let mut reader = self.reader(Who::Tenant(tenant_id)).await?;
        let row = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(id.uuid()).row(&mut reader).await?;
        let Some(row) = row else { return Ok(None) };
        let payload = row.get::<Option<Vec<u8>>>(10)?.map(String::from_utf8).transpose();
        let mut event = read(&row, payload.map_err(|_| StoreError::Damaged("a payload"))?)?;
        let mut counts = count_states::<DB>(&mut reader, std::iter::once(id)).await?;
        event.counts = counts.remove(&id).unwrap_or_default();
        Ok(Some(event))
    }
}

async fn count_states<DB: Dialect>(
    db: &mut Connection<DB>,
    ids: impl Iterator<Item = EventId>,
) -> Result<HashMap<EventId, StatusCounts>> {
    let sql = format!(
        "select d.event_id, d.state, count(*) from {} r join deliveries d {} on d.event_id = r.id
         group by d.event_id, d.state",
        DB::Rows::source(IDS, 1),
        DB::BY_EVENT
    );
    let mut counts: HashMap<EventId, StatusCounts> = HashMap::new();
    let rows = Query::<DB>::assembled(sql).bind_rows(id_rows::<DB>(ids.map(EventId::uuid))).rows(db).await?;
    let read = |row: &Row<DB>| {
        let state = DeliveryState::from_code(row.get(1)?).ok_or(StoreError::Damaged("a delivery's state"))?;
        Ok((row.id::<EventId>(0)?, state, row.get(2)?))
    };
    for (id, state, count) in readable("deliveries", &rows, read) {
        counts.entry(id).or_default().add(state, count);
    }
    Ok(counts)
}
