//! Deliveries of events with very many targets, made in bounded chunks after the accept.

use std::collections::{BTreeSet, HashMap};

use postrider_core::catalogue::Judge;
use postrider_core::event::Event;
use postrider_core::fail_point::FailPoint;
use postrider_core::lanes::LaneId;
use postrider_core::standing::Then;
use postrider_core::target::TargetId;
use postrider_core::target_url::TargetUrl;
use postrider_core::{DeliveryId, EventId, SubscriptionId, TenantId, Timestamp};
use uuid::Uuid;

use super::accept::{self, MAX_TARGETS, UNKNOWN_PROFILE};
use super::claim::load_event;
use super::dialect::{Cells, Kind, RowSet, Schema};
use super::ids::IDS;
use super::query::note_unreadable;
use super::upkeep::Work;
use super::yielding::Yielding;
use super::{Dialect, Query, Row, Sql, subscription_versions};
use crate::db::Connection;
use crate::error::Result;
use crate::measure;
use crate::shares::Who;

/// An event whose subscriptions are still to be gone through.
struct Unfinished {
    event: Event,
    /// That it was matched against; none if it was accepted before versions were kept.
    version: Option<i64>,
    after: Uuid,
}

/// A subscription, as it was when the event was accepted.
struct Candidate {
    id: SubscriptionId,
    url: TargetUrl,
    then: Then,
}

/// A page of subscriptions.
struct Candidates {
    /// Those that received events of the type.
    candidates: Vec<Candidate>,
    /// The last that was looked at; `None` if there is none beyond.
    last: Option<Uuid>,
}

/// A delivery to be made, due since `opened_at` or at once if that lies ahead, for anyone.
pub(super) struct Pending {
    pub(super) tenant_id: TenantId,
    pub(super) event_id: EventId,
    pub(super) target: TargetId,
    pub(super) profile: i64,
    pub(super) lane: LaneId,
    pub(super) opened_at: Timestamp,
    /// The catalogue version at which it is opened, if that is known.
    pub(super) opened_version: Option<i64>,
}

const PENDING: Schema = &[
    ("tenant_id", Kind::Uuid),
    ("id", Kind::Uuid),
    ("event_id", Kind::Uuid),
    ("target_kind", Kind::Int),
    ("target_id", Kind::Uuid),
    ("profile", Kind::Int),
    ("lane", Kind::Int),
    ("due_at", Kind::Int),
    ("opened_version", Kind::Int),
];

/// Events that are looked at to find one that can go on.
const LOOKED_AT: i64 = 100;

impl<DB: Dialect> Sql<DB> {
    /// Makes the next page of the oldest such event that can go on. Candidates are judged before anything is locked: what they
    /// were then does not change. The cursor moves in the same transaction, unless somebody else has moved it.
    pub(super) async fn fan_out_chunk(&self) -> Result<Option<Vec<LaneId>>> {
        let rows = next_unfinished::<DB>(&mut *self.reader(Who::Background).await?).await?;
        for row in &rows {
            let ids = note_unreadable("events", row, row.id(0).and_then(|tenant| Ok((tenant, row.id::<EventId>(1)?))));
            let Some((tenant_id, id)) = ids else { continue };
            if self.is_passed_over(Work::FanOut, id.uuid()) {
                continue;
            }
            match self.fan_out_page(tenant_id, id, row).await {
                Ok(lanes) => return Ok(Some(lanes)),
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => self.note_passed_over(Work::FanOut, id.uuid(), &format_args!("event {id}"), &error),
            }
        }
        Ok(None)
    }

