//! Where and how a claimed delivery is to be sent, looked up just before it is: what was deleted, changed
//! or rotated meanwhile is not used.

use std::sync::Arc;

use postrider_core::CallbackId;
use postrider_core::callback::Callback;
use postrider_core::catalogue::{CallbackSecrets, TenantCatalogue};
use postrider_core::delivery::DiscardReason;
use postrider_core::lifecycle;
use postrider_core::profile::{Profile, STANDARD};
use postrider_core::secret::Secrets;
use postrider_core::target::{Endpoint, TargetId};
use postrider_store::{Claimed, Result};

use crate::deliver::Deliverer;

/// Where to send, or why not to.
type Found = std::result::Result<Endpoint, DiscardReason>;

impl Deliverer {
    /// `None` if its target, its wire format, or what signs it, is not known: somebody else may know it, or later.
    pub(crate) async fn endpoint(&self, claimed: &Claimed) -> Result<Option<Found>> {
        let Some(catalogue) = self.queue.snapshot(claimed.event.tenant_id).await? else {
            return Ok(Some(Err(DiscardReason::TenantDeleted)));
        };
        match claimed.target {
            TargetId::Subscription(id) => {
                if catalogue.is_unreadable(id) {
                    tracing::error!(delivery_id = %claimed.id, webhook_id = %id, "its webhook cannot be read; it waits");
                    return Ok(None);
                }
                let Some(subscription) = catalogue.get(id) else {
                    return Ok(Some(Err(DiscardReason::WebhookDeleted)));
                };
                if let Some(reason) = lifecycle::closed_to(subscription, claimed.opened_version, claimed.opened_at) {
                    return Ok(Some(Err(reason)));
                }
                let profile = self.profile(claimed, &subscription.settings.profile).await?;
                Ok(profile.map(|profile| Ok(Endpoint::of_subscription(subscription, profile, &claimed.event))))
            }
            TargetId::Callback(id) => {
                let Some(callback) = self.callback(claimed, &catalogue, id).await? else {
                    return Ok(Some(Err(DiscardReason::CallbackDeleted)));
                };
                let profile = self.profile(claimed, &callback.profile).await?;
                Ok(profile.and_then(|profile| {
                    let secrets = secrets(claimed, &catalogue, &profile)?;
                    Some(Ok(Endpoint::of_callback(&callback, profile, secrets)))
                }))
            }
            TargetId::OneOff(_) => {
                let Some(one_off) = &claimed.event.draft.one_off else { return Ok(None) };
                let profile = self.profile(claimed, one_off.profile.as_deref().unwrap_or(STANDARD)).await?;
                Ok(profile.and_then(|profile| {
                    let secrets = secrets(claimed, &catalogue, &profile)?;
                    Some(Ok(Endpoint::of_one_off(one_off, profile, secrets, &claimed.event)))
                }))
            }
        }
    }

    /// The callback, unless it was deleted since the event was matched: its deletion changes the catalogue.
    async fn callback(
        &self,
        claimed: &Claimed,
        catalogue: &TenantCatalogue,
        id: CallbackId,
    ) -> Result<Option<Arc<Callback>>> {
        if claimed.version == 0 || claimed.version == catalogue.version() {
            return Ok(claimed.callback.clone());
        }
        self.queue.callback(claimed.event.tenant_id, id).await
    }

    /// The format in the version that the delivery was made with: its tries are the same bytes, whatever
    /// its target has chosen since. If nobody knows that one any more, what the target has chosen.
    async fn profile(&self, claimed: &Claimed, chosen: &str) -> Result<Option<Arc<Profile>>> {
        if let Some(pinned) = &claimed.profile {
            return Ok(Some(Arc::clone(pinned)));
        }
        let found = self.queue.profile(chosen).await?;
        if found.is_none() {
            tracing::error!(delivery_id = %claimed.id, profile = chosen, "nobody knows this wire format");
        }
        Ok(found)
    }
}

/// What signs, if anything does. `None` if what does cannot be read: nothing goes out unsigned for that.
#[expect(clippy::option_option, reason = "nothing signs, and what signs is not known, are not the same")]
fn secrets(claimed: &Claimed, catalogue: &TenantCatalogue, profile: &Profile) -> Option<Option<Secrets>> {
    match catalogue.callback_secrets(&profile.name) {
        None => Some(None),
        Some(CallbackSecrets::Known(secrets)) => Some(Some(secrets.clone())),
        Some(CallbackSecrets::Unreadable) => {
            tracing::error!(delivery_id = %claimed.id, profile = profile.name, "what signs it cannot be read; it waits");
            None
        }
    }
}
