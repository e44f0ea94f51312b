//! Settlements and events of one commit.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use postrider_core::fail_point::FailPoint;
use postrider_core::{EventId, Timestamp};
use tokio::sync::oneshot;

use super::inbox::{Takes, Waiting};
use crate::error::{Result, StoreError};
use crate::queue::Settlement;
use crate::sql::accept::Accept;
use crate::sql::claimed_row::{ClaimWish, ClaimedRow};
use crate::sql::settle::Settled;

/// Most events and most settlements of one commit: with more, others would wait longer and little would be saved.
const BATCH_ROWS: usize = 128;
/// About how many bytes of events one commit takes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A settlement on its way into the store.
pub(crate) struct Settle {
    pub(super) settlement: Arc<Settlement>,
    /// When it came.
    pub(super) since: Instant,
    /// Hears whether the delivery was changed.
    pub(super) reply: oneshot::Sender<Result<bool>>,
}

/// A claim to be made.
pub(crate) struct Claim {
    pub(super) wish: ClaimWish,
    /// Hears what was claimed.
    pub(super) reply: oneshot::Sender<Result<Vec<ClaimedRow>>>,
}

/// What is committed together.
#[derive(Default)]
pub(crate) struct Batch {
    pub(super) claims: Vec<Claim>,
    pub(super) settles: Vec<Settle>,
    pub(super) accepts: Vec<Accept>,
}

impl Batch {
    /// As much of what waits as one commit takes.
    pub(super) fn of(waiting: &mut Waiting, takes: Takes, now: Instant) -> Self {
        let mut batch = Self::default();
        waiting.last_rows = waiting.number(takes);
        if takes != Takes::Accepts {
            batch.settles = take_settles(&mut waiting.settles);
        }
        if takes == Takes::Both {
            batch.claims = std::mem::take(&mut waiting.claims);
        }
        if takes != Takes::Settles {
            batch.accepts = waiting.take_accepts(BATCH_ROWS, BATCH_BYTES, now);
        }
        batch
    }

    pub(super) fn len(&self) -> usize {
        self.settles.len() + self.accepts.len() + self.claims.len()
    }

    /// Its claims and what they got, as a batch of their own.
    pub(super) fn take_claims(&mut self, committed: &mut Committed) -> (Self, Committed) {
        let batch = Self { claims: std::mem::take(&mut self.claims), ..Self::default() };
        (batch, Committed { claimed: std::mem::take(&mut committed.claimed), ..Committed::nothing(committed.at) })
    }

    pub(super) fn settlements(&self) -> Vec<&Settlement> {
        self.settles.iter().map(|settle| &*settle.settlement).collect()
    }

    /// Where a crash just before the commit may be tried.
    pub(super) fn written(&self) {
        self.pass(FailPoint::EventsWritten, FailPoint::OutcomesWritten, FailPoint::ClaimsWritten);
    }

    /// Where a crash just after the commit may be tried.
    pub(super) fn committed(&self) {
        self.pass(FailPoint::EventsCommitted, FailPoint::OutcomesCommitted, FailPoint::ClaimsCommitted);
    }

    fn pass(&self, events: FailPoint, outcomes: FailPoint, claims: FailPoint) {
        let points =
            [(events, self.accepts.is_empty()), (outcomes, self.settles.is_empty()), (claims, self.claims.is_empty())];
        points.iter().filter(|(_, is_empty)| !is_empty).for_each(|(point, _)| point.pass());
    }

    /// Two halves; settlements, events and claims part first.
    pub(super) fn split(self) -> [Self; 2] {
        let Self { mut settles, mut accepts, mut claims } = self;
        match (settles.len(), accepts.len(), claims.len()) {
            (1.., 1.., _) | (1.., _, 1..) => {
                return [Self { settles, ..Self::default() }, Self { accepts, claims, ..Self::default() }];
            }
            (_, 1.., 1..) => return [Self { accepts, ..Self::default() }, Self { claims, ..Self::default() }],
            _ => {}
        }
        let second = Self {
            settles: settles.split_off(settles.len() / 2),
            accepts: accepts.split_off(accepts.len() / 2),
            claims: claims.split_off(claims.len() / 2),
        };
        [Self { settles, accepts, claims }, second]
    }

