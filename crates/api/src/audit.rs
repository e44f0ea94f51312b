//! Writes down who changed, sent again or looked at what, before it is answered.

use std::sync::{Arc, OnceLock};

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use postrider_core::TenantId;
use postrider_core::audit::{Actor, AuditEntry};

use crate::auth::peer;
use crate::problem::Problem;
use crate::request_id::RequestId;
use crate::state::Api;

/// Who was let in, told by whoever lets in.
#[derive(Clone, Default)]
pub(crate) struct Witness {
    /// Who acts, and in which tenant.
    seen: Arc<OnceLock<(TenantId, Actor)>>,
    /// Whom it concerns, if that is another.
    concerned: Arc<OnceLock<TenantId>>,
}

impl Witness {
    /// What is done concerns another tenant than the one that is acted in.
    pub(crate) fn concerns(&self, tenant_id: Option<TenantId>) {
        if let Some(id) = tenant_id {
            self.concerned.get_or_init(|| id);
        }
    }

    pub(crate) fn saw(&self, tenant_id: TenantId, actor: Actor) {
        self.seen.get_or_init(|| (tenant_id, actor));
    }
}

/// What a call does, if it is to be written down: all that change something or send again, and those that show what
/// was sent to somebody or came back.
fn action(method: &str, route: &str) -> Option<&'static str> {
    Some(match (method, route) {
        ("POST", "/api/v1/webhooks") => "webhook.created",
        ("PATCH", "/api/v1/webhooks/{id}") => "webhook.updated",
        ("DELETE", "/api/v1/webhooks/{id}") => "webhook.deleted",
        ("POST", "/api/v1/webhooks/{id}/rotate-secret") => "webhook.secret_rotated",
        ("POST", "/api/v1/webhooks/test") => "webhook.tested",
        ("POST", "/api/v1/callbacks") => "callback.created",
        ("DELETE", "/api/v1/callbacks/{id}") => "callback.deleted",
        ("POST", "/api/v1/callback-secret/rotate") => "callback_secret.rotated",
        ("POST", "/api/v1/event-types") => "event_type.created",
        ("PATCH", "/api/v1/event-types/{name}") => "event_type.updated",
        ("DELETE", "/api/v1/event-types/{name}") => "event_type.deleted",
        ("GET", "/api/v1/events/{id}") => "event.viewed",
        ("GET", "/api/v1/events/{id}/explain") => "event.explained",
        ("POST", "/api/v1/events/{id}/replay") => "event.replayed",
        ("GET", "/api/v1/deliveries/{id}") => "delivery.viewed",
        ("GET", "/api/v1/deliveries/{id}/request") => "delivery.request_viewed",
        ("POST", "/api/v1/deliveries/{id}/retry") => "delivery.retried",
        ("GET", "/api/v1/logs/{log_id}") => "log.viewed",
        ("POST", "/api/v1/replays") => "replay.created",
        ("POST", "/api/v1/replays/{id}/pause") => "replay.paused",
        ("POST", "/api/v1/replays/{id}/resume") => "replay.resumed",
        ("POST", "/api/v1/replays/{id}/cancel") => "replay.canceled",
        ("POST", "/api/v1/tenants") => "tenant.created",
        ("PATCH", "/api/v1/tenants/{id}") => "tenant.updated",
        ("DELETE", "/api/v1/tenants/{id}") => "tenant.deleted",
        ("POST", "/api/v1/api-keys") => "api_key.created",
        ("DELETE", "/api/v1/api-keys/{id}") => "api_key.revoked",
        ("POST", "/api/v1/users") => "user.created",
        ("PATCH", "/api/v1/users/{id}") => "user.password_set",
        ("DELETE", "/api/v1/users/{id}") => "user.deleted",
        ("POST", "/api/v1/portal-links") => "portal_link.created",
        ("DELETE", "/api/v1/portal-links/{id}") => "portal_link.revoked",
        ("POST", "/api/v1/session") => "session.begun",
        ("DELETE", "/api/v1/session") => "session.ended",
        _ => return None,
    })
}

/// Has a call that was made written down. What cannot be is not shown; a change that was made is answered as it was, and told
/// in the log.
pub(crate) async fn note(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let Some(route) = route.as_ref().map(MatchedPath::as_str) else { return next.run(request).await };
    let Some(action) = action(request.method().as_str(), route) else { return next.run(request).await };
    let (is_look, mut object_id) = (request.method().is_safe(), object_in_path(route, request.uri().path()));
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let remote_address = peer(request.extensions()).map(|address| address.to_string());
    let witness = Witness::default();
    request.extensions_mut().insert(witness.clone());
    let mut response = next.run(request).await;
    // A test was made, whatever its receiver answered.
    let is_done =
        response.status().is_success() || (action == "webhook.tested" && response.status() == StatusCode::BAD_GATEWAY);
    let Some((tenant_id, actor)) = witness.seen.get().filter(|_| is_done).cloned() else { return response };
    let tenant_id = witness.concerned.get().copied().unwrap_or(tenant_id);
    let at = api.world.now();
    let look = is_look.then(|| (tenant_id, actor.id(), action, object_id.clone()));
    if look.as_ref().is_some_and(|look| api.looks.is_repeated(look, at)) {
        return response;
    }
    if object_id.is_none() {
        (response, object_id) = object_in_answer(response).await;
    }
    let (id, action) = (api.world.new_id_at(at), action.to_owned());
    let entry = AuditEntry { id, tenant_id, at, actor, action, object_id, request_id, remote_address };
    let Err(error) = api.journal.audit(&entry).await else { return response };
    if let Some(look) = look {
        api.looks.forget(&look);
        return Problem::from(error).into_response();
    }
    tracing::error!(%error, ?entry, "what was done is not in the audit log");
    response
}

/// What stands in the braces of the route.
fn object_in_path(route: &str, path: &str) -> Option<String> {
    let mut parts = route.split('/').zip(path.split('/'));
    parts.find(|(name, _)| name.starts_with('{')).map(|(_, value)| value.to_owned())
}

/// What the answer says was made.
async fn object_in_answer(response: Response) -> (Response, Option<String>) {
    let (head, body) = response.into_parts();
    // Made of bytes that are there; it does not fail.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let named =
        ["id", "log_id", "name", "profile"].into_iter().map(|name| &answer[name]).find(|value| !value.is_null());
    let object = named.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    (Response::from_parts(head, Body::from(bytes)), object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls;

    /// Events are what the program is for: each has its own record.
    const NO_CHANGE: [(&str, &str); 4] = [
        ("POST", "/api/v1/filters/test"),
        ("POST", "/api/v1/profiles/{name}/preview"),
        ("POST", "/api/v1/events"),
        ("POST", "/api/v1/events/batch"),
    ];

    #[test]
    fn every_call_that_changes_something_is_written_down() {
        let unsafe_calls = calls().into_iter().filter(|call| call.method != "GET");
        let silent: Vec<_> = unsafe_calls
            .map(|call| (call.method, call.path))
            .filter(|(method, path)| action(method, path).is_none())
            .collect();
        assert_eq!(silent, NO_CHANGE);
    }

    #[test]
    fn the_object_is_what_the_path_names() {
        assert_eq!(object_in_path("/api/v1/events/{id}/replay", "/api/v1/events/x/replay").as_deref(), Some("x"));
        assert_eq!(object_in_path("/api/v1/events", "/api/v1/events"), None);
    }
}
