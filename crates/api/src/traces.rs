//! Requests as parts of traces. Does nothing if nobody keeps them.

use axum::http::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use postrider_core::trace_context::TraceContext;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Makes a request a part of its client's trace, if it says which.
pub(crate) fn join(span: &Span, headers: &HeaderMap) {
    let traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok());
    let Some(context) = traceparent.and_then(TraceContext::parse) else { return };
    let remote = SpanContext::new(
        TraceId::from(context.trace_id),
        SpanId::from(context.span_id),
        TraceFlags::default().with_sampled(context.is_sampled),
        true,
        TraceState::default(),
    );
    // Fails where nobody keeps traces.
    let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(remote));
}

/// Where the caller is, if its trace is recorded.
pub(crate) fn current() -> Option<TraceContext> {
    let context = Span::current().context();
    let span = context.span();
    let place = span.span_context();
    (place.is_valid() && place.is_sampled()).then(|| TraceContext {
        trace_id: u128::from_be_bytes(place.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(place.span_id().to_bytes()),
        is_sampled: true,
    })
}
