//! Claiming rows of a lane.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use postrider_core::event::{Event, EventDraft, OneOff};
use postrider_core::event_type::EventTypeName;
use postrider_core::fail_point::FailPoint;
use postrider_core::lanes::LaneId;
use postrider_core::lifecycle::MARK_PAUSE;
use postrider_core::target::TargetId;
use postrider_core::target_url::TargetUrl;
use postrider_core::trace_context::TraceContext;
use postrider_core::{DeliveryId, EventId, TenantId, Timestamp};

use super::claim_shared::claim_in;
use super::claimed_row::{ClaimWish, ClaimedRow};
use super::dialect::{Cells, Kind, RowSet, Schema};
use super::query::readable;
use super::{Dialect, Query, Row, Sql, callbacks};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::hand_over::Claimed;
use crate::measure;
use crate::queue::{Backlog, LaneDue};
use crate::shares::Who;

/// How many rows of a lane whose rows are all leased are looked at to find the first lease to end.
const LOOK_AHEAD: i64 = 512;

impl<DB: Dialect> Sql<DB> {
    /// Claims the rows of a lane that are due the longest, with their events. These do not change: they are at hand
    /// from their accept, or read after the commit, while others write.
    pub(super) async fn claim_lane(&self, lane: LaneId, limit: usize) -> Result<Vec<Claimed>> {
        let rows = self.claim_rows(ClaimWish { lane, limit }).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let claimed = self.read_all_claimed(&rows, lane).await;
        if claimed.is_err() {
            self.give_rows_back(&rows).await;
        }
        claimed
    }

