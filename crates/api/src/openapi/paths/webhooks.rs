//! Subscriptions.

use super::super::answers::Message;
use super::super::answers::webhooks::{
    FilterResults, SecretRotated, TestResult, Webhook, WebhookCreated, WebhookHealth, WebhookList, WebhookUpdated,
};
use super::super::bodies::{FilterTrial, NewWebhook, RotateSecret, TestWebhook, WebhookChange};
use super::super::errors::Problems;
use super::{Id, Page};

/// Create a webhook
///
/// Needs the scope `manage`. The secret is in this answer and in no other.
#[utoipa::path(post, path = "/api/v1/webhooks/", tag = "Webhooks", request_body = NewWebhook,
    responses((status = 201, description = "It receives from now on", body = WebhookCreated), Problems))]
pub(in super::super) fn create_webhook() {}

/// List webhooks
///
/// Needs the scope `read`. All of them, unless a page is asked for.
#[utoipa::path(get, path = "/api/v1/webhooks/", tag = "Webhooks", params(Page),
    responses((status = 200, description = "Newest first", body = WebhookList), Problems))]
pub(in super::super) fn list_webhooks() {}

/// Get a webhook
///
/// Needs the scope `read`.
#[utoipa::path(get, path = "/api/v1/webhooks/{id}/", tag = "Webhooks", params(Id),
    responses((status = 200, description = "As it is now", body = Webhook), Problems))]
pub(in super::super) fn get_webhook() {}

/// Change a webhook
///
/// Needs the scope `manage`. Pending deliveries use the new settings. Deactivating discards what is pending; activating
/// again revives nothing by itself.
#[utoipa::path(patch, path = "/api/v1/webhooks/{id}/", tag = "Webhooks", params(Id), request_body = WebhookChange,
    responses((status = 200, description = "It is changed", body = WebhookUpdated), Problems))]
pub(in super::super) fn update_webhook() {}

/// Delete a webhook
///
/// Needs the scope `manage`. What is pending is discarded; its log stays until retention.
#[utoipa::path(delete, path = "/api/v1/webhooks/{id}/", tag = "Webhooks", params(Id),
    responses((status = 200, description = "It is gone", body = Message), Problems))]
pub(in super::super) fn delete_webhook() {}

/// See the health of a webhook's endpoint
///
/// Needs the scope `read`. What waits for the endpoint, and how the node that answers finds it. An endpoint is
/// the URL without its query.
#[utoipa::path(get, path = "/api/v1/webhooks/{id}/health/", tag = "Webhooks", params(Id),
    responses((status = 200, description = "How it stands", body = WebhookHealth), Problems))]
pub(in super::super) fn webhook_health() {}

/// Rotate a webhook's secret
///
/// Needs the scope `manage`. Both secrets sign for a while.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/rotate-secret/", tag = "Webhooks", params(Id),
    request_body = RotateSecret,
    responses((status = 200, description = "The new secret signs", body = SecretRotated), Problems))]
pub(in super::super) fn rotate_secret() {}

/// Test an endpoint
///
/// Needs the scope `manage`. One attempt, at once, in the log and in no statistics.
#[utoipa::path(post, path = "/api/v1/webhooks/test/", tag = "Webhooks", request_body = TestWebhook,
    responses(
        (status = 200, description = "A 2xx came back", body = TestResult),
        (status = 502, description = "Something else came back, or nothing", body = TestResult, example = json!({
            "success": false, "message": "Test webhook delivery failed: Timed out after 15 s", "log_id": 18,
            "http_status_code": null
        })),
        Problems
    ))]
pub(in super::super) fn test_webhook() {}

/// Try a filter
///
/// Needs the scope `manage`. On the newest events, at most 20; nothing is changed or sent.
#[utoipa::path(post, path = "/api/v1/filters/test/", tag = "Webhooks", request_body = FilterTrial,
    responses((status = 200, description = "Which pass", body = FilterResults), Problems))]
pub(in super::super) fn test_filters() {}
