//! `/api/v1/webhooks/test/`: one attempt, at once.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use postrider_core::attempt::AttemptOutcome;
use postrider_core::event::{Event, EventDraft};
use postrider_core::event_type::{self, EventTypeName};
use postrider_core::headers::StaticHeaders;
use postrider_core::profile::{self, Profile};
use postrider_core::subscription::{AttemptTimeout, Subscription};
use postrider_core::target_url::TargetUrl;
use postrider_core::test_send::TestDelivery;
use postrider_core::{LogId, SubscriptionId};
use serde::Serialize;

use super::events::read_id;
use super::webhooks::read_url;
use crate::auth::{Caller, Manage};
use crate::body::JsonBody;
use crate::fields::Fields;
use crate::json;
use crate::problem::Problem;
use crate::state::Api;

/// What a receiver finds in a test event.
const PAYLOAD: &str = r#"{"message":"This is a test event from Postrider."}"#;

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
    let webhook_id = fields.optional("webhook_id", read_id::<SubscriptionId>);
    fields.finish()?;
    let subscription = find(&api, caller, webhook_id, url.as_ref()).await?;
    let permit = api.test_limits.enter(caller.tenant_id, api.world.now())?;
    let test = test_delivery(&api, caller, subscription.as_ref(), url)?;
    let exchange = api.tester.send_test(test).await;
    drop(permit);
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

fn test_delivery(
    api: &Api,
    caller: Caller,
    subscription: Option<&Subscription>,
    url: Option<TargetUrl>,
) -> Result<TestDelivery, Problem> {
    let settings = subscription.map(|subscription| &subscription.settings);
    let url = url.or_else(|| settings.map(|settings| settings.url.clone())).ok_or_else(Problem::internal)?;
    let profile = settings.map_or(profile::STANDARD, |settings| settings.profile.as_str());
    let now = api.world.now();
    let event_type = EventTypeName::parse(event_type::TEST).ok_or_else(Problem::internal)?;
    Ok(TestDelivery {
        event: Event {
            id: api.world.new_id_at(now),
            tenant_id: caller.tenant_id,
            created_at: now,
            draft: EventDraft {
                event_type,
                payload: PAYLOAD.into(),
                occurred_at: None,
                expires_at: None,
                resource_id: None,
                metadata: None,
                idempotency_key: None,
                trace_context: None,
            },
        },
        url,
        profile: Profile::named(profile).ok_or_else(Problem::internal)?,
        secrets: subscription.map(|subscription| subscription.secrets.clone()),
        headers: settings.map_or_else(StaticHeaders::default, |settings| settings.headers.clone()),
        timeout: settings.map_or_else(AttemptTimeout::default, |settings| settings.timeout),
    })
}
