//! Lists of deliveries, and one delivery.

use std::time::Duration;

use postrider_core::attempt::Attempt;
use postrider_core::cursor::{Listed, Page};
use postrider_core::delivery::{Delivery, DeliveryState, StatusFilter};
use postrider_core::target::TargetId;
use postrider_core::{CallbackId, DeliveryId, EventId, SubscriptionId, TenantId, Timestamp};

use super::claim::load_event;
use super::conditions::{Conditions, state_condition};
use super::dialect::RowSet;
use super::ids::{IDS, id_rows};
use super::query::{readable, readable_page, with_spare};
use super::{Dialect, Query, Row, Sql, attempts, callbacks, window};
use crate::error::{Result, StoreError};
use crate::journal::{DeliveryFilter, DeliveryView, Sent};
use crate::shares::Who;

/// Deliveries shown with their event.
const SHOWN_WITH_EVENT: i64 = 250;
/// No more of them once their attempts have so many bytes together.
const BYTES_WITH_EVENT: usize = 8 * 1024 * 1024;
/// Deliveries shown with each event of a list.
const SHOWN_IN_LIST: i64 = 20;

const COLUMNS: &str = "d.id, d.event_id, e.event_type, d.target_kind, d.target_id,
    coalesce(
        case when d.state <> 0 then
            (select a.url from attempts a where a.delivery_id = d.id order by a.claim desc limit 1) end,
        s.url, c.url, e.one_off_url, ''),
    coalesce(p.name, s.profile, c.profile, e.one_off_profile, ''), d.state, d.reason,
    d.created_at, d.due_at";

/// What the columns come from. The event is there; planners are not to begin with it, and go through all of a tenant's.
const JOINS: &str = "left join events e on e.tenant_id = d.tenant_id and e.id = d.event_id
    left join subscriptions s on d.target_kind = 0 and s.id = d.target_id
    left join callbacks c on d.target_kind = 1 and c.id = d.target_id
    left join profiles p on p.version = d.profile";

fn read<DB: Dialect>(row: &Row<DB>) -> Result<Delivery> {
    let state = DeliveryState::from_code(row.get(7)?).ok_or(StoreError::Damaged("a delivery's state"))?;
    let due_at = row.time(10)?;
    Ok(Delivery {
        id: row.id(0)?,
        event_id: row.id(1)?,
        event_type: row.get(2)?,
        target: TargetId::from_stored(row.get(3)?, row.get(4)?).ok_or(StoreError::Damaged("a target"))?,
        url: row.get(5)?,
        profile: row.get(6)?,
        state,
        reason: row.get(8)?,
        created_at: row.time(9)?,
        next_attempt_at: (state == DeliveryState::Pending).then_some(due_at),
    })
}

/// Made later than their events: by fan-outs, which may have been held up.
const MADE_LATER: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether an index leads to just what is asked for.
fn is_indexed(filter: &DeliveryFilter) -> bool {
    let DeliveryFilter { event_id, event_type, subscription_id, callback_id, status, since, until } = filter;
    let is_any = event_type.is_none() && subscription_id.is_none() && callback_id.is_none() && status.is_none();
    event_id.is_some() || (is_any && since.is_none() && until.is_none())
}

/// The index that leads to it, where planners are to be told.
fn index<DB: Dialect>(filter: &DeliveryFilter) -> &'static str {
    match filter {
        DeliveryFilter { event_id: Some(_), .. } => DB::BY_EVENT,
        DeliveryFilter { status: Some(status), .. } if is_undelivered(*status) => DB::UNDELIVERED,
        _ => "",
    }
}

fn is_undelivered(status: StatusFilter) -> bool {
    status.states().all(|state| state != DeliveryState::Delivered)
}

/// What of a filter the order of ids, or an index in that order, leads to.
fn ordered<DB: Dialect>(tenant_id: TenantId, filter: &DeliveryFilter, page: Page) -> Conditions<DB> {
    let mut conditions = Conditions::<DB>::new("d.tenant_id", tenant_id);
    conditions.value("d.id < {}", page.before);
    conditions.value("d.id >= {}", filter.since.map(window::first_id_at));
    conditions.value("d.id < {}", filter.until.map(|until| window::first_id_at(until + MADE_LATER)));
    if filter.status.is_some_and(is_undelivered) {
        conditions.raw("d.state <> 1");
    }
    conditions
}

