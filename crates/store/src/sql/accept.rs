//! Accepting an event: it and its deliveries, or nothing.

use std::collections::HashSet;
use std::sync::Arc;

use postrider_core::callback::Callback;
use postrider_core::event::Event;
use postrider_core::lanes::{LaneId, Slot};
use postrider_core::profile::Profile;
use postrider_core::subscription::AttemptTimeout;
use postrider_core::target::TargetId;
use postrider_core::{DeliveryId, EventId, SubscriptionId, Timestamp};
use sqlx::error::BoxDynError;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::dialect::{Cells, Kind, RowSet, Schema, Step};
use super::{Dialect, LEASE_MARGIN};
use crate::error::Result;
use crate::hand_over::{Claimed, HandOver};
use crate::measure;

/// Most deliveries made together with their event. Beyond, they are made in chunks afterwards.
pub(super) const MAX_TARGETS: usize = 1000;

/// One delivery to be made, with the slot it may go out with at once.
pub(super) struct Target {
    pub(super) delivery_id: DeliveryId,
    pub(super) id: TargetId,
    pub(super) callback: Option<Arc<Callback>>,
    pub(super) lane: LaneId,
    pub(super) timeout: AttemptTimeout,
    pub(super) profile: Option<Arc<Profile>>,
    pub(super) slot: Option<Slot>,
}

/// Stands for a wire format that nobody knows.
pub(super) const UNKNOWN_PROFILE: i64 = 0;

impl Target {
    pub(super) fn profile_version(&self) -> i64 {
        self.profile.as_ref().map_or(UNKNOWN_PROFILE, |profile| profile.version())
    }
}

/// An event on its way into the store.
pub(super) struct Accept {
    pub(super) event: Arc<Event>,
    /// If it has an idempotency key.
    pub(super) request_hash: Option<[u8; 32]>,
    /// The catalogue version that it was matched against.
    pub(super) version: i64,
    /// Without subscriptions, if there are more than [`MAX_TARGETS`] deliveries.
    pub(super) targets: Vec<Target>,
    pub(super) delivery_count: usize,
    /// Whether subscriptions are gone through in chunks afterwards: there are too many to be made, or to be
    /// counted, together with their event.
    pub(super) fans_out: bool,
    /// Subscriptions whose filter turned it away.
    pub(super) turned_away: Vec<SubscriptionId>,
    /// Hears whether it was inserted; not, if the version moved or the key exists.
    pub(super) reply: oneshot::Sender<Result<bool>>,
    /// Its share of the memory for what waits.
    pub(super) _room: OwnedSemaphorePermit,
}

impl Accept {
    /// How many rows it makes beside its own.
    pub(super) fn rows(&self) -> usize {
        self.targets.len() + self.turned_away.len()
    }
}

const EVENT: Schema = &[
    ("tenant_id", Kind::Uuid),
    ("id", Kind::Uuid),
    ("event_type", Kind::Text),
    ("payload", Kind::Bytes),
    ("created_at", Kind::Int),
    ("occurred_at", Kind::Int),
    ("expires_at", Kind::Int),
    ("resource_id", Kind::Text),
    ("metadata", Kind::Text),
    ("idempotency_key", Kind::Text),
    ("trace_context", Kind::Text),
    ("one_off_url", Kind::Text),
    ("one_off_profile", Kind::Text),
    ("request_hash", Kind::Bytes),
    ("delivery_count", Kind::Int),
    ("fan_out_after", Kind::Uuid),
    ("catalogue_version", Kind::Int),
];

const DELIVERY: Schema = &[
    ("tenant_id", Kind::Uuid),
    ("id", Kind::Uuid),
    ("event_id", Kind::Uuid),
    ("target_kind", Kind::Int),
    ("target_id", Kind::Uuid),
    ("profile", Kind::Int),
    ("lane", Kind::Int),
    ("due_at", Kind::Int),
    ("lease_until", Kind::Int),
    ("claim", Kind::Int),
    ("opened_version", Kind::Int),
];

const TURNED_AWAY: Schema = &[("tenant_id", Kind::Uuid), ("event_id", Kind::Uuid), ("subscription_id", Kind::Uuid)];