    pub(super) fn fail(self, error: &StoreError) {
        self.settles.into_iter().for_each(|settle| drop(settle.reply.send(Err(error.copy()))));
        self.accepts.into_iter().for_each(|accept| drop(accept.reply.send(Err(error.copy()))));
        self.claims.into_iter().for_each(|claim| drop(claim.reply.send(Err(error.copy()))));
    }
}

/// What a commit did.
pub(crate) struct Committed {
    /// The events that were inserted.
    pub(super) inserted: HashSet<EventId>,
    /// What became of each settlement, in order.
    pub(super) settled: Vec<Result<Settled>>,
    /// What each claim got, in order.
    pub(super) claimed: Vec<Vec<ClaimedRow>>,
    pub(super) at: Timestamp,
}

impl Committed {
    /// Of an empty batch.
    pub(super) fn nothing(at: Timestamp) -> Self {
        Self { inserted: HashSet::new(), settled: Vec::new(), claimed: Vec::new(), at }
    }
}

/// Up to a batch of settlements, no two of the same delivery: the second must see the first.
fn take_settles(waiting: &mut VecDeque<Settle>) -> Vec<Settle> {
    let mut taken: Vec<Settle> = Vec::new();
    let mut seen = HashSet::new();
    while taken.len() < BATCH_ROWS
        && let Some(next) = waiting.front()
        && seen.insert(next.settlement.delivery_id)
    {
        taken.extend(waiting.pop_front());
    }
    taken
}

#[cfg(test)]
pub(super) mod examples {
    use postrider_core::event::{Event, EventDraft};
    use postrider_core::event_type::EventTypeName;
    use postrider_core::lanes::LaneId;
    use postrider_core::lifecycle::Decision;
    use postrider_core::target::TargetId;
    use tokio::sync::Semaphore;
    use uuid::Uuid;

    use super::*;

    /// Something was delivered; who hears that it is written down.
    pub(in super::super) fn settle() -> (Settle, oneshot::Receiver<Result<bool>>) {
        let (reply, told) = oneshot::channel();
        let id = Uuid::from_u128(1);
        let settlement = Arc::new(Settlement {
            tenant_id: id.into(),
            delivery_id: id.into(),
            target: TargetId::OneOff(id.into()),
            claim: 1,
            decision: Decision::Delivered,
            attempt: None,
        });
        (Settle { settlement, since: Instant::now(), reply }, told)
    }

    /// An event for nobody; who hears whether it was inserted.
    pub(in super::super) fn accept() -> (Accept, oneshot::Receiver<Result<bool>>) {
        let (reply, told) = oneshot::channel();
        let id = Uuid::from_u128(1);
        let event_type = EventTypeName::parse("screening.completed").expect("a name");
        let event = Event {
            id: id.into(),
            tenant_id: id.into(),
            created_at: Timestamp::from_micros(0),
            draft: EventDraft::new(event_type, "{}".into()),
        };
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("room");
        let accept = Accept {
            event: Arc::new(event),
            request_hash: None,
            version: 1,
            targets: Vec::new(),
            delivery_count: 0,
            fans_out: false,
            turned_away: Vec::new(),
            reply,
            _room: room,
        };
        (accept, told)
    }

    /// So many rows are asked for; who hears of them.
    pub(in super::super) fn claim(limit: usize) -> (Claim, oneshot::Receiver<Result<Vec<ClaimedRow>>>) {
        let (reply, told) = oneshot::channel();
        (Claim { wish: ClaimWish { lane: LaneId(1), limit }, reply }, told)
    }

    /// A commit that did nothing.
    pub(in super::super) fn nothing() -> Committed {
        Committed::nothing(Timestamp::from_micros(0))
    }
}
