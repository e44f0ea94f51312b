//! Publishing: match, put in line for the next commit, and find out why not if it was not taken.

use std::sync::Arc;

use postrider_core::event::{Event, EventDraft};
use postrider_core::subscription::Subscription;
use postrider_core::{TenantId, Timestamp};
use tokio::sync::oneshot;

use super::accept::{Accept, MAX_TARGETS, Target};
use super::group_commit::GroupCommit;
use super::{Dialect, Query, Sql};
use crate::error::{Result, StoreError};
use crate::journal::{PublishError, Receipt};

/// How often an event is matched again because the catalogue moved meanwhile.
const MAX_ROUNDS: usize = 20;

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
        let mut in_line = Vec::with_capacity(drafts.len());
        for draft in &drafts {
            in_line.push(self.put_in_line(tenant_id, draft).await);
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
            in_line = self.put_in_line(tenant_id, draft).await?;
        }
        Err(StoreError::Unavailable("subscriptions change faster than events can be matched".to_owned()).into())
    }

    async fn put_in_line(&self, tenant_id: TenantId, draft: &EventDraft) -> Result<InLine, PublishError> {
        let catalogue = self.cached_snapshot(tenant_id).await?.ok_or(PublishError::NoTenant)?;
        let matching = catalogue.matching(&draft.event_type);
        let at_once = if matching.len() > MAX_TARGETS { 0 } else { matching.len() };
        let room = self.commits.room(GroupCommit::weight(draft.payload.len(), at_once)).await?;
        let now = self.world.now();
        let event = Event { id: self.world.new_id_at(now), tenant_id, created_at: now, draft: draft.clone() };
        let receipt = Receipt {
            id: event.id,
            event_type: draft.event_type.to_string(),
            created_at: now,
            deliveries: i64::try_from(matching.len()).unwrap_or(i64::MAX),
            duplicate: false,
        };
        let (reply, answer) = oneshot::channel();
        self.commits.accept(Accept {
            event: Arc::new(event),
            request_hash: draft.request_hash(),
            version: catalogue.version(),
            delivery_count: matching.len(),
            targets: matching.into_iter().take(at_once).map(|s| self.target(now, s, draft.payload.len())).collect(),
            reply,
            _room: room,
        });
        Ok(InLine { receipt, answer })
    }

    fn target(&self, now: Timestamp, subscription: Arc<Subscription>, bytes: usize) -> Target {
        let slot = self.hand_over.lanes().reserve(subscription.lane).map(|slot| slot.holding(bytes));
        Target { delivery_id: self.world.new_id_at(now), subscription, slot }
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
