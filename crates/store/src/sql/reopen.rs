//! Opening ended deliveries again, by hand.

use postrider_core::delivery::DeliveryState;
use postrider_core::lanes::LaneId;
use postrider_core::lifecycle::stats_change;
use postrider_core::subscription::Subscription;
use postrider_core::target::TargetId;
use postrider_core::{DeliveryId, EventId, ReplayId, SubscriptionId, TenantId, Timestamp};
use uuid::Uuid;

use super::accept::UNKNOWN_PROFILE;
use super::claim::load_event;
use super::fan_out::{self, Pending};
use super::{Dialect, Query, Row, Sql, callbacks, subscriptions, tenants};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::journal::{DeliveryView, ReopenError};

/// Deliveries opened in one transaction, so that accepts are never held up for long.
const CHUNK: i64 = 200;

/// A delivery that somebody wants opened.
struct Ended {
    id: DeliveryId,
    target: TargetId,
    state: DeliveryState,
}

/// How a delivery is opened.
struct Reopened<'e> {
    tenant_id: TenantId,
    ended: &'e Ended,
    lane: LaneId,
    /// Of the catalogue.
    version: i64,
    replay_id: Option<ReplayId>,
}

/// The version of the tenant's catalogue. Its row is locked against changes until this transaction ends, so a webhook that is
/// active now stays active until then. A later deactivation finds the deliveries that this transaction opened.
pub(super) async fn living_version<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
) -> Result<i64, ReopenError> {
    tenants::locked_version::<DB>(db, tenant_id).await?.ok_or(ReopenError::NotFound)
}

impl<DB: Dialect> Sql<DB> {
    pub(super) async fn retry_delivery(
        &self,
        tenant_id: TenantId,
        id: DeliveryId,
    ) -> Result<DeliveryView, ReopenError> {
        let mut tx = self.begin().await?;
        let version = living_version::<DB>(&mut tx, tenant_id).await?;
        let lane = self.reopen_by_id(&mut tx, tenant_id, id, version, None).await?;
        tx.commit().await?;
        self.hand_over.wake(lane);
        self.find_delivery(tenant_id, id).await?.ok_or(ReopenError::NotFound)
    }

    /// Opens one delivery, for a replay or by hand, at the version that its tenant's catalogue has in this transaction.
    pub(super) async fn reopen_by_id(
        &self,
        db: &mut Connection<DB>,
        tenant_id: TenantId,
        id: DeliveryId,
        version: i64,
        replay_id: Option<ReplayId>,
    ) -> Result<LaneId, ReopenError> {
        let event_id = event_of::<DB>(db, tenant_id, id).await?.ok_or(ReopenError::NotFound)?;
        // The event first, then its deliveries: whoever changes both locks them in this order.
        self.lock_payload(db, tenant_id, event_id).await?;
        let ended = ended_by_id::<DB>(db, tenant_id, id).await?.ok_or(ReopenError::NotFound)?;
        let lane = self.lane_of(db, tenant_id, ended.target).await?;
        self.reopen(db, &Reopened { tenant_id, ended: &ended, lane, version, replay_id }).await?;
        Ok(lane)
    }

    pub(super) async fn replay_event(
        &self,
        tenant_id: TenantId,
        event_id: EventId,
        only: Option<SubscriptionId>,
    ) -> Result<i64, ReopenError> {
        if let Some(id) = only {
            let mut tx = self.begin().await?;
            let version = living_version::<DB>(&mut tx, tenant_id).await?;
            let lane = self.replay_to(&mut tx, tenant_id, event_id, id, version, None).await?;
            tx.commit().await?;
            self.hand_over.wake(lane);
            return Ok(1);
        }
        let (mut opened, mut after) = (0, DeliveryId::from(Uuid::nil()));
        loop {
            let mut tx = self.begin().await?;
            let version = living_version::<DB>(&mut tx, tenant_id).await?;
            self.lock_payload(&mut tx, tenant_id, event_id).await?;
            let chunk = ended_after::<DB>(&mut tx, tenant_id, event_id, after).await?;
            let Some(last) = chunk.last() else { return Ok(opened) };
            after = last.id;
            let lanes = self.replay_existing(&mut tx, tenant_id, chunk, version).await?;
            tx.commit().await?;
            lanes.iter().for_each(|lane| self.hand_over.wake(*lane));
            opened += i64::try_from(lanes.len()).unwrap_or(i64::MAX);
        }
    }

