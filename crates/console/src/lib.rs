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
mod site;
mod visit;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;

use fault::Fault;
pub use rest::Rest;
use site::Site;
use tower_http::catch_panic::CatchPanicLayer;

/// What pages may load and do: what comes from here, and no script or style inside the page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// All pages, on top of the API.
pub fn router(rest: Rest) -> Router {
    site()
        .router()
        .method_not_allowed_fallback(async || Fault::method_not_allowed())
        .layer(CatchPanicLayer::custom(fault::from_panic))
        .layer(map_response(protect))
        .with_state(rest)
}

/// The method and the path of each page and form; what is in braces varies.
#[must_use]
pub fn pages() -> Vec<(&'static str, &'static str)> {
    site().list()
}

fn site() -> Site {
    use pages::{
        audit, deliveries, delivery, event, events, explain, filters, formats, keys, replay, replays, settings,
        sign_in, start, tenants, tests, users, webhook, webhooks,
    };
    Site::default()
        .get("/", start::page)
        .get("/installation", start::installation)
        .get("/sign-in", sign_in::page)
        .post("/sign-in", sign_in::submit)
        .post("/sign-out", sign_in::sign_out)
        .get("/portal/{token}", sign_in::portal)
        .post("/portal/{token}", sign_in::enter_portal)
        .get("/tenants", tenants::page)
        .post("/tenants", tenants::create)
        .get("/users", users::page)
        .post("/users", users::create)
        .post("/users/{id}/delete", users::delete)
        .get("/t/{tenant}", start::tenant)
        .get("/t/{tenant}/webhooks", webhooks::page)
        .post("/t/{tenant}/webhooks", webhooks::create)
        .get("/t/{tenant}/webhooks/new", webhooks::new)
        .get("/t/{tenant}/webhooks/{id}", webhook::page)
        .post("/t/{tenant}/webhooks/{id}", webhook::update)
        .post("/t/{tenant}/webhooks/{id}/active", webhook::switch)
        .post("/t/{tenant}/webhooks/{id}/recover", webhook::recover)
        .post("/t/{tenant}/webhooks/{id}/rotate", webhook::rotate)
        .post("/t/{tenant}/webhooks/{id}/delete", webhook::delete)
        .post("/t/{tenant}/webhooks/{id}/test", tests::send)
        .get("/t/{tenant}/events", events::page)
        .get("/t/{tenant}/events/{id}", event::page)
        .post("/t/{tenant}/events/{id}/replay", event::replay)
        .get("/t/{tenant}/events/{id}/explain", explain::page)
        .post("/t/{tenant}/filters", filters::page)
        .get("/t/{tenant}/formats", formats::page)
        .post("/t/{tenant}/formats", formats::preview)
        .get("/t/{tenant}/audit", audit::page)
        .get("/t/{tenant}/settings", settings::page)
        .post("/t/{tenant}/settings", settings::update)
        .get("/t/{tenant}/deliveries", deliveries::page)
        .get("/t/{tenant}/deliveries/{id}", delivery::page)
        .post("/t/{tenant}/deliveries/{id}/retry", delivery::retry)
        .get("/t/{tenant}/replays", replays::page)
        .post("/t/{tenant}/replays", replays::create)
        .get("/t/{tenant}/replays/new", replays::new)
        .post("/t/{tenant}/replays/preview", replays::preview)
        .get("/t/{tenant}/replays/{id}", replay::page)
        .post("/t/{tenant}/replays/{id}/turn", replay::turn)
        .get("/t/{tenant}/live", live::stream)
        .get("/t/{tenant}/keys", keys::page)
        .post("/t/{tenant}/keys", keys::create)
        .post("/t/{tenant}/keys/{id}/delete", keys::delete)
        .get("/assets/{file}", assets::file)
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
