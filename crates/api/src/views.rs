//! What several routes show in the same way.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postrider_core::attempt::{Attempt, BodyEncoding};
use postrider_core::delivery::Delivery;
use postrider_core::{CallbackId, DeliveryId, EventId, LogId, ReplayId, SubscriptionId, Timestamp};
use postrider_store::DeliveryView;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::json;
use crate::problem::Problem;
use crate::sight::Sight;

/// A delivery, in lists without its attempts.
#[derive(Serialize)]
pub(crate) struct DeliveryJson {
    id: DeliveryId,
    event_id: EventId,
    event_type: String,
    webhook_id: Option<SubscriptionId>,
    callback_id: Option<CallbackId>,
    webhook_url: String,
    profile: String,
    status: &'static str,
    reason: Option<String>,
    created_at: Timestamp,
    next_attempt_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptJson>>,
}

impl DeliveryJson {
    /// As an item of a list.
    pub(crate) fn item(view: DeliveryView) -> Self {
        Self::new(view.delivery, None)
    }

    /// With its attempts.
    pub(crate) fn whole(view: DeliveryView, sight: &Sight) -> Result<Self, Problem> {
        let attempts = view.attempts.into_iter().map(|attempt| AttemptJson::new(attempt, sight));
        let attempts = attempts.collect::<Result<_, _>>()?;
        Ok(Self::new(view.delivery, Some(attempts)))
    }

    fn new(delivery: Delivery, attempts: Option<Vec<AttemptJson>>) -> Self {
        Self {
            id: delivery.id,
            event_id: delivery.event_id,
            event_type: delivery.event_type,
            webhook_id: delivery.target.subscription_id(),
            callback_id: delivery.target.callback_id(),
            webhook_url: delivery.url,
            profile: delivery.profile,
            status: delivery.state.name(),
            reason: delivery.reason,
            created_at: delivery.created_at,
            next_attempt_at: delivery.next_attempt_at,
            attempts,
        }
    }
}

/// One attempt, whole.
#[derive(Serialize)]
pub(crate) struct AttemptJson {
    log_id: LogId,
    delivery_id: Option<DeliveryId>,
    number: i64,
    started_at: Timestamp,
    duration_ms: f64,
    outcome: &'static str,
    http_status_code: Option<u16>,
    message: String,
    webhook_url: String,
    request_headers: Box<RawValue>,
    response_headers: Box<RawValue>,
    response_body: String,
    response_body_encoding: BodyEncoding,
    remote_address: Option<String>,
    timings: TimingsJson,
    /// The replay that it was made for.
    replay_id: Option<ReplayId>,
}

/// Where the time went, in milliseconds.
#[derive(Serialize)]
struct TimingsJson {
    dns_ms: Option<f64>,
    connect_ms: Option<f64>,
    first_byte_ms: Option<f64>,
    total_ms: f64,
}

impl AttemptJson {
    pub(crate) fn new(attempt: Attempt, sight: &Sight) -> Result<Self, Problem> {
        let (response_body, response_body_encoding) = sight.response_body(attempt.response_body);
        let timings = attempt.timings;
        Ok(Self {
            log_id: attempt.log_id,
            delivery_id: attempt.delivery_id,
            number: attempt.number,
            started_at: attempt.started_at,
            duration_ms: millis(timings.total_us),
            outcome: attempt.outcome.name(),
            http_status_code: attempt.status,
            message: attempt.message,
            webhook_url: attempt.url,
            request_headers: json::raw(Some(attempt.request_headers))?,
            response_headers: json::raw(Some(attempt.response_headers))?,
            response_body,
            response_body_encoding,
            remote_address: attempt.remote_address,
            timings: TimingsJson {
                dns_ms: timings.dns_us.map(millis),
                connect_ms: timings.connect_us.map(millis),
                first_byte_ms: timings.first_byte_us.map(millis),
                total_ms: millis(timings.total_us),
            },
            replay_id: attempt.replay_id,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "attempts end within 30 s: far below 2^53 µs")]
fn millis(micros: i64) -> f64 {
    micros as f64 / 1000.0
}

/// Bytes as text if they are that, and as base64 if not.
pub(crate) fn shown(body: Vec<u8>) -> (String, BodyEncoding) {
    match String::from_utf8(body) {
        Ok(text) => (text, BodyEncoding::Utf8),
        Err(error) => (BASE64_STANDARD.encode(error.as_bytes()), BodyEncoding::Base64),
    }
}
