//! The REST API: HTTP and JSON on one side, the store's traits on the other. Knows no SQL and sends
//! nothing to customers.

mod auth;
mod body;
mod fields;
mod json;
mod key_cache;
mod limits;
mod measure;
mod normalize;
mod openapi;
mod params;
mod problem;
mod request_id;
mod routes;
mod state;
mod traces;
mod turns;
mod uncancelled;
mod views;

use axum::Router;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

pub use measure::{MetricsPage, describe_api_metrics};
pub use openapi::openapi_json;
use problem::Problem;
pub use state::{Api, ApiOptions, Readiness};

/// All routes, with and without their trailing slash.
pub fn router(api: Api) -> Router {
    use routes::{
        api_keys, callbacks, deliveries, event_types, events, explain, logs, profiles, tenants, test, webhook_health,
        webhooks,
    };
    let v1 = Router::new()
        .route("/webhooks", get(webhooks::list).post(webhooks::create))
        .route("/webhooks/test", post(test::send))
        .route("/webhooks/{id}", get(webhooks::get).patch(webhooks::update).delete(webhooks::delete))
        .route("/webhooks/{id}/health", get(webhook_health::get))
        .route("/webhooks/{id}/rotate-secret", post(webhooks::rotate_secret))
        .route("/callbacks", get(callbacks::list).post(callbacks::create))
        .route("/callbacks/{id}", get(callbacks::get).delete(callbacks::delete))
        .route("/callback-secret/rotate", post(callbacks::rotate_secret))
        .route("/profiles", get(profiles::list))
        .route("/profiles/{name}", get(profiles::get))
        .route("/profiles/{name}/preview", post(profiles::preview))
        .route("/logs/{log_id}", get(logs::get))
        .route("/event-types", get(event_types::list).post(event_types::create))
        .route("/event-types/{name}", axum::routing::patch(event_types::update).delete(event_types::delete))
        .route("/events", get(events::list))
        .route("/events/{id}", get(events::get))
        .route("/events/{id}/explain", get(explain::get))
        .route("/events/{id}/replay", post(events::replay))
        .route("/deliveries", get(deliveries::list))
        .route("/deliveries/{id}", get(deliveries::get))
        .route("/deliveries/{id}/retry", post(deliveries::retry))
        .route("/tenants", get(tenants::list).post(tenants::create))
        .route("/tenants/{id}", get(tenants::get).patch(tenants::update).delete(tenants::delete))
        .route("/api-keys", get(api_keys::list).post(api_keys::create))
        .route("/api-keys/{id}", axum::routing::delete(api_keys::delete));
    // What was put in line is committed and sent on, whoever waits for the answer.
    let publishing =
        Router::new().route("/events", post(events::publish)).route("/events/batch", post(events::publish_batch));
    let v1 = v1.layer(axum::middleware::from_fn(uncancelled::finish)).merge(publishing);
    finish(Router::new().nest("/api/v1", v1), api)
}

/// Only what says how a node is that takes no other requests.
pub fn health_router(api: Api) -> Router {
    finish(Router::new(), api)
}

fn finish(router: Router<Api>, api: Api) -> Router {
    let routes = router
        .route("/api/v1/openapi.json", get(routes::openapi::get))
        .route("/docs", get(routes::reference::page))
        .route("/docs/{file}", get(routes::reference::file))
        .route("/healthz", get(routes::health::alive))
        .route("/readyz", get(routes::health::ready))
        .route("/metrics", get(routes::metrics::get))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(CatchPanicLayer::custom(problem::from_panic))
        .layer(axum::middleware::from_fn_with_state(api.clone(), request_id::mark))
        .with_state(api);
    Router::new().fallback_service(normalize::TrimSlash::new(routes))
}
