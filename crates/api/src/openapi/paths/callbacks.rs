//! Callbacks.

use super::super::answers::Message;
use super::super::answers::callbacks::{Callback, CallbackCreated, CallbackList, CallbackSecret};
use super::super::bodies::{NewCallback, RotateCallbackSecret};
use super::super::errors::Problems;
use super::{Id, Page};

/// Create a callback
///
/// Needs the scope `manage` or `publish`. Events of the resource go to it from now on. It cannot be changed.
#[utoipa::path(post, path = "/api/v1/callbacks/", tag = "Callbacks", request_body = NewCallback,
    responses((status = 201, description = "It receives from now on", body = CallbackCreated), Problems))]
pub(in super::super) fn create_callback() {}

/// List callbacks
///
/// Needs the scope `read`.
#[utoipa::path(get, path = "/api/v1/callbacks/", tag = "Callbacks",
    params(("resource_id" = Option<String>, Query, description = "Only of this resource"), Page),
    responses((status = 200, description = "Newest first", body = CallbackList), Problems))]
pub(in super::super) fn list_callbacks() {}

/// Get a callback
///
/// Needs the scope `read`.
#[utoipa::path(get, path = "/api/v1/callbacks/{id}/", tag = "Callbacks", params(Id),
    responses((status = 200, description = "As it is", body = Callback), Problems))]
pub(in super::super) fn get_callback() {}

/// Delete a callback
///
/// Needs the scope `manage`. What is pending is discarded; its log stays until retention.
#[utoipa::path(delete, path = "/api/v1/callbacks/{id}/", tag = "Callbacks", params(Id),
    responses((status = 200, description = "It is gone", body = Message), Problems))]
pub(in super::super) fn delete_callback() {}

/// Rotate the callback secret
///
/// Needs the scope `manage`. One secret signs all of a tenant's callbacks and one-off events in one format; this makes
/// it the first time. Until then they go out unsigned.
#[utoipa::path(post, path = "/api/v1/callback-secret/rotate/", tag = "Callbacks",
    request_body = RotateCallbackSecret,
    responses((status = 200, description = "The new secret signs", body = CallbackSecret), Problems))]
pub(in super::super) fn rotate_callback_secret() {}
