//! The API described by itself: OpenAPI 3.1.
//!
//! Bodies are read field by field, so that every wrong field can be named at once; their schemas stand
//! here. That both say the same is tested by requests that the document generates.

mod answers;
mod bodies;
mod errors;
mod paths;

use std::sync::LazyLock;

use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// The document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Postrider",
        description = "Send webhooks: publish an event with one call; Postrider signs it, delivers it to every \
                       subscribed endpoint, retries, and records each attempt.\n\nPaths work with and without their \
                       trailing slash. Times are RFC 3339 in UTC with microseconds. Unknown fields and parameters are \
                       refused. Every answer bears `X-Request-Id`. What is not a success is \
                       `application/problem+json` (RFC 9457) and names every wrong field at once.",
        license(name = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "Webhooks", description = "Subscriptions of endpoints to event types."),
        (name = "Events", description = "Facts, published once and delivered to all who subscribed."),
        (name = "Deliveries", description = "An event on its way to an endpoint."),
        (name = "Replays", description = "Periods sent again: what failed, and what was missed."),
        (name = "Statistics", description = "Rates, latencies and what waits, over time."),
        (name = "Logs", description = "Single attempts."),
        (name = "Callbacks", description = "Where the events of one resource go, said when it was created."),
        (name = "Profiles", description = "The wire formats."),
        (name = "Event types", description = "The catalogue: built-in types and a tenant's own."),
        (name = "API keys", description = "Credentials and what they permit."),
        (name = "Audit", description = "Who changed, sent again or looked at what."),
        (name = "Tenants", description = "Customers of the operator. Needs the scope `admin`."),
        (name = "People", description = "Who signs in to the console."),
        (name = "Operations", description = "For load balancers, supervisors and monitoring."),
    ),
    paths(
        paths::webhooks::create_webhook,
        paths::webhooks::list_webhooks,
        paths::webhooks::get_webhook,
        paths::webhooks::update_webhook,
        paths::webhooks::delete_webhook,
        paths::webhooks::webhook_health,
        paths::webhooks::rotate_secret,
        paths::webhooks::test_webhook,
        paths::webhooks::test_filters,
        paths::events::publish_event,
        paths::events::publish_events,
        paths::events::list_events,
        paths::events::get_event,
        paths::events::replay_event,
        paths::events::explain_event,
        paths::callbacks::create_callback,
        paths::callbacks::list_callbacks,
        paths::callbacks::get_callback,
        paths::callbacks::delete_callback,
        paths::callbacks::rotate_callback_secret,
        paths::profiles::list_profiles,
        paths::profiles::get_profile,
        paths::profiles::preview_profile,
        paths::deliveries::list_deliveries,
        paths::deliveries::get_delivery,
        paths::deliveries::get_delivery_request,
        paths::deliveries::retry_delivery,
        paths::deliveries::get_log,
        paths::replays::create_replay,
        paths::replays::list_replays,
        paths::replays::get_replay,
        paths::replays::pause_replay,
        paths::replays::resume_replay,
        paths::replays::cancel_replay,
        paths::stats::get_stats,
        paths::stats::get_all_stats,
        paths::event_types::list_event_types,
        paths::event_types::create_event_type,
        paths::event_types::update_event_type,
        paths::event_types::delete_event_type,
        paths::tenants::create_tenant,
        paths::tenants::list_tenants,
        paths::tenants::get_tenant,
        paths::tenants::update_tenant,
        paths::tenants::delete_tenant,
        paths::tenants::create_api_key,
        paths::tenants::list_api_keys,
        paths::tenants::delete_api_key,
        paths::tenants::list_audit,
        paths::people::create_user,
        paths::people::list_users,
        paths::people::update_user,
        paths::people::delete_user,
        paths::people::create_portal_link,
        paths::people::delete_portal_link,
        paths::people::create_session,
        paths::people::get_session,
        paths::people::delete_session,
        paths::operations::alive,
        paths::operations::ready,
        paths::operations::metrics,
    ),
    components(schemas(errors::ProblemBody)),
    modifiers(&Credentials, &SharedProblems),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
struct Document;

/// The two ways to send a key, and the session of whoever signed in.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("`Authorization: Bearer KEY`"));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
        let key = ApiKeyValue::with_description("X-API-Key", "`X-API-Key: KEY`");
        components.add_security_scheme("key", SecurityScheme::ApiKey(ApiKey::Header(key)));
        let cookie =
            ApiKeyValue::with_description("__Host-postrider", "The console's session; changes need `X-CSRF-Token`");
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// Problems are described once.
struct SharedProblems;

impl Modify for SharedProblems {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.responses.extend(errors::components().map(|(name, response)| (name, response.into())));
    }
}

/// Written once: it never changes.
static JSON: LazyLock<String> = LazyLock::new(|| {
    let mut json = Document::openapi().to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
});

/// The document as JSON for people and programs.
#[must_use]
pub fn openapi_json() -> &'static str {
    &JSON
}
