//! The REST API: HTTP and JSON on one side, the store's traits on the other. Knows no SQL and sends
//! nothing to customers.

mod audit;
mod auth;
mod body;
mod calls;
mod curl;
mod failed_keys;
mod fields;
mod json;
mod key_cache;
mod looks;
mod measure;
mod normalize;
mod openapi;
mod params;
mod problem;
mod quotas;
mod rate_limits;
mod request_id;
mod routes;
mod session;
mod sight;
mod state;
mod test_limits;
mod traces;
mod turns;
mod uncancelled;
mod views;

use axum::Router;
use tower_http::catch_panic::CatchPanicLayer;

pub use calls::Call;
use calls::Calls;
pub use measure::{MetricsPage, describe_api_metrics};
pub use normalize::TrimSlash;
pub use openapi::openapi_json;
use problem::Problem;
pub use quotas::Limits;
pub use rate_limits::RequestLimit;
pub use state::{Api, ApiOptions, Readiness};

/// All routes, without their trailing slash.
pub fn router(api: Api) -> Router {
    // Inside the task that finishes changes: what was done is written down, though nobody waits for the answer.
    let audit = axum::middleware::from_fn_with_state(api.clone(), audit::note);
    let session = session::layer(&api);
    let uncancelled = axum::middleware::from_fn_with_state(api.changes.clone(), uncancelled::finish);
    finish(rest_calls(|router| router.layer(audit).layer(session).layer(uncancelled)).merge(operations()), api)
}

/// Only what says how a node is that takes no other requests.
pub fn health_router(api: Api) -> Router {
    finish(operations(), api)
}

/// Every call there is.
#[must_use]
pub fn calls() -> Vec<Call> {
    rest_calls(|router| router).merge(operations()).list()
}

fn rest_calls(watched: impl FnOnce(Router<Api>) -> Router<Api>) -> Calls {
    use routes::events;
    let calls = settings_calls().merge(journal_calls()).merge(people_calls()).map(watched);
    // What was put in line is committed and sent on, whoever waits for the answer.
    let publishing =
        Calls::default().post("/api/v1/events", events::publish).post("/api/v1/events/batch", events::publish_batch);
    calls.merge(publishing)
}

/// Who gets what, and how.
fn settings_calls() -> Calls {
    use routes::{callbacks, event_types, filters, profiles, test, webhook_health, webhooks};
    Calls::default()
        .get("/api/v1/webhooks", webhooks::list)
        .post("/api/v1/webhooks", webhooks::create)
        .post("/api/v1/webhooks/test", test::send)
        .get("/api/v1/webhooks/{id}", webhooks::get)
        .patch("/api/v1/webhooks/{id}", webhooks::update)
        .delete("/api/v1/webhooks/{id}", webhooks::delete)
        .get("/api/v1/webhooks/{id}/health", webhook_health::get)
        .post("/api/v1/webhooks/{id}/rotate-secret", webhooks::rotate_secret)
        .get("/api/v1/callbacks", callbacks::list)
        .post("/api/v1/callbacks", callbacks::create)
        .get("/api/v1/callbacks/{id}", callbacks::get)
        .delete("/api/v1/callbacks/{id}", callbacks::delete)
        .post("/api/v1/callback-secret/rotate", callbacks::rotate_secret)
        .post("/api/v1/filters/test", filters::test)
        .get("/api/v1/profiles", profiles::list)
        .get("/api/v1/profiles/{name}", profiles::get)
        .post("/api/v1/profiles/{name}/preview", profiles::preview)
        .get("/api/v1/event-types", event_types::list)
        .post("/api/v1/event-types", event_types::create)
        .patch("/api/v1/event-types/{name}", event_types::update)
        .delete("/api/v1/event-types/{name}", event_types::delete)
}

/// What happened, and what is sent again.
fn journal_calls() -> Calls {
    use routes::{deliveries, delivery_request, events, explain, logs, replays, stats};
    Calls::default()
        .get("/api/v1/logs/{log_id}", logs::get)
        .get("/api/v1/events", events::list)
        .get("/api/v1/events/{id}", events::get)
        .get("/api/v1/events/{id}/explain", explain::get)
        .post("/api/v1/events/{id}/replay", events::replay)
        .get("/api/v1/deliveries", deliveries::list)
        .get("/api/v1/deliveries/{id}", deliveries::get)
        .get("/api/v1/deliveries/{id}/request", delivery_request::get)
        .post("/api/v1/deliveries/{id}/retry", deliveries::retry)
        .get("/api/v1/stats", stats::get)
        .get("/api/v1/stats/all", stats::all)
        .get("/api/v1/replays", replays::list)
        .post("/api/v1/replays", replays::create)
        .get("/api/v1/replays/{id}", replays::get)
        .post("/api/v1/replays/{id}/pause", replays::pause)
        .post("/api/v1/replays/{id}/resume", replays::resume)
        .post("/api/v1/replays/{id}/cancel", replays::cancel)
}

/// Who may do what, and who did.
fn people_calls() -> Calls {
    use routes::{api_keys, audit, portal_links, session, tenants, users};
    Calls::default()
        .get("/api/v1/tenants", tenants::list)
        .post("/api/v1/tenants", tenants::create)
        .get("/api/v1/tenants/{id}", tenants::get)
        .patch("/api/v1/tenants/{id}", tenants::update)
        .delete("/api/v1/tenants/{id}", tenants::delete)
        .get("/api/v1/api-keys", api_keys::list)
        .post("/api/v1/api-keys", api_keys::create)
        .delete("/api/v1/api-keys/{id}", api_keys::delete)
        .get("/api/v1/audit", audit::list)
        .get("/api/v1/users", users::list)
        .post("/api/v1/users", users::create)
        .patch("/api/v1/users/{id}", users::update)
        .delete("/api/v1/users/{id}", users::delete)
        .post("/api/v1/portal-links", portal_links::create)
        .delete("/api/v1/portal-links/{id}", portal_links::delete)
        .get("/api/v1/session", session::get)
        .post("/api/v1/session", session::create)
        .delete("/api/v1/session", session::delete)
}

fn operations() -> Calls {
    Calls::default()
        .get("/api/v1/openapi.json", routes::openapi::get)
        .get("/docs", routes::reference::page)
        .get("/docs/{file}", routes::reference::file)
        .get("/healthz", routes::health::alive)
        .get("/readyz", routes::health::ready)
        .get("/metrics", routes::metrics::get)
}

fn finish(calls: Calls, api: Api) -> Router {
    calls
        .router()
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        // Together: each layer of its own would cost every request allocations.
        .layer((
            axum::middleware::from_fn_with_state(api.clone(), request_id::mark),
            CatchPanicLayer::custom(problem::from_panic),
        ))
        .with_state(api)
}
