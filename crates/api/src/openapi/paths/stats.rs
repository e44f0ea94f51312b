//! `/api/v1/stats/`.

use utoipa::IntoParams;

use super::super::answers::stats::Statistics;
use super::super::errors::Problems;

/// Which period.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Period {
    /// From then on, from the beginning of its step; 60 steps, if it is absent.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Before then, to the end of its step; now, if it is absent or later.
    #[param(format = DateTime)]
    until: Option<String>,
    /// Seconds of each step, a multiple of 60; at most 1,500 steps.
    #[param(minimum = 60, maximum = 604800, multiple_of = 60, default = 60)]
    step: Option<i64>,
}

/// Statistics over time
///
/// Needs the scope `read`. Of the tenant, or of one webhook.
#[utoipa::path(get, path = "/api/v1/stats/", tag = "Statistics",
    params(("webhook_id" = Option<uuid::Uuid>, Query, description = "Only of this subscription"), Period),
    responses((status = 200, description = "What happened", body = Statistics), Problems))]
pub(in super::super) fn get_stats() {}

/// Statistics of the installation
///
/// Needs the scope `admin`, or the session of an operator. Of all tenants together.
#[utoipa::path(get, path = "/api/v1/stats/all/", tag = "Statistics", params(Period),
    responses((status = 200, description = "What happened", body = Statistics), Problems))]
pub(in super::super) fn get_all_stats() {}
