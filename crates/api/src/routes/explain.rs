//! `/api/v1/events/{id}/explain/`: why an event did or did not go to a subscription.

use axum::extract::State;
use axum::response::Response;
use postrider_core::explain::Check;
use postrider_core::{EventId, SubscriptionId};
use postrider_store::Explained;
use serde::Serialize;

use super::path_id;
use crate::auth::Read;
use crate::json;
use crate::params::{Params, Path};
use crate::problem::Problem;
use crate::sight::Sight;
use crate::state::Api;
use crate::views::DeliveryJson;

#[derive(Serialize)]
struct ExplanationJson {
    event_id: EventId,
    webhook_id: SubscriptionId,
    /// `pending`, `delivered`, `failed`, `discarded`, or `not_sent` if there is no delivery.
    verdict: &'static str,
    explanation: String,
    checks: Vec<Check>,
    delivery: Option<DeliveryJson>,
}

/// What speaks for and against the event's delivery to a subscription, and what became of it.
pub(crate) async fn get(
    State(api): State<Api>,
    Read(caller): Read,
    Path(id): Path,
    mut params: Params,
) -> Result<Response, Problem> {
    let event_id = path_id(&id)?;
    let webhook_id = params.required_id::<SubscriptionId>("webhook_id");
    params.finish()?;
    let webhook_id = webhook_id.ok_or_else(Problem::internal)?;
    let explained = api.journal.explain(caller.tenant_id, event_id, webhook_id).await?;
    let Explained { checks, delivery } = explained.ok_or_else(Problem::not_found)?;
    let (verdict, explanation) = verdict(&checks, delivery.as_ref().map(|view| &view.delivery));
    let sight = Sight::of(caller, &api).await?;
    let delivery = delivery.map(|view| DeliveryJson::whole(view, &sight)).transpose()?;
    Ok(json::ok(&ExplanationJson { event_id, webhook_id, verdict, explanation, checks, delivery }))
}

/// The answer in a word and in a sentence.
fn verdict(checks: &[Check], delivery: Option<&postrider_core::delivery::Delivery>) -> (&'static str, String) {
    if let Some(delivery) = delivery {
        let status = delivery.state.name();
        let reason = delivery.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        return (status, format!("There is a delivery; it is {status}{reason}."));
    }
    let sentence = match checks.iter().find(|check| check.passed == Some(false)) {
        Some(failed) => format!("No delivery was made: {}.", failed.detail),
        None => "There is no delivery: it is still to be made, retention removed it, or the webhook was changed since."
            .to_owned(),
    };
    ("not_sent", sentence)
}
