//! Metrics: where they are kept, and the address that shows them openly.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use postrider_api::{MetricsPage, describe_api_metrics};
use postrider_dispatcher::describe_dispatcher_metrics;
use postrider_store::describe_store_metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Upper bounds of what is measured in seconds: from a commit to the longest attempt.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];
/// Upper bounds of what is counted in rows.
const ROWS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// How often measurements are sorted into their buckets, so that nobody's absence lets them pile up.
const UPKEEP: Duration = Duration::from_secs(5);

/// The recorder is one of the process, as the logger is.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts measuring, once. `is_open` says whether the page of the API needs no key.
pub(crate) fn start(is_open: bool) -> MetricsPage {
    let recorder = RECORDER.get_or_init(install).clone();
    if let Some(recorder) = recorder.clone() {
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                recorder.run_upkeep();
            }
        });
    }
    let render = Arc::new(move || recorder.as_ref().map(PrometheusHandle::render).unwrap_or_default());
    MetricsPage { render, is_open }
}

fn install() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets(&SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_rows".to_owned()), &ROWS));
    let handle = builder.and_then(PrometheusBuilder::install_recorder);
    match handle {
        Ok(handle) => {
            describe_store_metrics();
            describe_dispatcher_metrics();
            describe_api_metrics();
            Some(handle)
        }
        Err(error) => {
            tracing::error!(%error, "nothing is measured");
            None
        }
    }
}

/// Shows the metrics to everybody who reaches `listener`.
pub(crate) async fn serve(listener: TcpListener, page: MetricsPage, stop: CancellationToken) {
    let routes = Router::new().route("/metrics", get(async move || (page.render)()));
    if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "the metrics are not served any more");
    }
}
