//! Deliveries of events with very many targets, made in bounded chunks after the accept.

use std::collections::{BTreeSet, HashMap};

use postrider_core::catalogue::Judge;
use postrider_core::event::Event;
use postrider_core::fail_point::FailPoint;
use postrider_core::filter::Filter;
use postrider_core::lanes::LaneId;
use postrider_core::target::TargetId;
use postrider_core::target_url::TargetUrl;
use postrider_core::{DeliveryId, EventId, SubscriptionId, TenantId, Timestamp};
use uuid::Uuid;

use super::accept::{self, MAX_TARGETS, UNKNOWN_PROFILE};
use super::claim::load_event;
use super::dialect::{Cells, RowSet};
use super::ids::IDS;
use super::{Dialect, Query, Row, Sql};
use crate::error::Result;
use crate::measure;

/// An event whose subscriptions are still to be gone through.
struct Unfinished {
    event: Event,
    after: Uuid,
    /// Whether deliveries are to be made; if not, they were made with the event, and only those whose
    /// filter turned it away are counted.
    makes: bool,
}

/// A subscription that received events of the type when the event was accepted.
struct Candidate {
    id: SubscriptionId,
    url: TargetUrl,
    profile: String,
    filters: Filter,
    /// Whether its filter and format are those of then.
    is_unchanged: bool,
}

/// A delivery to be made, due since `opened_at` or at once if that lies ahead, for anyone.
pub(super) struct Pending {
    pub(super) tenant_id: TenantId,
    pub(super) event_id: EventId,
    pub(super) target: TargetId,
    pub(super) profile: i64,
    pub(super) lane: LaneId,
    pub(super) opened_at: Timestamp,
}

impl<DB: Dialect> Sql<DB> {
    /// Makes the next chunk of the oldest such event. Candidates are judged before anything is locked:
    /// what they say of then does not change. The cursor moves in the same transaction, unless somebody
    /// else has moved it.
    pub(super) async fn fan_out_chunk(&self) -> Result<Option<Vec<LaneId>>> {
        let mut reader = self.reading().await?;
        let Some(unfinished) = next_unfinished::<DB>(&mut reader).await? else { return Ok(None) };
        let Unfinished { event, after, makes } = &unfinished;
        let candidates = next_candidates::<DB>(&mut reader, event, *after).await?;
        drop(reader);
        let last = candidates.last().filter(|_| candidates.len() == MAX_TARGETS).map(|last| last.id.uuid());
        let (matching, turned_away) = self.judge(&unfinished, candidates);
        let mut versions = HashMap::new();
        for candidate in &matching {
            self.version_of(&candidate.profile, &mut versions).await?;
        }
        let mut tx = self.begin().await?;
        if !move_cursor::<DB>(&mut tx, event, *after, last).await? {
            return Ok(Some(Vec::new()));
        }
        let (mut made, mut lanes) = (0, BTreeSet::new());
        for candidate in matching.iter().filter(|_| *makes) {
            let pending = Pending {
                tenant_id: event.tenant_id,
                event_id: event.id,
                target: TargetId::Subscription(candidate.id),
                profile: versions.get(&candidate.profile).copied().unwrap_or(UNKNOWN_PROFILE),
                lane: LaneId::of(event.tenant_id, &candidate.url),
                opened_at: event.created_at,
            };
            lanes.insert(pending.lane);
            made += self.insert_pending(&mut tx, &pending).await?;
        }
        add_made::<DB>(&mut tx, event.tenant_id, self.background_rows(), made).await?;
        add_turned_away::<DB>(&mut tx, self.background_rows(), &turned_away).await?;
        FailPoint::ChunkWritten.pass();
        tx.commit().await?;
        FailPoint::ChunkCommitted.pass();
        measure::turned_away(turned_away.len());
        Ok(Some(lanes.into_iter().collect()))
    }

    /// The rows of statistics that this node counts in beside its writers, so that none waits for another in a
    /// circle.
    pub(super) fn background_rows(&self) -> i64 {
        -1 - self.node.get()
    }