    /// What was claimed, but for what is damaged: leased as it is, it is out of the others' way.
    async fn read_all_claimed(&self, rows: &[ClaimedRow], lane: LaneId) -> Result<Vec<Claimed>> {
        let events = self.events_of(rows).await?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            match self.read_claimed(row, lane, &events).await {
                Ok(readable) => claimed.push(readable),
                Err(StoreError::Damaged(what)) => {
                    measure::damaged("deliveries");
                    tracing::error!(delivery_id = %row.id, what, "a delivery cannot be read");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(claimed)
    }

    /// Claims in the next group commit, where a database has but one writer; else in a transaction of its own.
    async fn claim_rows(&self, wish: ClaimWish) -> Result<Vec<ClaimedRow>> {
        if !DB::SHARED {
            return self.commits.claim(wish).await;
        }
        // Read before the claim is sent: the lease that the row gets can only end later.
        let now = self.world.now();
        let mut tx = self.begin_claim().await?;
        let rows = claim_in::<DB>(&mut tx, wish, self.node.get(), now).await?;
        FailPoint::ClaimsWritten.pass();
        tx.commit().await?;
        FailPoint::ClaimsCommitted.pass();
        Ok(readable("deliveries", &rows, ClaimedRow::read))
    }

    /// What was claimed and cannot be read now; if not even that is possible, the leases end by themselves.
    async fn give_rows_back(&self, rows: &[ClaimedRow]) {
        let claims: Vec<_> = rows.iter().map(|row| (row.tenant_id, row.id, row.claim)).collect();
        if let Err(error) = self.give_claims_back(&claims).await {
            tracing::warn!(%error, "claims are not given back; their leases will end");
        }
    }

    async fn read_claimed(
        &self,
        row: &ClaimedRow,
        lane: LaneId,
        events: &HashMap<EventId, Arc<Event>>,
    ) -> Result<Claimed> {
        let event = events.get(&row.event_id).ok_or(StoreError::Damaged("a delivery's event is missing"))?;
        let target = row.target.ok_or(StoreError::Damaged("a target"))?;
        let callback = match target {
            TargetId::Callback(id) => {
                callbacks::get::<DB>(&mut self.lookup().await?, event.tenant_id, id).await?.map(Arc::new)
            }
            TargetId::Subscription(_) | TargetId::OneOff(_) => None,
        };
        Ok(Claimed {
            id: row.id,
            event: Arc::clone(event),
            target,
            callback,
            version: 0,
            opened_version: row.opened_version,
            profile: self.profile_version(row.profile).await?,
            lane,
            claim: row.claim,
            strikes: row.strikes,
            marks: row.marks,
            tries: u32::try_from(row.tries).map_err(|_| StoreError::Damaged("a delivery's tries"))?,
            attempts: row.attempts,
            opened_at: row.opened_at,
            lease_until: row.lease_until,
        })
    }

    /// The events of claimed rows; those that cannot be read are left out.
    async fn events_of(&self, rows: &[ClaimedRow]) -> Result<HashMap<EventId, Arc<Event>>> {
        let mut events = HashMap::with_capacity(rows.len());
        let mut missing = BTreeSet::new();
        for row in rows {
            match self.hand_over.kept(row.tenant_id, row.event_id) {
                Some(event) => drop(events.insert(event.id, event)),
                None => drop(missing.insert((row.tenant_id, row.event_id))),
            }
        }
        if missing.is_empty() {
            return Ok(events);
        }
        let mut wanted = DB::Rows::new(EVENT_ID);
        for (tenant_id, id) in missing {
            wanted.uuid(Some(tenant_id.uuid()));
            wanted.uuid(Some(id.uuid()));
            wanted.end_row();
        }
        let sql = format!(
            "select {EVENT_COLUMNS} from {} r join events e on e.tenant_id = r.tenant_id and e.id = r.id",
            DB::Rows::source(EVENT_ID, 1)
        );
        let found = Query::<DB>::assembled(sql).bind_rows(wanted).rows(&mut self.lookup().await?).await?;
        for row in &found {
            match read_event(row) {
                Ok(event) => drop(events.insert(event.id, Arc::new(event))),
                Err(error) => tracing::error!(event_id = %row.id::<EventId>(1)?, %error, "an event cannot be read"),
            }
        }
        Ok(events)
    }

    /// Lanes with pending rows, by jumping from lane to lane in the index. Of each, its first row that nobody
    /// has leased counts; if all are leased, the end of the first lease.
    pub(super) async fn list_lanes_due(&self, after: Option<LaneId>, limit: usize) -> Result<Vec<LaneDue>> {
        let rows = Query::<DB>::new(
            "with recursive lanes(lane) as (
                 select min(d.lane) from deliveries d where d.state = 0 and d.lane > $1
                 union all
                 select (select min(d.lane) from deliveries d where d.state = 0 and d.lane > lanes.lane)
                 from lanes where lanes.lane is not null
             )
             select lane, coalesce((
                 select d.due_at from deliveries d
                 where d.state = 0 and d.lane = lanes.lane and d.lease_until <= $3 order by d.due_at limit 1
             ), (
                 select min(h.lease_until) from (
                     select d.lease_until from deliveries d
                     where d.state = 0 and d.lane = lanes.lane order by d.due_at limit $4
                 ) h))
             from lanes where lane is not null limit $2",
        )
        .bind(after.map_or(i64::MIN, |lane| lane.0))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .time(self.world.now())
        .bind(LOOK_AHEAD)
        .rows(&mut self.lookup().await?)
        .await?;
        Ok(readable("deliveries", &rows, |row| Ok(LaneDue { lane: LaneId(row.get(0)?), at: row.time(1)? })))
    }

    pub(super) async fn count_backlogs(&self) -> Result<Vec<(LaneId, Backlog)>> {
        let query =
            Query::<DB>::new("select lane, count(*), min(due_at) from deliveries where state = 0 group by lane");
        let rows = query.rows(&mut *self.reader(Who::Background).await?).await?;
        Ok(readable("deliveries", &rows, |row| Ok((LaneId(row.get(0)?), read_backlog(row, 1)?))))
    }

    pub(super) async fn count_backlog(&self, tenant_id: TenantId, lane: LaneId) -> Result<Backlog> {
        let sql = format!(
            "select count(*), min(due_at) from deliveries {} where state = 0 and lane = $1 and tenant_id = $2",
            DB::BY_LANE
        );
        let query = Query::<DB>::assembled(sql);
        let row = query.bind(lane.0).id(tenant_id.uuid()).row(&mut *self.reader(Who::Tenant(tenant_id)).await?).await?;
        read_backlog(&row.ok_or(StoreError::Damaged("a count"))?, 0)
    }

    pub(super) async fn count_pending_of(&self, tenant_id: TenantId) -> Result<u64> {
        let sql = format!(
            "select count(*) from deliveries {} where tenant_id = $1 and state <> 1 and state = 0",
            DB::UNDELIVERED
        );
        let row = Query::<DB>::assembled(sql)
            .id(tenant_id.uuid())
            .row(&mut *self.reader(Who::Tenant(tenant_id)).await?)
            .await?;
        let count: i64 = row.ok_or(StoreError::Damaged("a count"))?.get(0)?;
        Ok(count.unsigned_abs())
    }

    /// As if the claim had not been made: its strike is taken back, its mark wiped.
    pub(super) async fn give_claims_back(&self, claims: &[(TenantId, DeliveryId, i64)]) -> Result<()> {
        // In the order in which everybody locks deliveries.
        let mut claims = claims.to_vec();
        claims.sort_unstable_by_key(|(tenant_id, id, _)| (*tenant_id, *id));
        let mut tx = self.begin_claim().await?;
        for (tenant_id, id, claim) in &claims {
            Query::<DB>::new(
                "update deliveries set lease_until = 0, strikes = 0, marks = 0
                 where tenant_id = $1 and id = $2 and claim = $3 and state + 0 = 0",
            )
            .id(tenant_id.uuid())
            .id(id.uuid())
            .bind(*claim)
            .run(&mut tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    pub(super) async fn put_claim_off(
        &self,
        tenant_id: TenantId,
        id: DeliveryId,
        claim: i64,
        until: Timestamp,
    ) -> Result<()> {
        let query = Query::<DB>::new(
            "update deliveries set lease_until = $4, strikes = 0, marks = 0
             where tenant_id = $1 and id = $2 and claim = $3 and state + 0 = 0",
        );
        let mut tx = self.begin_claim().await?;
        query.id(tenant_id.uuid()).id(id.uuid()).bind(claim).time(until).run(&mut tx).await?;
        tx.commit().await
    }

    pub(super) async fn abandon_claim(&self, tenant_id: TenantId, id: DeliveryId, claim: i64) -> Result<()> {
        let mut tx = self.begin_claim().await?;
        let query = Query::<DB>::new(
            "update deliveries set lease_until = 0 where tenant_id = $1 and id = $2 and claim = $3 and state + 0 = 0",
        );
        query.id(tenant_id.uuid()).id(id.uuid()).bind(claim).run(&mut tx).await?;
        tx.commit().await
    }

    pub(super) async fn mark_suspect(&self, tenant_id: TenantId, id: DeliveryId, claim: i64) -> Result<bool> {
        let mut tx = self.begin_claim().await?;
        let query = Query::<DB>::new(
            "update deliveries set marks = marks + 1, due_at = $4
             where tenant_id = $1 and id = $2 and claim = $3 and state + 0 = 0",
        );
        let due_at = self.world.now() + MARK_PAUSE;
        let marked = query.id(tenant_id.uuid()).id(id.uuid()).bind(claim).time(due_at).run(&mut tx).await?;
        tx.commit().await?;
        Ok(marked == 1)
    }
}

fn read_backlog<DB: Dialect>(row: &Row<DB>, first: usize) -> Result<Backlog> {
    Ok(Backlog { pending: row.get(first)?, oldest_due_at: row.maybe_time(first + 1)? })
}

const EVENT_ID: Schema = &[("tenant_id", Kind::Uuid), ("id", Kind::Uuid)];

/// What [`read_event`] reads.
const EVENT_COLUMNS: &str = "e.tenant_id, e.id, e.event_type, e.payload, e.created_at, e.occurred_at, e.expires_at,
     e.resource_id, e.metadata, e.idempotency_key, e.trace_context, e.one_off_url, e.one_off_profile";

pub(super) async fn load_event<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    id: EventId,
) -> Result<Event> {
    let sql = format!("select {EVENT_COLUMNS} from events e where e.tenant_id = $1 and e.id = $2");
    let row = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(id.uuid()).row(db).await?;
    read_event(&row.ok_or(StoreError::Damaged("a delivery's event is missing"))?)
}

fn read_event<DB: Dialect>(row: &Row<DB>) -> Result<Event> {
    // Retention takes no payload of a pending delivery; null is what it leaves of others.
    let payload = row.get::<Option<Vec<u8>>>(3)?.unwrap_or_else(|| b"null".to_vec());
    let payload = String::from_utf8(payload).map_err(|_| StoreError::Damaged("a payload"))?;
    Ok(Event {
        id: row.id(1)?,
        tenant_id: row.id(0)?,
        created_at: row.time(4)?,
        draft: EventDraft {
            event_type: row.parsed(2, "an event's type", EventTypeName::parse)?,
            payload: payload.into(),
            occurred_at: row.maybe_time(5)?,
            expires_at: row.maybe_time(6)?,
            resource_id: row.get(7)?,
            metadata: row.get::<Option<String>>(8)?.map(Into::into),
            idempotency_key: row.get(9)?,
            one_off: read_one_off(row, 11)?,
            trace_context: row.get::<Option<String>>(10)?.as_deref().and_then(TraceContext::parse),
        },
    })
}

/// What stands in the columns `one_off_url` and `one_off_profile`, the first of them at `first`.
pub(super) fn read_one_off<DB: Dialect>(row: &Row<DB>, first: usize) -> Result<Option<OneOff>> {
    let (url, profile) = (row.get::<Option<String>>(first)?, row.get::<Option<String>>(first + 1)?);
    let Some((url, profile)) = url.zip(profile) else { return Ok(None) };
    let url = TargetUrl::from_stored(&url).ok_or(StoreError::Damaged("a one-off URL"))?;
    Ok(Some(OneOff { url, profile: Some(profile) }))
}
