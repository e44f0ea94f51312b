//! The web pages for operators and tenants: a client of the REST API inside the process.
//!
//! Every page shows what calls of the API answer to whoever is signed in, and every form becomes such a call: there is
//! one place that decides who may see and do what, and one audit log of it.

mod assets;
mod chart;
mod fault;
mod form;
mod layout;
mod live;
mod model;
mod pages;
mod rest;
mod show;
mod visit;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};

use fault::Fault;
pub use rest::Rest;
use tower_http::catch_panic::CatchPanicLayer;

/// What pages may load and do: what comes from here, and no script or style inside the page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// All pages, on top of the API.
pub fn router(rest: Rest) -> Router {
    use pages::{
        audit, deliveries, delivery, event, events, explain, filters, formats, keys, replay, replays, settings,
        sign_in, start, tenants, tests, users, webhook, webhooks,
    };
    Router::new()
        .route("/", get(start::page))
        .route("/installation", get(start::installation))
        .route("/sign-in", get(sign_in::page).post(sign_in::submit))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/portal/{token}", get(sign_in::portal).post(sign_in::enter_portal))
        .route("/tenants", get(tenants::page).post(tenants::create))
        .route("/users", get(users::page).post(users::create))
        .route("/users/{id}/delete", post(users::delete))
        .route("/t/{tenant}", get(start::tenant))
        .route("/t/{tenant}/webhooks", get(webhooks::page).post(webhooks::create))
        .route("/t/{tenant}/webhooks/new", get(webhooks::new))
        .route("/t/{tenant}/webhooks/{id}", get(webhook::page).post(webhook::update))
        .route("/t/{tenant}/webhooks/{id}/active", post(webhook::switch))
        .route("/t/{tenant}/webhooks/{id}/recover", post(webhook::recover))
        .route("/t/{tenant}/webhooks/{id}/rotate", post(webhook::rotate))
        .route("/t/{tenant}/webhooks/{id}/delete", post(webhook::delete))
        .route("/t/{tenant}/webhooks/{id}/test", post(tests::send))
        .route("/t/{tenant}/events", get(events::page))
        .route("/t/{tenant}/events/{id}", get(event::page))
        .route("/t/{tenant}/events/{id}/replay", post(event::replay))
        .route("/t/{tenant}/events/{id}/explain", get(explain::page))
        .route("/t/{tenant}/filters", post(filters::page))
        .route("/t/{tenant}/formats", get(formats::page).post(formats::preview))
        .route("/t/{tenant}/audit", get(audit::page))
        .route("/t/{tenant}/settings", get(settings::page).post(settings::update))
        .route("/t/{tenant}/deliveries", get(deliveries::page))
        .route("/t/{tenant}/deliveries/{id}", get(delivery::page))
        .route("/t/{tenant}/deliveries/{id}/retry", post(delivery::retry))
        .route("/t/{tenant}/replays", get(replays::page).post(replays::create))
        .route("/t/{tenant}/replays/new", get(replays::new))
        .route("/t/{tenant}/replays/preview", post(replays::preview))
        .route("/t/{tenant}/replays/{id}", get(replay::page))
        .route("/t/{tenant}/replays/{id}/turn", post(replay::turn))
        .route("/t/{tenant}/live", get(live::stream))
        .route("/t/{tenant}/keys", get(keys::page).post(keys::create))
        .route("/t/{tenant}/keys/{id}/delete", post(keys::delete))
        .route("/assets/{file}", get(assets::file))
        .method_not_allowed_fallback(async || Fault::method_not_allowed())
        .layer(CatchPanicLayer::custom(fault::from_panic))
        .layer(map_response(protect))
        .with_state(rest)
}

/// What keeps a page from being used by others, and from being kept.
async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Forms must say where they come from; other sites need not know.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