    /// Those that get the event, and those whose filter turns it away. A filter that was changed since
    /// the event was accepted says nothing about then: in doubt, the event is delivered.
    fn judge(&self, unfinished: &Unfinished, candidates: Vec<Candidate>) -> (Vec<Candidate>, Vec<Candidate>) {
        let mut judge = Judge::new(self.profiles.own(), &unfinished.event);
        candidates
            .into_iter()
            .partition(|candidate| !candidate.is_unchanged || judge.passes(&candidate.filters, &candidate.profile))
    }

    /// Looks the version of a format up, once a chunk.
    async fn version_of(&self, profile: &str, known: &mut HashMap<String, i64>) -> Result<()> {
        if !known.contains_key(profile) {
            let found = self.profile_of_name(profile).await?;
            known.insert(profile.to_owned(), found.map_or(UNKNOWN_PROFILE, |profile| profile.version()));
        }
        Ok(())
    }

    /// Makes a delivery, unless there is one. How many were made.
    pub(super) async fn insert_pending(&self, db: &mut DB::Connection, pending: &Pending) -> Result<u64> {
        // An event is of the future if the clock was set back after it was accepted.
        let opened_at = pending.opened_at.min(self.world.now());
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
        .time(opened_at)
        .run(db)
        .await
    }
}

async fn next_unfinished<DB: Dialect>(db: &mut DB::Connection) -> Result<Option<Unfinished>> {
    let query = Query::<DB>::new(
        "select tenant_id, id, fan_out_after, delivery_count from events
         where fan_out_after is not null order by id limit 1",
    );
    let Some(row) = query.row(db).await? else { return Ok(None) };
    let event = load_event::<DB>(db, row.id(0)?, row.id(1)?).await?;
    let makes = usize::try_from(row.get::<i64>(3)?).is_ok_and(|count| count > MAX_TARGETS);
    Ok(Some(Unfinished { event, after: row.get(2)?, makes }))
}

/// Moves the cursor on; false if somebody else did.
async fn move_cursor<DB: Dialect>(
    db: &mut DB::Connection,
    event: &Event,
    from: Uuid,
    to: Option<Uuid>,
) -> Result<bool> {
    let query = Query::<DB>::new(
        "update events set fan_out_after = $4 where tenant_id = $1 and id = $2 and fan_out_after = $3",
    );
    let moved = query.id(event.tenant_id.uuid()).id(event.id.uuid()).id(from).bind(to).run(db).await?;
    Ok(moved == 1)
}

/// The subscriptions that matched when the event was accepted, deleted and deactivated ones too:
/// their deliveries end discarded, with the reason.
async fn next_candidates<DB: Dialect>(db: &mut DB::Connection, event: &Event, after: Uuid) -> Result<Vec<Candidate>> {
    let rows = Query::<DB>::new(
        "select id, url, profile, filters, filters_changed_at from subscriptions
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

/// Counts those whose filter turned an event away.
async fn add_turned_away<DB: Dialect>(db: &mut DB::Connection, node: i64, from: &[Candidate]) -> Result<()> {
    if from.is_empty() {
        return Ok(());
    }
    let sql = accept::add_turned_away(&format!("select r.id, $1, 1 from {} r where true", DB::Rows::source(IDS, 2)));
    let mut rows = DB::Rows::new(IDS);
    for candidate in from {
        rows.uuid(Some(candidate.id.uuid()));
        rows.end_row();
    }
    Query::<DB>::assembled(sql).bind(node).bind_rows(rows).run(db).await?;
    Ok(())
}

/// Counts deliveries that were made.
pub(super) async fn add_made<DB: Dialect>(
    db: &mut DB::Connection,
    tenant_id: TenantId,
    node: i64,
    made: u64,
) -> Result<()> {
    let query = Query::<DB>::assembled(accept::add_made("values ($1, $2, $3, 0)"));
    query.id(tenant_id.uuid()).bind(node).bind(i64::try_from(made).unwrap_or(i64::MAX)).run(db).await?;
    Ok(())
}