/// Inserts events, with the rows from parameter `first` on, and returns their ids: not of those whose
/// catalogue moved since they were matched, or whose key is taken.
fn insert_events<DB: Dialect>(first: usize) -> String {
    format!(
        "insert into events (tenant_id, id, event_type, payload, created_at, occurred_at, expires_at, resource_id,
             metadata, idempotency_key, trace_context, one_off_url, one_off_profile, request_hash, delivery_count,
             fan_out_after, catalogue_version)
         select r.tenant_id, r.id, r.event_type, r.payload, r.created_at, r.occurred_at, r.expires_at, r.resource_id,
             r.metadata, r.idempotency_key, r.trace_context, r.one_off_url, r.one_off_profile, r.request_hash,
             r.delivery_count, r.fan_out_after, r.catalogue_version
         from {} r
         join tenants t on t.id = r.tenant_id and t.catalogue_version = r.catalogue_version and t.deleted_at is null
         where true {}
         on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing
         returning id, tenant_id",
        DB::Rows::source(EVENT, first),
        DB::KEY_ORDER
    )
}

/// Inserts those deliveries for which `condition` holds, with the node at parameter 1.
fn insert_deliveries<DB: Dialect>(first: usize, condition: &str) -> String {
    format!(
        "insert into deliveries (tenant_id, id, event_id, target_kind, target_id, profile, lane, state, due_at,
             lease_until, claim, node, strikes, tries, attempts, created_at, opened_at, opened_version)
         select r.tenant_id, r.id, r.event_id, r.target_kind, r.target_id, r.profile, r.lane, 0, r.due_at,
             r.lease_until, r.claim, $1, r.claim, 0, 0, r.due_at, r.due_at, r.opened_version
         from {} r where {condition}",
        DB::Rows::source(DELIVERY, first)
    )
}

/// Adds up deliveries made, given rows of a tenant, a node, a number and 0.
pub(super) fn add_made(rows: &str) -> String {
    format!(
        "insert into tenant_stats (tenant_id, node, made, pruned) {rows}
         on conflict (tenant_id, node) do update set made = tenant_stats.made + excluded.made"
    )
}

/// Adds up events turned away, given rows of a subscription, a node and a number.
pub(super) fn add_turned_away(rows: &str) -> String {
    format!(
        "insert into filter_stats (subscription_id, node, turned_away) {rows}
         on conflict (subscription_id, node) do update set turned_away = filter_stats.turned_away + excluded.turned_away"
    )
}

/// The statements, with the node at parameter 1 and the rows behind it. The first one returns
/// the ids of the events that were inserted.
pub(super) fn steps<DB: Dialect>() -> Vec<Step> {
    let events = 2;
    let deliveries = events + DB::Rows::parameters(EVENT);
    let turned_away = deliveries + DB::Rows::parameters(DELIVERY);
    let accepted = DB::written("events", "accepted");
    // `is true`: a join would be a loop in a loop, as planners expect few rows; this is a lookup in a hash.
    let is_in = format!("((r.tenant_id, r.event_id) in (select e.tenant_id, e.id from {accepted} e)) is true");
    let made = format!(
        "select r.tenant_id, $1, count(*), 0 from {} r where {is_in} group by r.tenant_id",
        DB::Rows::source(DELIVERY, deliveries)
    );
    let turned_away = format!(
        "select r.subscription_id, $1, count(*) from {} r where {is_in} group by r.subscription_id",
        DB::Rows::source(TURNED_AWAY, turned_away)
    );
    let step = |name, sql, returns| Step { name, sql, returns };
    vec![
        step("accepted", insert_events::<DB>(events), true),
        step("made", insert_deliveries::<DB>(deliveries, &is_in), false),
        step("counted", add_made(&made), false),
        step("turned_away", add_turned_away(&turned_away), false),
    ]
}