    /// Opens all that ended and have a subscription that receives; the others stay as they are.
    async fn replay_existing(
        &self,
        db: &mut Connection<DB>,
        tenant_id: TenantId,
        existing: Vec<Ended>,
        version: i64,
    ) -> Result<Vec<LaneId>, ReopenError> {
        let mut lanes = Vec::new();
        let mut existing = existing;
        // In the order in which outcomes are counted, so that none waits for the other in a circle.
        existing.sort_by_key(|ended| ended.target);
        for ended in existing.into_iter().filter(|ended| ended.state != DeliveryState::Pending) {
            match self.lane_of(db, tenant_id, ended.target).await {
                Ok(lane) => {
                    self.reopen(db, &Reopened { tenant_id, ended: &ended, lane, version, replay_id: None }).await?;
                    lanes.push(lane);
                }
                Err(ReopenError::Inactive | ReopenError::Deleted | ReopenError::CallbackDeleted) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(lanes)
    }

    /// Opens the delivery to one subscription, and makes it if there was none.
    pub(super) async fn replay_to(
        &self,
        db: &mut Connection<DB>,
        tenant_id: TenantId,
        event_id: EventId,
        subscription_id: SubscriptionId,
        version: i64,
        replay_id: Option<ReplayId>,
    ) -> Result<LaneId, ReopenError> {
        self.lock_payload(db, tenant_id, event_id).await?;
        let known = ended_to::<DB>(db, tenant_id, event_id, subscription_id).await?;
        let subscription = match self.receiving(db, tenant_id, subscription_id).await {
            Err(ReopenError::Deleted) if known.is_none() => return Err(ReopenError::NotFound),
            other => other?,
        };
        let lane = subscription.lane;
        if let Some(ended) = known {
            self.reopen(db, &Reopened { tenant_id, ended: &ended, lane, version, replay_id }).await?;
            return Ok(lane);
        }
        let profile = self.profile_of_name(&subscription.settings.profile).await?;
        let pending = Pending {
            tenant_id,
            event_id,
            target: TargetId::Subscription(subscription_id),
            profile: profile.map_or(UNKNOWN_PROFILE, |profile| profile.version()),
            lane,
            opened_at: self.world.now(),
            opened_version: Some(version),
        };
        let opened_at = pending.opened_at;
        let made = self.insert_pending(db, &[pending]).await?;
        fan_out::add_made::<DB>(db, tenant_id, self.background_rows(), made).await?;
        let made = ended_to::<DB>(db, tenant_id, event_id, subscription_id).await?.ok_or(ReopenError::NotFound)?;
        note::<DB>(db, tenant_id, made.id, opened_at, replay_id).await?;
        Ok(lane)
    }

    /// The lane of a target that receives anything.
    async fn lane_of(
        &self,
        db: &mut Connection<DB>,
        tenant_id: TenantId,
        target: TargetId,
    ) -> Result<LaneId, ReopenError> {
        match target {
            TargetId::Subscription(id) => Ok(self.receiving(db, tenant_id, id).await?.lane),
            TargetId::Callback(id) => {
                let callback = callbacks::get::<DB>(db, tenant_id, id).await?;
                Ok(callback.ok_or(ReopenError::CallbackDeleted)?.lane())
            }
            TargetId::OneOff(event_id) => {
                let event = load_event::<DB>(db, tenant_id, event_id).await?;
                let one_off = event.draft.one_off.ok_or(StoreError::Damaged("a one-off URL is missing"))?;
                Ok(LaneId::of(tenant_id, &one_off.url))
            }
        }
    }

    /// The subscription, if it receives anything.
    async fn receiving(
        &self,
        db: &mut Connection<DB>,
        tenant_id: TenantId,
        id: SubscriptionId,
    ) -> Result<Subscription, ReopenError> {
        let found = subscriptions::get::<DB>(db, &self.vault, tenant_id, id).await?;
        let subscription = found.ok_or(ReopenError::Deleted)?;
        if subscription.settings.is_active { Ok(subscription) } else { Err(ReopenError::Inactive) }
    }

    /// Locks an event against retention, and makes sure that there still is something to send.
    async fn lock_payload(
        &self,
        db: &mut Connection<DB>,
        tenant_id: TenantId,
        event_id: EventId,
    ) -> Result<(), ReopenError> {
        let sql = format!("select payload is not null from events where tenant_id = $1 and id = $2 {}", DB::LOCKED);
        let query = Query::<DB>::assembled(sql);
        let row = query.id(tenant_id.uuid()).id(event_id.uuid()).row(db).await?.ok_or(ReopenError::NotFound)?;
        if row.get::<bool>(0)? { Ok(()) } else { Err(ReopenError::PayloadGone) }
    }

    /// Pending anew: the schedule starts over, numbers go on, statistics take the old end back.
    async fn reopen(&self, db: &mut Connection<DB>, reopened: &Reopened<'_>) -> Result<(), ReopenError> {
        let Reopened { tenant_id, ended, lane, version, replay_id } = *reopened;
        if ended.state == DeliveryState::Pending {
            return Err(ReopenError::Pending);
        }
        let now = self.world.now();
        note::<DB>(db, tenant_id, ended.id, now, replay_id).await?;
        Query::<DB>::new(
            "update deliveries set state = 0, reason = null, lane = $3, due_at = $4, opened_at = $4, lease_until = 0,
                 claim = claim + 1, strikes = 0, marks = 0, tries = 0, settled_at = null, opened_version = $5
             where tenant_id = $1 and id = $2",
        )
        .id(tenant_id.uuid())
        .id(ended.id.uuid())
        .bind(lane.0)
        .time(now)
        .bind(version)
        .run(db)
        .await?;
        let (successful, failed) = stats_change(ended.state, DeliveryState::Pending);
        if matches!(ended.target, TargetId::OneOff(_)) {
            return Ok(());
        }
        Query::<DB>::new(
            "insert into target_stats (target_id, node, successful, failed) values ($1, $2, $3, $4)
             on conflict (target_id, node) do update set
                 successful = target_stats.successful + excluded.successful,
                 failed = target_stats.failed + excluded.failed",
        )
        .id(ended.target.uuid())
        .bind(self.background_rows())
        .bind(successful)
        .bind(failed)
        .run(db)
        .await?;
        Ok(())
    }
}

/// Writes down that a delivery is opened again, and by what.
async fn note<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    id: DeliveryId,
    at: Timestamp,
    replay_id: Option<ReplayId>,
) -> Result<()> {
    Query::<DB>::new(
        "insert into reopenings (delivery_id, at, tenant_id, attempts, replay_id)
         select id, $3, tenant_id, attempts, $4 from deliveries where tenant_id = $1 and id = $2
         on conflict (delivery_id, at) do nothing",
    )
    .id(tenant_id.uuid())
    .id(id.uuid())
    .time(at)
    .bind(replay_id.map(ReplayId::uuid))
    .run(db)
    .await?;
    Ok(())
}

fn state_of(code: i64) -> Result<DeliveryState> {
    DeliveryState::from_code(code).ok_or(StoreError::Damaged("a delivery's state"))
}

async fn event_of<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    id: DeliveryId,
) -> Result<Option<EventId>> {
    let query = Query::<DB>::new("select event_id from deliveries where tenant_id = $1 and id = $2");
    query.id(tenant_id.uuid()).id(id.uuid()).row(db).await?.map(|row| row.id(0)).transpose()
}

