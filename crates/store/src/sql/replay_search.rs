//! What a replay means, in pages: deliveries that are there, then events of which there is none.

use postrider_core::catalogue::Judge;
use postrider_core::delivery::DeliveryState;
use postrider_core::replay::{Count, ReplayScope};
use postrider_core::standing::Standing;
use postrider_core::target::TargetId;
use postrider_core::{DeliveryId, EventId, SubscriptionId, TenantId, Timestamp};
use uuid::Uuid;

use super::claim::load_event;
use super::query::note_unreadable;
use super::upkeep::Work;
use super::window::first_id_at;
use super::{Dialect, Query, Row, Sql, subscription_versions, subscriptions};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::replays::{ReplayPreview, ReplaySample};
use crate::shares::Who;

/// Rows looked at in one page.
const PAGE: i64 = 1_000;
/// Pages gone through to count what a replay means.
const COUNTED_PAGES: usize = 250;
/// Of them, those whose events are read, to see whether a filter lets them pass.
const COUNTED_PAGES_OF_EVENTS: usize = 25;
/// Shown of what a replay means.
const SAMPLE: usize = 10;

/// What is gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Deliveries,
    Events,
}

impl Stage {
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Deliveries => 0,
            Self::Events => 1,
        }
    }

    pub(super) fn from_code(code: i64) -> Option<Self> {
        [Self::Deliveries, Self::Events].into_iter().find(|stage| stage.code() == code)
    }
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) stage: Stage,
    /// The last delivery or event that was gone through.
    pub(super) after: Uuid,
}

impl Place {
    /// Where a replay begins.
    pub(super) fn first(scope: &ReplayScope) -> Self {
        Self::of(if scope.wants_existing() { Stage::Deliveries } else { Stage::Events }, scope)
    }

    /// A delivery is not older than its event.
    fn of(stage: Stage, scope: &ReplayScope) -> Self {
        Self { stage, after: before_all_since(scope.since) }
    }

    /// Where it goes on once all of a stage were gone through.
    fn next_stage(self, scope: &ReplayScope) -> Option<Self> {
        let has_more = self.stage == Stage::Deliveries && scope.wants_missed().is_some();
        has_more.then(|| Self::of(Stage::Events, scope))
    }
}

fn before_all_since(since: Timestamp) -> Uuid {
    Uuid::from_u128(first_id_at(since).as_u128().saturating_sub(1))
}

/// What is sent again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// A delivery that is there.
    Existing(DeliveryId),
    /// The one of the event to the subscription, to be made.
    Missed(SubscriptionId),
}

/// One that is meant.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) wanted: Wanted,
    pub(super) sample: ReplaySample,
}

/// A part of what is meant.
pub(super) struct Found {
    pub(super) hits: Vec<Hit>,
    /// Behind the last that was looked at; `None` at the end.
    pub(super) next: Option<Place>,
}

impl<DB: Dialect> Sql<DB> {
    /// Up to `most` that are meant, of the next page.
    pub(super) async fn search(
        &self,
        tenant_id: TenantId,
        scope: &ReplayScope,
        place: Place,
        most: usize,
    ) -> Result<Found> {
        match place.stage {
            Stage::Deliveries => self.search_deliveries(tenant_id, scope, place, most).await,
            Stage::Events => self.search_events(tenant_id, scope, place, most).await,
        }
    }

    async fn search_deliveries(
        &self,
        tenant_id: TenantId,
        scope: &ReplayScope,
        place: Place,
        most: usize,
    ) -> Result<Found> {
        let (index, undelivered) =
            if scope.means_state(DeliveryState::Delivered) { ("", "") } else { (DB::UNDELIVERED, "and d.state <> 1") };
        let sql = format!(
            "select d.id, d.event_id, d.target_kind, d.target_id, d.state, e.event_type, e.created_at
             from deliveries d {index} join events e on e.tenant_id = d.tenant_id and e.id = d.event_id
             where d.tenant_id = $1 and d.id > $2 {undelivered} order by d.id limit $3"
        );
        let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(place.after).bind(PAGE);
        let rows = query.rows(&mut *self.reader(Who::Tenant(tenant_id)).await?).await?;
        let mut page = Page::begin(place, most);
        for row in &rows {
            let hit = note_unreadable("deliveries", row, existing(row, scope)).flatten();
            if !page.take(row.get(0)?, hit) {
                break;
            }
        }
        Ok(page.end(scope, is_last(rows.len())))
    }

    async fn search_events(
        &self,
        tenant_id: TenantId,
        scope: &ReplayScope,
        place: Place,
        most: usize,
    ) -> Result<Found> {
        let end = Found { hits: Vec::new(), next: None };
        let Some(subscription_id) = scope.wants_missed() else { return Ok(end) };
        let mut reader = self.reader(Who::Tenant(tenant_id)).await?;
        if !subscriptions::is_living::<DB>(&mut reader, tenant_id, subscription_id).await? {
            return Ok(end);
        }
        let query = Query::<DB>::assembled(select_events()).id(tenant_id.uuid()).id(place.after);
        let rows = query.id(subscription_id.uuid()).bind(PAGE).rows(&mut reader).await?;
        let mut page = Page::begin(place, most);
        for row in &rows {
            let id: EventId = row.id(0)?;
            let hit = self.missed(&mut reader, tenant_id, scope, subscription_id, row).await.unwrap_or_else(|error| {
                self.note_passed_over(Work::Replay, id.uuid(), &format_args!("event {id}"), &error);
                None
            });
            if !page.take(id.uuid(), hit) {
                break;
            }
        }
        let is_past = |row: &Row<DB>| Ok::<_, StoreError>(row.time(2)? >= scope.until);
        let is_over = rows.last().map(is_past).transpose()?.unwrap_or(true);
        Ok(page.end(scope, is_over || is_last(rows.len())))
    }

