//! `/api/v1/webhooks/test/`: one attempt, at once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use postrider_core::attempt::AttemptOutcome;
use postrider_core::event::Event;
use postrider_core::headers::StaticHeaders;
use postrider_core::profile::STANDARD;
use postrider_core::subscription::Subscription;
use postrider_core::target_url::TargetUrl;
use postrider_core::test_send::TestDelivery;
use postrider_core::{LogId, SubscriptionId};
use serde::Serialize;

use super::webhooks::read_url;
use crate::auth::{Caller, Manage};
use crate::body::JsonBody;
use crate::fields::{Fields, id};
use crate::json;
use crate::problem::Problem;
use crate::state::Api;

#[derive(Serialize)]
struct TestJson {
    success: bool,
    message: String,
    log_id: LogId,
    http_status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_id: Option<SubscriptionId>,
}

/// Sends a test event and tells what came back.
pub(crate) async fn send(
    State(api): State<Api>,
    Manage(caller): Manage,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    let url = fields.either_required("webhook_url", "webhook_id", |raw| read_url(raw, &api.url_policy));
    let webhook_id = fields.optional("webhook_id", id::<SubscriptionId>);
    fields.finish()?;
    let subscription = find(&api, caller, webhook_id, url.as_ref()).await?;
    let permit = api.test_limits.enter(caller.tenant_id, api.world.now())?;
    let test = test_delivery(&api, caller, subscription.as_ref(), url)?;
    let sent = api.tester.send_test(test).await;
    drop(permit);
    let exchange = sent.map_err(|unfit| Problem::conflict(format!("The example event is not sent: {unfit}.")))?;
    let log_id = api.journal.record_test(caller.tenant_id, &exchange).await?;
    let success = exchange.outcome() == AttemptOutcome::Success;
    let message = if success {
        "Test webhook delivered successfully".to_owned()
    } else {
        format!("Test webhook delivery failed: {}", exchange.message())
    };
    let status = if success { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
    let webhook_id = subscription.map(|subscription| subscription.id);
    let answer = TestJson { success, message, log_id, http_status_code: exchange.status(), webhook_id };
    Ok(json::answer(status, &answer))
}

/// The subscription that is meant: the one named, or the newest active one with that very URL.
async fn find(
    api: &Api,
    caller: Caller,
    webhook_id: Option<SubscriptionId>,
    url: Option<&TargetUrl>,
) -> Result<Option<Subscription>, Problem> {
    if let Some(id) = webhook_id {
        let (found, _) = api.catalogue.subscription(caller.tenant_id, id).await?.ok_or_else(Problem::not_found)?;
        return Ok(Some(found));
    }
    let newest_first = api.catalogue.subscriptions(caller.tenant_id, None).await?;
    let mut active = newest_first.into_iter().map(|(found, _)| found).filter(|found| found.settings.is_active);
    Ok(active.find(|found| Some(&found.settings.url) == url))
}

/// Without a subscription, unsigned in the standard format.
fn test_delivery(
    api: &Api,
    caller: Caller,
    subscription: Option<&Subscription>,
    url: Option<TargetUrl>,
) -> Result<TestDelivery, Problem> {
    let settings = subscription.map(|subscription| &subscription.settings);
    let url = url.or_else(|| settings.map(|settings| settings.url.clone())).ok_or_else(Problem::internal)?;
    let name = settings.map_or(STANDARD, |settings| settings.profile.as_str());
    let unknown = || Problem::conflict(format!("The webhook's profile `{name}` is not known to this server."));
    let profile = Arc::clone(api.profiles.named(name).ok_or_else(unknown)?);
    let example = profile.examples.first().ok_or_else(Problem::internal)?;
    let now = api.world.now();
    let event =
        Event { id: api.world.new_id_at(now), tenant_id: caller.tenant_id, created_at: now, ..example.as_event() };
    Ok(TestDelivery {
        event,
        metadata: example.metadata.clone(),
        delivery_id: api.world.new_id_at(now),
        url,
        secrets: subscription.map(|subscription| subscription.secrets.clone()),
        headers: settings.map_or_else(StaticHeaders::default, |settings| settings.headers.clone()),
        timeout: settings.and_then(|settings| settings.timeout).unwrap_or(profile.timeout),
        profile,
    })
}