fn read_ended<DB: Dialect>(row: &Row<DB>) -> Result<Ended> {
    let target = TargetId::from_stored(row.get(1)?, row.get(2)?).ok_or(StoreError::Damaged("a target"))?;
    Ok(Ended { id: row.id(0)?, target, state: state_of(row.get(3)?)? })
}

/// A delivery, locked.
async fn ended_by_id<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    id: DeliveryId,
) -> Result<Option<Ended>> {
    let sql = format!(
        "select id, target_kind, target_id, state from deliveries where tenant_id = $1 and id = $2 {}",
        DB::LOCKED
    );
    let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(id.uuid());
    query.row(db).await?.as_ref().map(read_ended).transpose()
}

/// The delivery of an event to a subscription, locked.
async fn ended_to<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    event_id: EventId,
    subscription_id: SubscriptionId,
) -> Result<Option<Ended>> {
    let sql = format!(
        "select id, target_kind, target_id, state from deliveries
         where event_id = $1 and target_id = $2 and tenant_id = $3 {}",
        DB::LOCKED
    );
    let query = Query::<DB>::assembled(sql).id(event_id.uuid()).id(subscription_id.uuid()).id(tenant_id.uuid());
    query.row(db).await?.as_ref().map(read_ended).transpose()
}

/// The next deliveries of an event, locked.
async fn ended_after<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    event_id: EventId,
    after: DeliveryId,
) -> Result<Vec<Ended>> {
    let sql = format!(
        "select id, target_kind, target_id, state from deliveries {}
         where event_id = $1 and tenant_id = $2 and id > $3 order by id limit $4 {}",
        DB::BY_EVENT,
        DB::LOCKED
    );
    let query = Query::<DB>::assembled(sql).id(event_id.uuid()).id(tenant_id.uuid()).id(after.uuid()).bind(CHUNK);
    query.rows(db).await?.iter().map(read_ended).collect()
}
