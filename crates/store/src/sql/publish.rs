//! Publishing: match, put in line for the next commit, and find out why not if it was not taken.

use std::collections::HashMap;
use std::sync::Arc;

use postrider_core::TenantId;
use postrider_core::callback::Callback;
use postrider_core::catalogue::Matches;
use postrider_core::event::{Event, EventDraft, OneOff};
use postrider_core::lanes::LaneId;
use postrider_core::subscription::Subscription;
use postrider_core::target::TargetId;
use tokio::sync::oneshot;

use super::accept::{Accept, MAX_TARGETS, Target};
use super::group_commit::GroupCommit;
use super::{Dialect, Query, Sql};
use crate::error::{Result, StoreError};
use crate::journal::{PublishError, Receipt};

/// How often an event is matched again because the catalogue moved meanwhile.
const MAX_ROUNDS: usize = 20;

/// Callbacks by resource.
type Callbacks = HashMap<String, Vec<Arc<Callback>>>;

/// An event in line for its commit.
struct InLine {
    receipt: Receipt,
    answer: oneshot::Receiver<Result<bool>>,
}

impl<DB: Dialect> Sql<DB> {
    /// Accepts events that came together; those that the first commit does not take are looked at
    /// one by one.
    pub(super) async fn publish_all(
        &self,
        tenant_id: TenantId,
        drafts: Vec<EventDraft>,
    ) -> Vec<Result<Receipt, PublishError>> {
        let callbacks = match self.callbacks_for(tenant_id, &drafts).await {
            Ok(callbacks) => callbacks,
            Err(error) => return drafts.iter().map(|_| Err(error.copy().into())).collect(),
        };
        let mut in_line = Vec::with_capacity(drafts.len());
        for draft in &drafts {
            in_line.push(self.put_in_line(tenant_id, draft, &callbacks).await);
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
            if let Some(earlier) = self.earlier(tenant_id, draft).await? {
                return earlier;
            }
            // The catalogue moved since it was matched.
            self.load_snapshot(tenant_id).await?.ok_or(PublishError::NoTenant)?;
            let callbacks = self.callbacks_for(tenant_id, std::slice::from_ref(draft)).await?;
            in_line = self.put_in_line(tenant_id, draft, &callbacks).await?;
        }
        Err(StoreError::Unavailable("subscriptions change faster than events can be matched".to_owned()).into())
    }

    /// The callbacks of the drafts' resources. Whoever was told that a callback exists and publishes
    /// then, finds it here.
    async fn callbacks_for(&self, tenant_id: TenantId, drafts: &[EventDraft]) -> Result<Callbacks> {
        let has_callbacks = self.cached_snapshot(tenant_id).await?.is_some_and(|tenant| tenant.has_callbacks());
        let resource_ids = || drafts.iter().filter_map(|draft| draft.resource_id.as_deref());
        if !has_callbacks || resource_ids().next().is_none() {
            return Ok(Callbacks::new());
        }
        self.callbacks_of(tenant_id, resource_ids()).await
    }

    async fn put_in_line(
        &self,
        tenant_id: TenantId,
        draft: &EventDraft,
        callbacks: &Callbacks,
    ) -> Result<InLine, PublishError> {
        let catalogue = self.cached_snapshot(tenant_id).await?.ok_or(PublishError::NoTenant)?;
        let now = self.world.now();
        let event = Event { id: self.world.new_id_at(now), tenant_id, created_at: now, draft: draft.clone() };
        let Matches { mut matching, mut turned_away } = catalogue.matches(&event);
        let of_resource = draft.resource_id.as_ref().and_then(|id| callbacks.get(id)).into_iter().flatten();
        let of_resource: Vec<_> = of_resource.filter(|callback| callback.receives(&draft.event_type)).collect();
        let delivery_count = matching.len() + of_resource.len() + usize::from(draft.one_off.is_some());
        if matching.len() > MAX_TARGETS {
            // Made, and counted, in chunks afterwards.
            (matching, turned_away) = (Vec::new(), Vec::new());
        }
        let rows = matching.len() + turned_away.len() + of_resource.len() + usize::from(draft.one_off.is_some());
        let room = self.commits.room(GroupCommit::weight(draft.payload.len(), rows)).await?;
        let mut targets = Vec::with_capacity(rows);
        for subscription in matching {
            targets.push(self.subscribed(&event, &subscription).await?);
        }
        for callback in of_resource {
            targets.push(self.called_back(&event, callback).await?);
        }
        if let Some(one_off) = &draft.one_off {
            targets.push(self.one_off(&event, one_off).await?);
        }
        let receipt = Receipt {
            id: event.id,
            event_type: draft.event_type.to_string(),
            created_at: now,
            deliveries: i64::try_from(delivery_count).unwrap_or(i64::MAX),
            duplicate: false,
        };
        let (reply, answer) = oneshot::channel();
        self.commits.accept(Accept {
            event: Arc::new(event),
            request_hash: draft.request_hash(),
            version: catalogue.version(),
            delivery_count,
            targets,
            turned_away,
            reply,
            _room: room,
        });
        Ok(InLine { receipt, answer })
    }

    async fn subscribed(&self, event: &Event, subscription: &Subscription) -> Result<Target> {
        let settings = &subscription.settings;
        let target = self.target(event, TargetId::Subscription(subscription.id), subscription.lane, &settings.profile);
        let target = target.await?;
        Ok(Target { timeout: settings.timeout.unwrap_or(target.timeout), ..target })
    }

    async fn called_back(&self, event: &Event, callback: &Arc<Callback>) -> Result<Target> {
        let target = self.target(event, TargetId::Callback(callback.id), callback.lane(), &callback.profile).await?;
        Ok(Target { callback: Some(Arc::clone(callback)), ..target })
    }

    async fn one_off(&self, event: &Event, one_off: &OneOff) -> Result<Target> {
        let lane = LaneId::of(event.tenant_id, &one_off.url);
        self.target(event, TargetId::OneOff(event.id), lane, &one_off.profile).await
    }

    async fn target(&self, event: &Event, id: TargetId, lane: LaneId, profile: &str) -> Result<Target> {
        let profile = self.profile_of_name(profile).await?;
        let slot = self.hand_over.lanes().reserve(lane).map(|slot| slot.holding(event.draft.payload.len()));
        Ok(Target {
            delivery_id: self.world.new_id_at(event.created_at),
            id,
            callback: None,
            lane,
            timeout: profile.as_ref().map(|profile| profile.timeout).unwrap_or_default(),
            profile,
            slot,
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
        .row(&mut *self.lookup().await?)
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
