//! Deliveries that may have taken the process down, sent one at a time under a durable mark.

use std::sync::Arc;

use postrider_core::lifecycle::SUSPECT_STRIKES;
use postrider_store::{Claimed, Handed};
use tokio::sync::Mutex;

use crate::deliver::Deliverer;

/// Lets one suspect through at a time.
#[derive(Default)]
pub(crate) struct Quarantine(Mutex<()>);

/// Whether earlier claims of it left no trace too often.
pub(crate) const fn is_suspect(claimed: &Claimed) -> bool {
    claimed.marked || claimed.strikes > SUSPECT_STRIKES
}

impl Quarantine {
    /// Sends a suspect alone, or ends it if it was found marked.
    pub(crate) async fn deliver(&self, deliverer: &Arc<Deliverer>, handed: Handed) {
        let Handed { claimed, mut slot } = handed;
        let _alone = self.0.lock().await;
        if claimed.marked {
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