    async fn fan_out_page(&self, tenant_id: TenantId, id: EventId, row: &Row<DB>) -> Result<Vec<LaneId>> {
        let mut reader = self.reading(Who::Background).await?;
        let event = load_event::<DB>(&mut reader, tenant_id, id).await?;
        // If not, they were made with the event, and only those whose filter turned it away are counted.
        let makes = usize::try_from(row.get::<i64>(3)?).is_ok_and(|count| count > MAX_TARGETS);
        let unfinished = Unfinished { event, version: row.get(4)?, after: row.get(2)? };
        let Candidates { candidates, last } = self.next_candidates(&mut reader, &unfinished).await?;
        drop(reader);
        let (matching, turned_away) = self.judge(&unfinished, candidates).await;
        let mut profiles = HashMap::new();
        for candidate in &matching {
            self.version_of(&candidate.then.profile, &mut profiles).await?;
        }
        let made = if makes { matching.as_slice() } else { &[] };
        let pending: Vec<Pending> = made.iter().map(|candidate| pending(&unfinished, candidate, &profiles)).collect();
        let mut page = self.begin_page(Work::FanOut).await?;
        let done = self.write_page(&mut page.tx, &unfinished, last, &pending, &turned_away).await;
        FailPoint::ChunkWritten.pass();
        let Some(is_ours) = self.end_page(page, done).await? else { return Ok(Vec::new()) };
        FailPoint::ChunkCommitted.pass();
        if !is_ours {
            return Ok(Vec::new());
        }
        measure::turned_away(turned_away.len());
        let lanes: BTreeSet<LaneId> = pending.iter().map(|pending| pending.lane).collect();
        Ok(lanes.into_iter().collect())
    }

    /// False if somebody else has moved the cursor.
    async fn write_page(
        &self,
        db: &mut Connection<DB>,
        unfinished: &Unfinished,
        last: Option<Uuid>,
        pending: &[Pending],
        turned_away: &[Candidate],
    ) -> Result<bool> {
        let event = &unfinished.event;
        if !move_cursor::<DB>(db, event, unfinished.after, last).await? {
            return Ok(false);
        }
        let made = self.insert_pending(db, pending).await?;
        add_made::<DB>(db, event.tenant_id, self.background_rows(), made).await?;
        add_turned_away::<DB>(db, self.background_rows(), turned_away).await?;
        Ok(true)
    }

    /// The rows of statistics that this node counts in beside its writers, so that none waits for another in a
    /// circle.
    pub(super) fn background_rows(&self) -> i64 {
        self.node.beside_writers()
    }

    /// Those that get the event, and those whose filter turns it away.
    async fn judge(&self, unfinished: &Unfinished, candidates: Vec<Candidate>) -> (Vec<Candidate>, Vec<Candidate>) {
        let mut judge = Judge::new(self.profiles.own(), &unfinished.event);
        let (mut matching, mut turned_away, mut yielding) = (Vec::new(), Vec::new(), Yielding::new());
        for candidate in candidates {
            let passes = candidate.then.passes(&mut judge);
            if passes { &mut matching } else { &mut turned_away }.push(candidate);
            yielding.offer().await;
        }
        (matching, turned_away)
    }

    /// Looks the version of a format up, once a page.
    async fn version_of(&self, profile: &str, known: &mut HashMap<String, i64>) -> Result<()> {
        if !known.contains_key(profile) {
            let found = self.profile_of_name(profile).await?;
            known.insert(profile.to_owned(), found.map_or(UNKNOWN_PROFILE, |profile| profile.version()));
        }
        Ok(())
    }

    /// The next subscriptions, and of them those that received events of the type when the event was accepted, deleted and
    /// deactivated ones too: their deliveries end discarded, with the reason. One that cannot be read is passed over.
    async fn next_candidates(&self, db: &mut Connection<DB>, unfinished: &Unfinished) -> Result<Candidates> {
        let (event, limit) = (&unfinished.event, self.page_limit(Work::FanOut));
        let rows = Query::<DB>::assembled(select_candidates())
            .id(event.tenant_id.uuid())
            .id(unfinished.after)
            .bind(event.draft.event_type.to_string())
            .time(event.created_at)
            .bind(unfinished.version)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .rows(db)
            .await?;
        let last = rows.last().filter(|_| rows.len() == limit).map(|row| row.get(0)).transpose()?;
        let mut candidates = Vec::new();
        for row in &rows {
            if !row.get::<bool>(2)? {
                continue;
            }
            match read_candidate(row) {
                Ok(candidate) => candidates.push(candidate),
                Err(error) => {
                    let id = row.id::<SubscriptionId>(0)?;
                    self.note_passed_over(
                        Work::FanOut,
                        id.uuid(),
                        &format_args!("webhook {id} of event {}", event.id),
                        &error,
                    );
                }
            }
        }
        Ok(Candidates { candidates, last })
    }

