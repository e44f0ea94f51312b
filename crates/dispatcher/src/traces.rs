//! Attempts as parts of the traces that their events were published in.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use postrider_core::trace_context::TraceContext;
use postrider_store::Claimed;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The span of one attempt; a part of the event's trace, if there is one. Only for those who trace, or debug: nothing
/// else is logged in it, and writing its fields down takes time.
pub(crate) fn attempt(claimed: &Claimed) -> Span {
    let span = tracing::debug_span!(
        "attempt",
        delivery_id = %claimed.id,
        event_id = %claimed.event.id,
        webhook_id = claimed.target.subscription_id().map(tracing::field::display),
        callback_id = claimed.target.callback_id().map(tracing::field::display),
        attempt = claimed.attempts + 1,
        outcome = tracing::field::Empty,
    );
    if let Some(context) = claimed.event.draft.trace_context {
        // Fails where nobody keeps traces.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(remote(context)));
    }
    span
}

fn remote(context: TraceContext) -> SpanContext {
    SpanContext::new(
        TraceId::from(context.trace_id),
        SpanId::from(context.span_id),
        TraceFlags::default().with_sampled(context.is_sampled),
        true,
        TraceState::default(),
    )
}
