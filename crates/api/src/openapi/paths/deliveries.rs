//! Deliveries and their attempts.

use super::super::answers::deliveries::{Attempt, Delivery, DeliveryList, DeliveryRequest};
use super::super::bodies::Nothing;
use super::super::errors::Problems;
use super::{Id, Page, Which};

/// List deliveries
///
/// Needs the scope `read`.
#[utoipa::path(get, path = "/api/v1/deliveries/", tag = "Deliveries",
    params(Which, ("event_id" = Option<uuid::Uuid>, Query, description = "Only of this event"), Page),
    responses((status = 200, description = "Newest first", body = DeliveryList), Problems))]
pub(in super::super) fn list_deliveries() {}

/// Get a delivery
///
/// Needs the scope `read`. With its attempts.
#[utoipa::path(get, path = "/api/v1/deliveries/{id}/", tag = "Deliveries", params(Id),
    responses((status = 200, description = "What became of it", body = Delivery), Problems))]
pub(in super::super) fn get_delivery() {}

/// Get what a delivery sends
///
/// Needs the scope `read`. The bytes of the body are those of every try; what is null is hidden, or no longer kept.
#[utoipa::path(get, path = "/api/v1/deliveries/{id}/request/", tag = "Deliveries", params(Id),
    responses((status = 200, description = "The request, as it was sent last", body = DeliveryRequest), Problems))]
pub(in super::super) fn get_delivery_request() {}

/// Retry a delivery
///
/// Needs the scope `manage`. Opens an ended delivery again: its id stays, attempt numbers go on, the schedule starts anew.
#[utoipa::path(post, path = "/api/v1/deliveries/{id}/retry/", tag = "Deliveries", params(Id), request_body(content = Option<Nothing>, example = json!({})),
    responses((status = 202, description = "It is pending again", body = Delivery), Problems))]
pub(in super::super) fn retry_delivery() {}

/// Get an attempt
///
/// Needs the scope `read`.
#[utoipa::path(get, path = "/api/v1/logs/{log_id}/", tag = "Logs",
    params(("log_id" = i64, Path, description = "Its number", minimum = 1)),
    responses((status = 200, description = "What was sent, and what came back", body = Attempt), Problems))]
pub(in super::super) fn get_log() {}
