//! Deliveries that may have taken the process down, sent one at a time under a durable mark; and what is left of one
//! whose task panicked.

use std::sync::Arc;

use postrider_core::lanes::LaneId;
use postrider_core::lifecycle::Suspicion;
use postrider_core::{DeliveryId, TenantId};
use postrider_store::{Claimed, Handed};
use tokio::sync::Mutex;

use crate::deliver::Deliverer;

/// Lets one suspect through at a time.
#[derive(Default)]
pub(crate) struct Quarantine(Mutex<()>);

/// What earlier claims without a trace say of it.
pub(crate) const fn suspicion_of(claimed: &Claimed) -> Suspicion {
    Suspicion::of(claimed.strikes, claimed.marks)
}

impl Quarantine {
    /// Sends a suspect alone, or ends it if that was tried too often.
    pub(crate) async fn deliver(&self, deliverer: &Deliverer, handed: Handed) {
        let Handed { claimed, mut slot } = handed;
        let _alone = self.0.lock().await;
        if suspicion_of(&claimed) == Suspicion::Poison {
            deliverer.end_poisoned(&claimed).await;
        } else {
            match deliverer.queue.mark(claimed.event.tenant_id, claimed.id, claimed.claim).await {
                Ok(true) => deliverer.deliver(claimed, &mut slot).await,
                Ok(false) => tracing::info!(delivery_id = %claimed.id, "a suspect was claimed elsewhere"),
                Err(error) => tracing::warn!(delivery_id = %claimed.id, %error, "a suspect is not marked yet"),
            }
        }
        drop(slot);
    }
}

/// Watches over a delivery's task: if it ends by a panic, its row comes free at once, and not only when its lease
/// ends. The strike of the claim stands: a payload that always does this is found out like one that ends the process.
pub(crate) struct Watched {
    deliverer: Arc<Deliverer>,
    claim: (TenantId, DeliveryId, i64),
    lane: LaneId,
}

impl Watched {
    pub(crate) fn over(deliverer: &Arc<Deliverer>, claimed: &Claimed) -> Self {
        let claim = (claimed.event.tenant_id, claimed.id, claimed.claim);
        Self { deliverer: Arc::clone(deliverer), claim, lane: claimed.lane }
    }

    pub(crate) fn deliverer(&self) -> &Deliverer {
        &self.deliverer
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (deliverer, claim, lane) = (Arc::clone(&self.deliverer), self.claim, self.lane);
            tokio::spawn(async move { deliverer.abandon(claim, lane).await });
        }
    }
}