/// Binds what [`steps`] need, `node` first.
pub(super) fn bind<DB: Dialect>(
    arguments: &mut DB::Arguments,
    accepts: &[&Accept],
    node: i64,
    now: Timestamp,
) -> Result<(), BoxDynError> {
    let mut events = DB::Rows::new(EVENT);
    let mut deliveries = DB::Rows::new(DELIVERY);
    let mut turned_away = DB::Rows::new(TURNED_AWAY);
    for accept in accepts {
        put_event(&mut events, accept);
        events.end_row();
        for subscription_id in &accept.turned_away {
            turned_away.uuid(Some(accept.event.tenant_id.uuid()));
            turned_away.uuid(Some(accept.event.id.uuid()));
            turned_away.uuid(Some(subscription_id.uuid()));
            turned_away.end_row();
        }
        for target in &accept.targets {
            put_delivery(&mut deliveries, accept, target, now);
        }
    }
    DB::bind(arguments, node)?;
    events.bind(arguments)?;
    deliveries.bind(arguments)?;
    turned_away.bind(arguments)
}

/// The values of an event.
pub(super) fn put_event(rows: &mut impl Cells, accept: &Accept) {
    let Event { id, tenant_id, created_at, draft } = &*accept.event;
    rows.uuid(Some(tenant_id.uuid()));
    rows.uuid(Some(id.uuid()));
    rows.text(Some(draft.event_type.as_str()));
    rows.bytes(Some(draft.payload.as_bytes()));
    rows.time(Some(*created_at));
    rows.time(draft.occurred_at);
    rows.time(draft.expires_at);
    rows.text(draft.resource_id.as_deref());
    rows.text(draft.metadata.as_deref());
    rows.text(draft.idempotency_key.as_deref());
    rows.text(draft.trace_context.map(|context| context.to_string()).as_deref());
    rows.text(draft.one_off.as_ref().map(|one_off| one_off.url.as_str()));
    rows.text(draft.one_off.as_ref().and_then(|one_off| one_off.profile.as_deref()));
    rows.bytes(accept.request_hash.as_ref().map(<[u8; 32]>::as_slice));
    rows.int(i64::try_from(accept.delivery_count).ok());
    rows.uuid(accept.fans_out.then(uuid::Uuid::nil));
    rows.int(Some(accept.version));
}

pub(super) fn put_delivery(rows: &mut impl Cells, accept: &Accept, target: &Target, now: Timestamp) {
    let event = &accept.event;
    let lease_until = target.slot.is_some().then(|| lease_until(now, target));
    rows.uuid(Some(event.tenant_id.uuid()));
    rows.uuid(Some(target.delivery_id.uuid()));
    rows.uuid(Some(event.id.uuid()));
    rows.int(Some(target.id.kind()));
    rows.uuid(Some(target.id.uuid()));
    rows.int(Some(target.profile_version()));
    rows.int(Some(target.lane.0));
    rows.time(Some(event.created_at));
    rows.int(Some(lease_until.map_or(0, Timestamp::as_micros)));
    rows.int(Some(i64::from(lease_until.is_some())));
    rows.int(Some(accept.version));
    rows.end_row();
}

fn lease_until(now: Timestamp, target: &Target) -> Timestamp {
    now + target.timeout.duration() + LEASE_MARGIN
}

/// After the commit: hands over what was claimed, wakes the lanes of the rest, and answers.
pub(super) fn finish(accept: Accept, inserted: &HashSet<EventId>, now: Timestamp, hand_over: &HandOver) {
    let is_in = inserted.contains(&accept.event.id);
    if is_in {
        if !accept.turned_away.is_empty() {
            measure::turned_away(accept.turned_away.len());
        }
        let waiting = accept.targets.iter().filter(|target| target.slot.is_none()).count();
        if waiting > 0 {
            hand_over.keep(&accept.event, waiting);
        }
        for target in accept.targets {
            let (lane, lease_until) = (target.lane, lease_until(now, &target));
            let Some(slot) = target.slot else {
                hand_over.lanes().queued(lane, now);
                hand_over.wake(lane);
                continue;
            };
            let claimed = Claimed {
                id: target.delivery_id,
                event: Arc::clone(&accept.event),
                target: target.id,
                callback: target.callback,
                version: accept.version,
                opened_version: Some(accept.version),
                profile: target.profile,
                lane,
                claim: 1,
                strikes: 1,
                marks: 0,
                tries: 0,
                attempts: 0,
                opened_at: accept.event.created_at,
                lease_until,
            };
            hand_over.hand_over(claimed, slot);
        }
    }
    drop(accept.reply.send(Ok(is_in)));
}
