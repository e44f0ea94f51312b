//! What is counted and measured here, and the page that shows all of it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use metrics::{describe_histogram, histogram};

const REQUESTS: &str = "postrider_request_seconds";
const ACCEPTS: &str = "postrider_accept_seconds";

/// Describes the metrics.
pub fn describe_api_metrics() {
    describe_histogram!(REQUESTS, "Seconds until a request was answered, by route and class of status.");
    describe_histogram!(ACCEPTS, "Seconds until published events were durable.");
}

/// The metrics as Prometheus reads them, and who may see them.
#[derive(Clone)]
pub struct MetricsPage {
    /// Writes them down.
    pub render: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether no key is needed.
    pub is_open: bool,
}

/// `route` is a pattern, not a path: there are as many as there are routes.
pub(crate) fn answered(route: String, status: StatusCode, took: Duration) {
    let class = match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    };
    histogram!(REQUESTS, "route" => route, "status" => class).record(took);
}

pub(crate) fn accepted(took: Duration) {
    histogram!(ACCEPTS).record(took);
}
