//! The handlers: a file for each group of URLs.

pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod callbacks;
pub(crate) mod deliveries;
pub(crate) mod delivery_request;
pub(crate) mod event_types;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod filters;
pub(crate) mod health;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod portal_links;
pub(crate) mod profiles;
pub(crate) mod reference;
pub(crate) mod replays;
pub(crate) mod session;
pub(crate) mod stats;
pub(crate) mod tenants;
pub(crate) mod test;
pub(crate) mod users;
pub(crate) mod webhook_health;
pub(crate) mod webhooks;

use std::str::FromStr;

use crate::problem::Problem;

/// An id in a path. What cannot be one names nothing.
fn path_id<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}
