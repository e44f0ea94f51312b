//! Publishing: match, put in line for the next commit, and find out why not if it was not taken.

use std::collections::HashMap;
use std::sync::Arc;

use postrider_core::TenantId;
use postrider_core::callback::Callback;
use postrider_core::catalogue::{Matches, TenantCatalogue};
use postrider_core::event::{Event, EventDraft, OneOff};
use postrider_core::lanes::LaneId;
use postrider_core::profile::STANDARD;
use postrider_core::subscription::Subscription;
use postrider_core::target::TargetId;
use tokio::sync::oneshot;

use super::accept::{Accept, MAX_TARGETS, Target};
use super::yielding::Yielding;
use super::{Dialect, GroupCommit, Query, Sql, tenants};
use crate::error::{Result, StoreError};
use crate::journal::{PublishError, Receipt, Urgency};

/// How often an event is matched again because the catalogue moved meanwhile.
const MAX_ROUNDS: usize = 20;

/// Events whose callbacks are looked up together: with all of them at their largest, some 16 MiB.
const LOOKED_UP_AT_ONCE: usize = 50;

/// Subscriptions that an event is held against before the clock is looked at.
const MATCHED_AT_ONCE: usize = 32;

/// What an event is matched against.
struct Against {
    catalogue: Arc<TenantCatalogue>,
    /// By resource.
    callbacks: HashMap<String, Vec<Arc<Callback>>>,
}

impl Against {
    fn callbacks_for(&self, draft: &EventDraft) -> Vec<&Arc<Callback>> {
        let of_resource = draft.resource_id.as_ref().and_then(|id| self.callbacks.get(id)).into_iter().flatten();
        of_resource.filter(|callback| callback.receives(&draft.event_type)).collect()
    }
}

fn metadata_bytes(callback: &Callback) -> usize {
    callback.metadata.as_ref().map_or(0, |metadata| metadata.len())
}

/// An event in line for its commit.
struct InLine {
    receipt: Receipt,
    /// The catalogue version that it was matched against.
    version: i64,
    answer: oneshot::Receiver<Result<bool>>,
}

impl<DB: Dialect> Sql<DB> {
    /// Accepts events that came together; those that the first commit does not take are looked at
    /// one by one.
    pub(super) async fn publish_all(
        &self,
        tenant_id: TenantId,
        drafts: Vec<EventDraft>,
        urgency: Urgency,
    ) -> Vec<Result<Receipt, PublishError>> {
        let mut in_line = Vec::with_capacity(drafts.len());
        let mut yielding = Yielding::new();
        for some in drafts.chunks(LOOKED_UP_AT_ONCE) {
            let matched_against = self.matched_against(tenant_id, some).await;
            for draft in some {
                in_line.push(match &matched_against {
                    Ok(against) => self.put_in_line(against, draft, urgency, &mut yielding).await,
                    Err(error) => Err(error.copy()),
                });
            }
        }
        let mut results = Vec::with_capacity(drafts.len());
        for (draft, in_line) in drafts.iter().zip(in_line) {
            results.push(self.answer(tenant_id, draft, in_line).await);
        }
        results
    }

    async fn answer(
        &self,
        tenant_id: TenantId,
        draft: &EventDraft,
        first: Result<InLine, PublishError>,
    ) -> Result<Receipt, PublishError> {
        let mut in_line = first?;
        for _ in 0..MAX_ROUNDS {
            let taken = in_line.answer.await.unwrap_or_else(|_| Err(writer_gone()))?;
            if taken {
                return Ok(in_line.receipt);
            }
            let head =
                tenants::head::<DB>(&mut self.lookup().await?, tenant_id).await?.ok_or(PublishError::NoTenant)?;
            // Otherwise the catalogue moved since it was matched, and an event with the same key, if there is one, may
            // not be on disk yet.
            if head.version == in_line.version
                && let Some(earlier) = self.earlier(tenant_id, draft).await?
            {
                return earlier;
            }
            Box::pin(self.load_snapshot(tenant_id)).await?.ok_or(PublishError::NoTenant)?;
            let against = self.matched_against(tenant_id, std::slice::from_ref(draft)).await?;
            in_line = self.put_in_line(&against, draft, Urgency::Pressing, &mut Yielding::new()).await?;
        }
        Err(StoreError::Unavailable("subscriptions change faster than events can be matched".to_owned()).into())
    }

    /// What events are matched against. The callbacks are looked up after the catalogue: the deletion of
    /// one raises its version, which the accept proves. Whoever was told that a callback exists and
    /// publishes then, finds it.
    async fn matched_against(&self, tenant_id: TenantId, drafts: &[EventDraft]) -> Result<Against, PublishError> {
        let catalogue = self.cached_snapshot(tenant_id).await?.ok_or(PublishError::NoTenant)?;
        let resource_ids = || drafts.iter().filter_map(|draft| draft.resource_id.as_deref());
        let callbacks = if catalogue.has_callbacks() && resource_ids().next().is_some() {
            Box::pin(self.callbacks_of(tenant_id, resource_ids())).await?
        } else {
            HashMap::new()
        };
        Ok(Against { catalogue, callbacks })
    }