    /// An event of which there is no delivery to the subscription, if it was for it: by its type, its filter and its format of
    /// then. Whoever did not exist yet missed nothing.
    async fn missed(
        &self,
        db: &mut Connection<DB>,
        tenant_id: TenantId,
        scope: &ReplayScope,
        id: SubscriptionId,
        row: &Row<DB>,
    ) -> Result<Option<Hit>> {
        let (event_type, created_at): (String, Timestamp) = (row.get(1)?, row.time(2)?);
        let Some(number) = row.get::<Option<i64>>(5)? else { return Ok(None) };
        if !scope.covers(&event_type, created_at) || row.get::<bool>(3)? {
            return Ok(None);
        }
        let then = subscription_versions::get::<DB>(db, tenant_id, id, number, (row.get(4)?, created_at)).await?;
        let event_id: EventId = row.id(0)?;
        let Some(then) = then.filter(|then| then.standing != Standing::Deleted) else { return Ok(None) };
        let event = load_event::<DB>(db, tenant_id, event_id).await?;
        let is_meant = then.wants(&event.draft.event_type) && then.passes(&mut Judge::new(self.profiles.own(), &event));
        let sample = ReplaySample { event_id, event_type, created_at, delivery: None };
        Ok(is_meant.then_some(Hit { wanted: Wanted::Missed(id), sample }))
    }

    /// All that is meant, as far as it is found in bounded time.
    pub(super) async fn search_for_preview(&self, tenant_id: TenantId, scope: &ReplayScope) -> Result<ReplayPreview> {
        let (mut next, mut pages, mut pages_of_events) = (Some(Place::first(scope)), 0, 0);
        let mut preview = ReplayPreview { count: Count { count: 0, is_exact: true }, sample: Vec::new() };
        while let Some(place) = next {
            if pages == COUNTED_PAGES || pages_of_events == COUNTED_PAGES_OF_EVENTS {
                preview.count.is_exact = false;
                break;
            }
            pages += 1;
            pages_of_events += usize::from(place.stage == Stage::Events);
            let found = self.search(tenant_id, scope, place, usize::MAX).await?;
            preview.count.count += i64::try_from(found.hits.len()).unwrap_or(i64::MAX);
            let room = SAMPLE - preview.sample.len();
            preview.sample.extend(found.hits.into_iter().take(room).map(|hit| hit.sample));
            next = found.next;
        }
        Ok(preview)
    }
}

/// A delivery that is there, if it is meant.
fn existing<DB: Dialect>(row: &Row<DB>, scope: &ReplayScope) -> Result<Option<Hit>> {
    let state = DeliveryState::from_code(row.get(4)?).ok_or(StoreError::Damaged("a delivery's state"))?;
    let target = TargetId::from_stored(row.get(2)?, row.get(3)?).ok_or(StoreError::Damaged("a target"))?;
    let (event_type, created_at): (String, Timestamp) = (row.get(5)?, row.time(6)?);
    if !scope.covers(&event_type, created_at) || !scope.means(target, state) {
        return Ok(None);
    }
    let id = row.id(0)?;
    let sample = ReplaySample { event_id: row.id(1)?, event_type, created_at, delivery: Some((id, state)) };
    Ok(Some(Hit { wanted: Wanted::Existing(id), sample }))
}

/// Events, whether the subscription has a delivery of each, and the version of it that held for each: parameters are the tenant,
/// the event after which it goes on, the subscription, and how many. Those that are still fanned out get their deliveries by
/// that.
fn select_events() -> String {
    let holding = subscription_versions::holding("$1", "$3", "e.catalogue_version", "e.created_at");
    format!(
        "select e.id, e.event_type, e.created_at,
             e.fan_out_after is not null
                 or exists (select 1 from deliveries d where d.event_id = e.id and d.target_id = $3),
             e.catalogue_version, {holding}
         from events e where e.tenant_id = $1 and e.id > $2 order by e.id limit $4"
    )
}

/// A page being gone through.
struct Page {
    place: Place,
    most: usize,
    hits: Vec<Hit>,
    is_full: bool,
}

impl Page {
    const fn begin(place: Place, most: usize) -> Self {
        Self { place, most, hits: Vec::new(), is_full: false }
    }

    /// Goes past one; false if there is no room for more.
    fn take(&mut self, id: Uuid, hit: Option<Hit>) -> bool {
        self.place.after = id;
        self.hits.extend(hit);
        self.is_full = self.hits.len() >= self.most;
        !self.is_full
    }

    /// What was found, if the last that there is was among the rows or not.
    fn end(self, scope: &ReplayScope, is_last: bool) -> Found {
        let is_over = is_last && !self.is_full;
        let next = if is_over { self.place.next_stage(scope) } else { Some(self.place) };
        Found { hits: self.hits, next }
    }
}

fn is_last(rows: usize) -> bool {
    i64::try_from(rows).is_ok_and(|rows| rows < PAGE)
}
