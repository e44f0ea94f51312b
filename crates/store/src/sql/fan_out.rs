//! Deliveries of events with very many targets, made in bounded chunks after the accept.

use std::collections::BTreeSet;

use postrider_core::catalogue::Judge;
use postrider_core::event::Event;
use postrider_core::filter::Filter;
use postrider_core::lanes::LaneId;
use postrider_core::target::TargetId;
use postrider_core::target_url::TargetUrl;
use postrider_core::{DeliveryId, EventId, SubscriptionId, TenantId, Timestamp};
use uuid::Uuid;

use super::accept::{MAX_TARGETS, UNKNOWN_PROFILE};
use super::claim::load_event;
use super::{Dialect, Query, Row, Sql};
use crate::error::Result;
use crate::measure;

/// An event whose deliveries are still to be made.
struct Unfinished {
    event: Event,
    after: Uuid,
}

/// A subscription that received events of the type when the event was accepted.
struct Candidate {
    id: SubscriptionId,
    url: TargetUrl,
    profile: String,
    filters: Filter,
    /// Whether its settings are those of then.
    is_unchanged: bool,
}

/// A delivery to be made, due since `opened_at`, for anyone.
pub(super) struct Pending {
    pub(super) tenant_id: TenantId,
    pub(super) event_id: EventId,
    pub(super) target: TargetId,
    pub(super) profile: i64,
    pub(super) lane: LaneId,
    pub(super) opened_at: Timestamp,
}

impl<DB: Dialect> Sql<DB> {
    /// Makes the next chunk of the oldest such event. The cursor moves in the same transaction.
    pub(super) async fn fan_out_chunk(&self) -> Result<Option<Vec<LaneId>>> {
        let mut tx = self.begin().await?;
        let Some(Unfinished { event, after }) = next_unfinished::<DB>(&mut tx).await? else { return Ok(None) };
        let candidates = next_candidates::<DB>(&mut tx, &event, after).await?;
        let (mut made, mut lanes, mut turned_away) = (0, BTreeSet::new(), Vec::new());
        for candidate in &candidates {
            if self.turns_away(candidate, &event) {
                turned_away.push(candidate.id);
                continue;
            }
            let profile = self.profile_of_name(&candidate.profile).await?;
            let pending = Pending {
                tenant_id: event.tenant_id,
                event_id: event.id,
                target: TargetId::Subscription(candidate.id),
                profile: profile.map_or(UNKNOWN_PROFILE, |profile| profile.version()),
                lane: LaneId::of(event.tenant_id, &candidate.url),
                opened_at: event.created_at,
            };
            lanes.insert(pending.lane);
            made += self.insert_pending(&mut tx, &pending).await?;
        }
        add_made::<DB>(&mut tx, event.tenant_id, self.node.get(), made).await?;
        let last = candidates.last().filter(|_| candidates.len() == MAX_TARGETS).map(|last| last.id.uuid());
        Query::<DB>::new("update events set fan_out_after = $3 where tenant_id = $1 and id = $2")
            .id(event.tenant_id.uuid())
            .id(event.id.uuid())
            .bind(last)
            .run(&mut tx)
            .await?;
        add_turned_away::<DB>(&mut tx, self.node.get(), &turned_away).await?;
        tx.commit().await?;
        measure::turned_away(turned_away.len());
        Ok(Some(lanes.into_iter().collect()))
    }

    /// A filter that was changed since the event was accepted says nothing about then: in doubt, the
    /// event is delivered.
    fn turns_away(&self, candidate: &Candidate, event: &Event) -> bool {
        let mut judge = Judge::new(self.profiles.own(), event);
        candidate.is_unchanged && judge.failing_place(&candidate.filters, &candidate.profile).is_some()
    }

    /// Makes a delivery, unless there is one. How many were made.
    pub(super) async fn insert_pending(&self, db: &mut DB::Connection, pending: &Pending) -> Result<u64> {
        Query::<DB>::new(
            "insert into deliveries (tenant_id, id, event_id, target_kind, target_id, profile, lane, state, due_at,
                 lease_until, claim, node, strikes, tries, attempts, created_at, opened_at)
             values ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0, 0, 0, 0, 0, 0, $8, $8)
             on conflict (event_id, target_id) do nothing",
        )
        .id(pending.tenant_id.uuid())
        .id(self.world.new_id_at::<DeliveryId>(self.world.now()).uuid())
        .id(pending.event_id.uuid())
        .bind(pending.target.kind())
        .id(pending.target.uuid())
        .bind(pending.profile)
        .bind(pending.lane.0)
        .time(pending.opened_at)
        .run(db)
        .await
    }
}

async fn next_unfinished<DB: Dialect>(db: &mut DB::Connection) -> Result<Option<Unfinished>> {
    let sql = format!(
        "select tenant_id, id, fan_out_after from events where fan_out_after is not null order by id limit 1 {}",
        DB::LOCKED_OR_SKIPPED
    );
    let Some(row) = Query::<DB>::assembled(sql).row(db).await? else { return Ok(None) };
    let event = load_event::<DB>(db, row.id(0)?, row.id(1)?).await?;
    Ok(Some(Unfinished { event, after: row.get(2)? }))
}

/// The subscriptions that matched when the event was accepted, deleted and deactivated ones too:
/// their deliveries end discarded, with the reason.
async fn next_candidates<DB: Dialect>(db: &mut DB::Connection, event: &Event, after: Uuid) -> Result<Vec<Candidate>> {
    let rows = Query::<DB>::new(
        "select id, url, profile, filters, updated_at from subscriptions
         where tenant_id = $1 and id > $2 and event_type in ($3, 'all') and created_at <= $4
             and (deleted_at is null or deleted_at >= $4)
             and ((is_active = 1 and active_since <= $4) or discard_through >= $4)
         order by id limit $5",
    )
    .id(event.tenant_id.uuid())
    .id(after)
    .bind(event.draft.event_type.to_string())
    .time(event.created_at)
    .bind(i64::try_from(MAX_TARGETS).unwrap_or(i64::MAX))
    .rows(db)
    .await?;
    let read = |row: &Row<DB>| {
        Ok(Candidate {
            id: row.id(0)?,
            url: row.parsed(1, "a subscription's URL", TargetUrl::from_stored)?,
            profile: row.get(2)?,
            filters: row.parsed(3, "a filter", |text| Filter::compile(text).ok())?,
            is_unchanged: row.time(4)? <= event.created_at,
        })
    };
    rows.iter().map(read).collect()
}

/// Counts events that filters turned away.
async fn add_turned_away<DB: Dialect>(db: &mut DB::Connection, node: i64, from: &[SubscriptionId]) -> Result<()> {
    for subscription_id in from {
        Query::<DB>::new(
            "insert into filter_stats (subscription_id, node, turned_away) values ($1, $2, 1)
             on conflict (subscription_id, node) do update set turned_away = filter_stats.turned_away + 1",
        )
        .id(subscription_id.uuid())
        .bind(node)
        .run(db)
        .await?;
    }
    Ok(())
}

/// Counts deliveries that were made.
pub(super) async fn add_made<DB: Dialect>(
    db: &mut DB::Connection,
    tenant_id: TenantId,
    node: i64,
    made: u64,
) -> Result<()> {
    Query::<DB>::new(
        "insert into tenant_stats (tenant_id, node, made, pruned) values ($1, $2, $3, 0)
         on conflict (tenant_id, node) do update set made = tenant_stats.made + excluded.made",
    )
    .id(tenant_id.uuid())
    .bind(node)
    .bind(i64::try_from(made).unwrap_or(i64::MAX))
    .run(db)
    .await?;
    Ok(())
}