    async fn put_in_line(
        &self,
        against: &Against,
        draft: &EventDraft,
        urgency: Urgency,
        yielding: &mut Yielding,
    ) -> Result<InLine, PublishError> {
        let catalogue = &against.catalogue;
        let event = self.event(catalogue, draft);
        let mut search = catalogue.matching(&event);
        while search.advance(MATCHED_AT_ONCE) {
            yielding.offer().await;
        }
        let Matches { matching, turned_away } = search.finish();
        yielding.offer().await;
        let callbacks = against.callbacks_for(draft);
        let one_off = event.draft.one_off.as_ref();
        let delivery_count = matching.len() + callbacks.len() + usize::from(one_off.is_some());
        let fans_out = delivery_count > MAX_TARGETS || turned_away.len() > MAX_TARGETS;
        // Too many to be made together; those of a bounded number are, and the rest is only counted later.
        let matching = if delivery_count > MAX_TARGETS { Vec::new() } else { matching };
        let turned_away = if fans_out { Vec::new() } else { turned_away };
        let rows = matching.len() + turned_away.len() + callbacks.len() + usize::from(one_off.is_some());
        let bytes = draft.payload.len() + callbacks.iter().map(|callback| metadata_bytes(callback)).sum::<usize>();
        let room = self.commits.room(GroupCommit::weight(bytes, rows)).await?;
        let mut targets = Vec::with_capacity(rows);
        for subscription in matching {
            targets.push(self.subscribed(&event, &subscription).await?);
        }
        for callback in callbacks {
            targets.push(self.called_back(&event, callback).await?);
        }
        if let Some(one_off) = one_off {
            targets.push(self.one_off(&event, one_off).await?);
        }
        let receipt = Receipt {
            id: event.id,
            event_type: draft.event_type.to_string(),
            created_at: event.created_at,
            deliveries: i64::try_from(delivery_count).unwrap_or(i64::MAX),
            duplicate: false,
        };
        let (reply, answer) = oneshot::channel();
        let accept = Accept {
            event: Arc::new(event),
            request_hash: draft.idempotency_key.is_some().then(|| draft.request_hash()),
            version: catalogue.version(),
            delivery_count,
            fans_out,
            targets,
            turned_away,
            reply,
            _room: room,
        };
        self.commits.accept(accept, urgency);
        Ok(InLine { receipt, version: catalogue.version(), answer })
    }

    /// The event that a draft becomes: a one-off URL without a format gets the tenant's default.
    fn event(&self, catalogue: &TenantCatalogue, draft: &EventDraft) -> Event {
        let now = self.world.now();
        let mut draft = draft.clone();
        if let Some(one_off) = &mut draft.one_off {
            one_off.profile.get_or_insert_with(|| catalogue.default_profile().to_owned());
        }
        Event { id: self.world.new_id_at(now), tenant_id: catalogue.tenant_id(), created_at: now, draft }
    }

    async fn subscribed(&self, event: &Event, subscription: &Subscription) -> Result<Target> {
        let settings = &subscription.settings;
        let id = TargetId::Subscription(subscription.id);
        let target = self.target(event, id, subscription.lane, &settings.profile, 0).await?;
        Ok(Target { timeout: settings.timeout.unwrap_or(target.timeout), ..target })
    }

    async fn called_back(&self, event: &Event, callback: &Arc<Callback>) -> Result<Target> {
        let (id, bytes) = (TargetId::Callback(callback.id), metadata_bytes(callback));
        let target = self.target(event, id, callback.lane(), &callback.profile, bytes).await?;
        Ok(Target { callback: Some(Arc::clone(callback)), ..target })
    }

    async fn one_off(&self, event: &Event, one_off: &OneOff) -> Result<Target> {
        let lane = LaneId::of(event.tenant_id, &one_off.url);
        let profile = one_off.profile.as_deref().unwrap_or(STANDARD);
        self.target(event, TargetId::OneOff(event.id), lane, profile, 0).await
    }

    /// A target that holds so many bytes beside the payload.
    async fn target(&self, event: &Event, id: TargetId, lane: LaneId, profile: &str, bytes: usize) -> Result<Target> {
        let profile = self.profile_of_name(profile).await?;
        let slot = self.hand_over.lanes().reserve(lane, event.created_at);
        Ok(Target {
            delivery_id: self.world.new_id_at(event.created_at),
            id,
            callback: None,
            lane,
            timeout: profile.as_ref().map(|profile| profile.timeout).unwrap_or_default(),
            profile,
            slot: slot.map(|slot| slot.holding(event.draft.payload.len() + bytes)),
        })
    }

    /// What an earlier publish with the same key was answered, or that it was for another event.
    async fn earlier(&self, tenant_id: TenantId, draft: &EventDraft) -> Result<Option<Result<Receipt, PublishError>>> {
        let Some(key) = &draft.idempotency_key else { return Ok(None) };
        let row = Query::<DB>::new(
            "select id, event_type, created_at, delivery_count, request_hash from events
             where tenant_id = $1 and idempotency_key = $2",
        )
        .id(tenant_id.uuid())
        .bind(key.clone())
        .row(&mut self.lookup().await?)
        .await?;
        let Some(row) = row else { return Ok(None) };
        if row.get::<Vec<u8>>(4)? != draft.request_hash() {
            return Ok(Some(Err(PublishError::KeyReused)));
        }
        Ok(Some(Ok(Receipt {
            id: row.id(0)?,
            event_type: row.get(1)?,
            created_at: row.time(2)?,
            deliveries: row.get(3)?,
            duplicate: true,
        })))
    }
}

fn writer_gone() -> StoreError {
    StoreError::Unavailable("it is shutting down".to_owned())
}
