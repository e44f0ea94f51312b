//! What is counted and measured here, and the page that shows all of it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use axum::http::StatusCode;
use metrics::{Histogram, describe_histogram, histogram};

const REQUESTS: &str = "postrider_request_seconds";
const ACCEPTS: &str = "postrider_accept_seconds";

/// The classes of status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What is measured: looked up once, for that takes longer than to note. Nobody measures before it is described.
static MEASURED: OnceLock<Measured> = OnceLock::new();

struct Measured {
    accepts: Histogram,
    /// By route, then by class; each begins with its first request.
    requests: RwLock<BTreeMap<String, [OnceLock<Histogram>; CLASSES.len()]>>,
}

/// Describes the metrics.
pub fn describe_api_metrics() {
    describe_histogram!(REQUESTS, "Seconds until a request was answered, by route and class of status.");
    describe_histogram!(ACCEPTS, "Seconds until published events were durable.");
    MEASURED.get_or_init(|| Measured { accepts: histogram!(ACCEPTS), requests: RwLock::default() });
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
pub(crate) fn answered(route: &str, status: StatusCode, took: Duration) {
    let Some(Measured { requests, .. }) = MEASURED.get() else { return };
    let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
    let look_up = || histogram!(REQUESTS, "route" => route.to_owned(), "status" => CLASSES[class]);
    if let Some(of_route) = requests.read().unwrap_or_else(PoisonError::into_inner).get(route) {
        return of_route[class].get_or_init(look_up).record(took);
    }
    let mut requests = requests.write().unwrap_or_else(PoisonError::into_inner);
    requests.entry(route.to_owned()).or_default()[class].get_or_init(look_up).record(took);
}

pub(crate) fn accepted(took: Duration) {
    MEASURED.get().iter().for_each(|measured| measured.accepts.record(took));
}
