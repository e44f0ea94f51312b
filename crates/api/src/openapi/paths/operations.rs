//! For operators.

use super::super::answers::Health;
use super::super::errors::Problems;

/// Whether the process is up
#[utoipa::path(get, path = "/healthz", tag = "Operations", security(()),
    responses((status = 200, description = "It is", body = Health), Problems))]
pub(in super::super) fn alive() {}

/// Whether requests should come here
///
/// The store answers, all parts run, and the process is not draining.
#[utoipa::path(get, path = "/readyz", tag = "Operations", security(()),
    responses((status = 200, description = "They should", body = Health), Problems))]
pub(in super::super) fn ready() {}

/// Metrics for Prometheus
///
/// Needs the scope `admin`, unless the server runs for development.
#[utoipa::path(get, path = "/metrics", tag = "Operations",
    responses((status = 200, description = "All metrics of this process", body = String, content_type = "text/plain",
        example = "postrider_events_accepted_total 3"),
        Problems))]
pub(in super::super) fn metrics() {}
