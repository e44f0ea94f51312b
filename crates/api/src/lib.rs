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
pub use normalize::TrimSlash;
pub use openapi::openapi_json;
use problem::Problem;
pub use state::{Api, ApiOptions, Readiness};

/// All routes, without their trailing slash.
pub fn router(api: Api) -> Router {
    use routes::{
        api_keys, callbacks, deliveries, event_types, events, explain, logs, profiles, tenants, test, webhook_health,
        webhooks,
    };
    let v1 = |path: &str| format!("/api/v1{path}");
    let calls = Router::new()
        .route(&v1("/webhooks"), get(webhooks::list).post(webhooks::create))
        .route(&v1("/webhooks/test"), post(test::send))
        .route(&v1("/webhooks/{id}"), get(webhooks::get).patch(webhooks::update).delete(webhooks::delete))
        .route(&v1("/webhooks/{id}/health"), get(webhook_health::get))
        .route(&v1("/webhooks/{id}/rotate-secret"), post(webhooks::rotate_secret))
        .route(&v1("/callbacks"), get(callbacks::list).post(callbacks::create))
        .route(&v1("/callbacks/{id}"), get(callbacks::get).delete(callbacks::delete))
        .route(&v1("/callback-secret/rotate"), post(callbacks::rotate_secret))
        .route(&v1("/profiles"), get(profiles::list))
        .route(&v1("/profiles/{name}"), get(profiles::get))
        .route(&v1("/profiles/{name}/preview"), post(profiles::preview))
        .route(&v1("/logs/{log_id}"), get(logs::get))
        .route(&v1("/event-types"), get(event_types::list).post(event_types::create))
        .route(&v1("/event-types/{name}"), axum::routing::patch(event_types::update).delete(event_types::delete))
        .route(&v1("/events"), get(events::list))
        .route(&v1("/events/{id}"), get(events::get))
        .route(&v1("/events/{id}/explain"), get(explain::get))
        .route(&v1("/events/{id}/replay"), post(events::replay))
        .route(&v1("/deliveries"), get(deliveries::list))
        .route(&v1("/deliveries/{id}"), get(deliveries::get))
        .route(&v1("/deliveries/{id}/retry"), post(deliveries::retry))
        .route(&v1("/tenants"), get(tenants::list).post(tenants::create))
        .route(&v1("/tenants/{id}"), get(tenants::get).patch(tenants::update).delete(tenants::delete))
        .route(&v1("/api-keys"), get(api_keys::list).post(api_keys::create))
        .route(&v1("/api-keys/{id}"), axum::routing::delete(api_keys::delete))
        .layer(axum::middleware::from_fn(uncancelled::finish));
    // What was put in line is committed and sent on, whoever waits for the answer.
    let publishing = Router::new()
        .route(&v1("/events"), post(events::publish))
        .route(&v1("/events/batch"), post(events::publish_batch));
    finish(calls.merge(publishing), api)
}

/// Only what says how a node is that takes no other requests.
pub fn health_router(api: Api) -> Router {
    finish(Router::new(), api)
}

fn finish(router: Router<Api>, api: Api) -> Router {
    router
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
        .with_state(api)
}