    /// Makes deliveries, but for those that there are. How many were made.
    pub(super) async fn insert_pending(&self, db: &mut Connection<DB>, pending: &[Pending]) -> Result<u64> {
        if pending.is_empty() {
            return Ok(0);
        }
        let now = self.world.now();
        let mut rows = DB::Rows::new(PENDING);
        for pending in pending {
            rows.uuid(Some(pending.tenant_id.uuid()));
            rows.uuid(Some(self.world.new_id_at::<DeliveryId>(now).uuid()));
            rows.uuid(Some(pending.event_id.uuid()));
            rows.int(Some(pending.target.kind()));
            rows.uuid(Some(pending.target.uuid()));
            rows.int(Some(pending.profile));
            rows.int(Some(pending.lane.0));
            // An event is of the future if the clock was set back after it was accepted.
            rows.time(Some(pending.opened_at.min(now)));
            rows.int(pending.opened_version);
            rows.end_row();
        }
        let sql = format!(
            "insert into deliveries (tenant_id, id, event_id, target_kind, target_id, profile, lane, state, due_at,
                 lease_until, claim, node, strikes, tries, attempts, created_at, opened_at, opened_version)
             select r.tenant_id, r.id, r.event_id, r.target_kind, r.target_id, r.profile, r.lane, 0, r.due_at,
                 0, 0, 0, 0, 0, 0, r.due_at, r.due_at, r.opened_version
             from {} r where true on conflict (event_id, target_id) do nothing",
            DB::Rows::source(PENDING, 1)
        );
        Query::<DB>::assembled(sql).bind_rows(rows).run(db).await
    }
}

fn pending(unfinished: &Unfinished, candidate: &Candidate, profiles: &HashMap<String, i64>) -> Pending {
    let event = &unfinished.event;
    Pending {
        tenant_id: event.tenant_id,
        event_id: event.id,
        target: TargetId::Subscription(candidate.id),
        profile: profiles.get(&candidate.then.profile).copied().unwrap_or(UNKNOWN_PROFILE),
        lane: LaneId::of(event.tenant_id, &candidate.url),
        opened_at: event.created_at,
        opened_version: unfinished.version,
    }
}

/// The oldest events that are not finished: more than one, should some of them not be readable.
async fn next_unfinished<DB: Dialect>(db: &mut Connection<DB>) -> Result<Vec<Row<DB>>> {
    let query = Query::<DB>::new(
        "select tenant_id, id, fan_out_after, delivery_count, catalogue_version from events
         where fan_out_after is not null order by id limit $1",
    );
    query.bind(LOOKED_AT).rows(db).await
}

/// Moves the cursor on; false if somebody else did.
async fn move_cursor<DB: Dialect>(
    db: &mut Connection<DB>,
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

/// Parameters are the tenant, the subscription after which it goes on, the event's type, time and version, and how many.
fn select_candidates() -> String {
    let (holding, columns) =
        (subscription_versions::holding("$1", "s.id", "$5", "$4"), subscription_versions::columns("$5", "$4"));
    format!(
        "select s.id, s.url, coalesce(h.standing = 1 and h.event_type in ($3, 'all'), 1 = 0), {columns}
         from (select id, url from subscriptions where tenant_id = $1 and id > $2 order by id limit $6) s
         left join subscription_versions h
             on h.tenant_id = $1 and h.subscription_id = s.id and h.version = {holding}
         order by s.id"
    )
}

fn read_candidate<DB: Dialect>(row: &Row<DB>) -> Result<Candidate> {
    Ok(Candidate {
        id: row.id(0)?,
        url: row.parsed(1, "a subscription's URL", TargetUrl::from_stored)?,
        then: subscription_versions::read(row, 3)?,
    })
}

/// Counts those whose filter turned an event away.
async fn add_turned_away<DB: Dialect>(db: &mut Connection<DB>, node: i64, from: &[Candidate]) -> Result<()> {
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
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    node: i64,
    made: u64,
) -> Result<()> {
    let query = Query::<DB>::assembled(accept::add_made("values ($1, $2, $3, 0)"));
    query.id(tenant_id.uuid()).bind(node).bind(i64::try_from(made).unwrap_or(i64::MAX)).run(db).await?;
    Ok(())
}
