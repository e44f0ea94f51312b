//! `/api/v1/deliveries/{id}/request/`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use postrider_core::profile::{Outbound, Profile};
use postrider_core::{DeliveryId, Timestamp};
use postrider_store::Sent;
use serde::Serialize;

use super::path_id;
use crate::auth::Read;
use crate::curl::curl;
use crate::json;
use crate::params::Path;
use crate::problem::Problem;
use crate::sight::Sight;
use crate::state::Api;

/// The request of a delivery, as it was sent last.
#[derive(Serialize)]
struct RequestJson {
    delivery_id: DeliveryId,
    method: &'static str,
    url: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    signed_content: Option<String>,
    curl: Option<String>,
}

/// What a delivery sends: the bytes of its body, and those that are signed.
pub(crate) async fn get(State(api): State<Api>, Read(caller): Read, Path(id): Path) -> Result<Response, Problem> {
    let sent = api.journal.sent(caller.tenant_id, path_id(&id)?).await?.ok_or_else(Problem::not_found)?;
    let sight = Sight::of(caller, &api).await?;
    let body = if sight.is_whole() { body(&sent, api.world.now()) } else { None };
    let last = sent.view.attempts.last();
    let headers: BTreeMap<String, String> =
        last.and_then(|attempt| serde_json::from_str(&attempt.request_headers).ok()).unwrap_or_default();
    let signed_content = body.as_deref().and_then(|body| signed(&sent, &headers, body));
    let url = last.map_or_else(|| sent.view.delivery.url.clone(), |attempt| attempt.url.clone());
    let sent_headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let curl = body.as_deref().map(|body| curl(&url, sent_headers, body));
    let delivery_id = sent.view.delivery.id;
    Ok(json::ok(&RequestJson { delivery_id, method: "POST", url, headers, body, signed_content, curl }))
}

/// The same on every try, but for what a format stamps on each.
fn body(sent: &Sent, now: Timestamp) -> Option<String> {
    let (event, profile) = (sent.event.as_ref()?, sent.profile.as_deref()?);
    let attempt = sent.view.attempts.last().map_or(1, |attempt| attempt.number);
    let metadata = sent.metadata.as_deref();
    let outbound = Outbound { event, metadata, delivery_id: sent.view.delivery.id, attempt };
    let prepared = profile.prepare(&outbound, None, now).ok()?;
    String::from_utf8(prepared.body).ok()
}

fn signed(sent: &Sent, headers: &BTreeMap<String, String>, body: &str) -> Option<String> {
    let profile: &Profile = sent.profile.as_deref()?;
    let stamp = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("webhook-timestamp"));
    let seconds: i64 = stamp.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let at = Timestamp::from_micros(seconds.checked_mul(1_000_000)?);
    String::from_utf8(profile.scheme().signed(sent.view.delivery.event_id, at, body.as_bytes())?).ok()
}
