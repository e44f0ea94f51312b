//! What follows a commit once it is on disk: answers, hand-overs, counts.

use std::time::Instant;

use postrider_core::lifecycle::Decision;

use super::batch::{Batch, Committed};
use crate::hand_over::HandOver;
use crate::health::Health;
use crate::measure::{self, Rows};
use crate::sql::accept;

/// Says what follows a commit, at once or later.
pub(super) trait Finish: Send {
    /// A batch is behind its commit.
    fn committed(&mut self, batch: Batch, committed: Committed);

    /// When it is to catch up, if it holds something back.
    fn due(&self) -> Option<Instant>;

    /// Finishes what it holds back.
    fn catch_up(&mut self);
}

/// What hears of commits that are on disk. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Finisher {
    hand_over: HandOver,
    health: Health,
}

impl Finisher {
    pub(crate) fn new(hand_over: &HandOver, health: &Health) -> Self {
        Self { hand_over: hand_over.clone(), health: health.clone() }
    }
}

/// Where a commit is on disk when it returns.
impl Finish for Finisher {
    fn committed(&mut self, batch: Batch, committed: Committed) {
        self.finish(batch, committed);
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn catch_up(&mut self) {}
}

impl Finisher {
    /// Tells everybody what became of a batch.
    pub(super) fn finish(&self, batch: Batch, committed: Committed) {
        batch.committed();
        if !batch.accepts.is_empty() || !batch.settles.is_empty() {
            self.health.committed();
        }
        let Committed { inserted, settled, claimed, at } = committed;
        measure::accepted(inserted.len());
        measure::committed(Rows::Events, batch.accepts.len());
        measure::committed(Rows::Outcomes, batch.settles.len());
        for accept in batch.accepts {
            accept::finish(accept, &inserted, at, &self.hand_over);
        }
        for (claim, claimed) in batch.claims.into_iter().zip(claimed) {
            drop(claim.reply.send(Ok(claimed)));
        }
        let mut delivered = 0;
        for (settle, settled) in batch.settles.into_iter().zip(settled) {
            let is_changed = settled.map(|settled| {
                match (&settle.settlement.decision, settled.from) {
                    (Decision::Delivered, Some(_)) => delivered += 1,
                    (decision, Some(_)) => measure::settled(decision),
                    (_, None) if settled.is_news => measure::settled_late(),
                    (_, None) => {}
                }
                settled.from.is_some()
            });
            drop(settle.reply.send(is_changed));
        }
        measure::delivered(delivered);
    }
}