impl<DB: Dialect> Sql<DB> {
    pub(super) async fn list_deliveries(
        &self,
        tenant_id: TenantId,
        filter: &DeliveryFilter,
        page: Page,
    ) -> Result<Listed<DeliveryView>> {
        let mut reader = self.reader(Who::Tenant(tenant_id)).await?;
        let floor = match is_indexed(filter) {
            true => None,
            false => {
                let table = format!("deliveries d {}", index::<DB>(filter));
                window::floor::<DB>(&mut reader, ordered::<DB>(tenant_id, filter, page), &table).await?
            }
        };
        let mut conditions = ordered::<DB>(tenant_id, filter, page);
        conditions.value("d.id > {}", floor);
        conditions.value("d.event_id = {}", filter.event_id.map(EventId::uuid));
        conditions.value("e.event_type = {}", filter.event_type.clone());
        conditions.value("d.target_kind = 0 and d.target_id = {}", filter.subscription_id.map(SubscriptionId::uuid));
        conditions.value("d.target_kind = 1 and d.target_id = {}", filter.callback_id.map(CallbackId::uuid));
        conditions.value("d.created_at >= {}", filter.since.map(Timestamp::as_micros));
        conditions.value("d.created_at < {}", filter.until.map(Timestamp::as_micros));
        if let Some(status) = filter.status {
            conditions.raw(&state_condition(status));
        }
        let select = format!("select {COLUMNS} from deliveries d {} {JOINS}", index::<DB>(filter));
        let query = conditions.query(&select, "order by d.id desc limit {limit}", with_spare(page.and_one()));
        let rows = query.rows(&mut reader).await?;
        let read = |row: &Row<DB>| Ok(DeliveryView { delivery: read(row)?, attempts: Vec::new() });
        let views = readable_page("deliveries", page.and_one(), &rows, read);
        Ok(Listed::of(views, page, floor, |view| view.delivery.id.uuid()))
    }

    pub(super) async fn find_delivery(&self, tenant_id: TenantId, id: DeliveryId) -> Result<Option<DeliveryView>> {
        let sql = format!("select {COLUMNS} from deliveries d {JOINS} where d.tenant_id = $1 and d.id = $2");
        let mut reader = self.reading(Who::Tenant(tenant_id)).await?;
        let row = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(id.uuid()).row(&mut reader).await?;
        let Some(row) = row else { return Ok(None) };
        let attempts = attempts::of_delivery::<DB>(&mut reader, tenant_id, id).await?;
        Ok(Some(DeliveryView { delivery: read(&row)?, attempts }))
    }

    /// What a delivery sends, as far as it is still known.
    pub(super) async fn find_sent(&self, tenant_id: TenantId, id: DeliveryId) -> Result<Option<Sent>> {
        let Some(view) = self.find_delivery(tenant_id, id).await? else { return Ok(None) };
        let mut reader = self.reading(Who::Tenant(tenant_id)).await?;
        let query = Query::<DB>::new(
            "select d.profile, e.payload is not null from deliveries d
             join events e on e.tenant_id = d.tenant_id and e.id = d.event_id where d.tenant_id = $1 and d.id = $2",
        );
        let Some(row) = query.id(tenant_id.uuid()).id(id.uuid()).row(&mut reader).await? else { return Ok(None) };
        let (version, is_kept): (i64, bool) = (row.get(0)?, row.get(1)?);
        let event = match is_kept {
            true => Some(load_event::<DB>(&mut reader, tenant_id, view.delivery.event_id).await?),
            false => None,
        };
        let of_event = event.as_ref().and_then(|event| event.draft.metadata.clone());
        let metadata = match view.delivery.target {
            TargetId::Callback(id) => {
                callbacks::get::<DB>(&mut reader, tenant_id, id).await?.and_then(|callback| callback.metadata)
            }
            TargetId::Subscription(_) | TargetId::OneOff(_) => of_event,
        };
        drop(reader);
        Ok(Some(Sent { view, event, metadata, profile: self.profile_version(version).await? }))
    }

    pub(super) async fn list_deliveries_of(&self, tenant_id: TenantId, event_id: EventId) -> Result<Vec<DeliveryView>> {
        let sql = format!(
            "select {COLUMNS} from deliveries d {} {JOINS} where d.event_id = $1 and d.tenant_id = $2
             order by d.id limit $3",
            DB::BY_EVENT
        );
        let mut reader = self.reading(Who::Tenant(tenant_id)).await?;
        let query = Query::<DB>::assembled(sql).id(event_id.uuid()).id(tenant_id.uuid()).bind(SHOWN_WITH_EVENT);
        let (mut views, mut bytes) = (Vec::new(), 0);
        for delivery in readable("deliveries", &query.rows(&mut reader).await?, read) {
            let attempts = attempts::of_delivery::<DB>(&mut reader, tenant_id, delivery.id).await?;
            bytes += attempts.iter().map(Attempt::size).sum::<usize>();
            views.push(DeliveryView { delivery, attempts });
            if bytes > BYTES_WITH_EVENT {
                break;
            }
        }
        Ok(views)
    }

    pub(super) async fn list_deliveries_of_each(
        &self,
        tenant_id: TenantId,
        event_ids: &[EventId],
    ) -> Result<Vec<DeliveryView>> {
        let sql = format!(
            "select {COLUMNS} from (
                 select d.*, row_number() over (partition by d.event_id order by d.id) as place
                 from {} r join deliveries d {} on d.event_id = r.id
             ) d {JOINS} where d.tenant_id = ${first} and d.place <= ${second} order by d.id",
            DB::Rows::source(IDS, 1),
            DB::BY_EVENT,
            first = DB::Rows::parameters(IDS) + 1,
            second = DB::Rows::parameters(IDS) + 2,
        );
        let query = Query::<DB>::assembled(sql).bind_rows(id_rows::<DB>(event_ids.iter().map(|id| id.uuid())));
        let rows = query
            .id(tenant_id.uuid())
            .bind(SHOWN_IN_LIST)
            .rows(&mut *self.reader(Who::Tenant(tenant_id)).await?)
            .await?;
        Ok(readable("deliveries", &rows, |row| Ok(DeliveryView { delivery: read(row)?, attempts: Vec::new() })))
    }
}
