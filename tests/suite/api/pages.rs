//! Who may open which page and send which form of the console: a row for each there is.

use postrider_console::pages;
use postrider_tests::{Browser, Server};
use reqwest::header::{COOKIE, LOCATION};
use reqwest::{Client, Method, Response, redirect};
use serde_json::{Value, json};

use super::access::UNKNOWN_ID;
use super::tenants::other_tenant;

/// What a path names beside the tenant.
#[derive(Clone, Copy)]
enum Names {
    Nothing,
    Webhook,
    Event,
    Delivery,
    Replay,
    ApiKey,
    User,
}

use Names::{ApiKey, Delivery, Event, Nothing, Replay, User, Webhook};

const ROLES: [&str; 4] = ["operator-admin", "operator", "tenant-admin", "tenant-viewer"];

/// Whoever comes, signed in or not.
const EVERYBODY: &[&str] = &[];
const PEOPLE: &[&str] = &ROLES;
const MANAGERS: &[&str] = &["operator-admin", "operator", "tenant-admin"];
const OPERATORS: &[&str] = &["operator-admin", "operator"];
const RULER: &[&str] = &["operator-admin"];

type Row = (&'static str, &'static str, &'static [&'static str], Names);

/// Every page and form: who may, and what its path names.
const TABLE: &[Row] = &[
    ("GET", "/", PEOPLE, Nothing),
    ("GET", "/assets/{file}", EVERYBODY, Nothing),
    ("GET", "/installation", OPERATORS, Nothing),
    ("GET", "/portal/{token}", EVERYBODY, Nothing),
    ("GET", "/sign-in", EVERYBODY, Nothing),
    ("GET", "/t/{tenant}", PEOPLE, Nothing),
    ("GET", "/t/{tenant}/audit", MANAGERS, Nothing),
    ("GET", "/t/{tenant}/deliveries", PEOPLE, Nothing),
    ("GET", "/t/{tenant}/deliveries/{id}", PEOPLE, Delivery),
    ("GET", "/t/{tenant}/events", PEOPLE, Nothing),
    ("GET", "/t/{tenant}/events/{id}", PEOPLE, Event),
    ("GET", "/t/{tenant}/events/{id}/explain", PEOPLE, Event),
    ("GET", "/t/{tenant}/formats", PEOPLE, Nothing),
    ("GET", "/t/{tenant}/keys", MANAGERS, Nothing),
    ("GET", "/t/{tenant}/live", PEOPLE, Nothing),
    ("GET", "/t/{tenant}/replays", PEOPLE, Nothing),
    ("GET", "/t/{tenant}/replays/new", PEOPLE, Nothing),
    ("GET", "/t/{tenant}/replays/{id}", PEOPLE, Replay),
    ("GET", "/t/{tenant}/settings", OPERATORS, Nothing),
    ("GET", "/t/{tenant}/webhooks", PEOPLE, Nothing),
    ("GET", "/t/{tenant}/webhooks/new", PEOPLE, Nothing),
    ("GET", "/t/{tenant}/webhooks/{id}", PEOPLE, Webhook),
    ("GET", "/tenants", OPERATORS, Nothing),
    ("GET", "/users", RULER, Nothing),
    ("POST", "/portal/{token}", EVERYBODY, Nothing),
    ("POST", "/sign-in", EVERYBODY, Nothing),
    ("POST", "/sign-out", EVERYBODY, Nothing),
    ("POST", "/t/{tenant}/deliveries/{id}/retry", MANAGERS, Delivery),
    ("POST", "/t/{tenant}/events/{id}/replay", MANAGERS, Event),
    ("POST", "/t/{tenant}/filters", MANAGERS, Nothing),
    ("POST", "/t/{tenant}/formats", PEOPLE, Nothing),
    ("POST", "/t/{tenant}/keys", MANAGERS, Nothing),
    ("POST", "/t/{tenant}/keys/{id}/delete", MANAGERS, ApiKey),
    ("POST", "/t/{tenant}/replays", MANAGERS, Nothing),
    ("POST", "/t/{tenant}/replays/preview", MANAGERS, Nothing),
    ("POST", "/t/{tenant}/replays/{id}/turn", MANAGERS, Replay),
    ("POST", "/t/{tenant}/settings", RULER, Nothing),
    ("POST", "/t/{tenant}/webhooks", MANAGERS, Nothing),
    ("POST", "/t/{tenant}/webhooks/{id}", MANAGERS, Webhook),
    ("POST", "/t/{tenant}/webhooks/{id}/active", MANAGERS, Webhook),
    ("POST", "/t/{tenant}/webhooks/{id}/delete", MANAGERS, Webhook),
    ("POST", "/t/{tenant}/webhooks/{id}/recover", MANAGERS, Webhook),
    ("POST", "/t/{tenant}/webhooks/{id}/rotate", MANAGERS, Webhook),
    ("POST", "/t/{tenant}/webhooks/{id}/test", MANAGERS, Webhook),
    ("POST", "/tenants", RULER, Nothing),
    ("POST", "/users", RULER, Nothing),
    ("POST", "/users/{id}/delete", RULER, User),
];

#[test]
fn every_page_has_a_row() {
    let mut there = pages();
    there.sort_unstable();
    let rows: Vec<_> = TABLE.iter().map(|&(method, path, ..)| (method, path)).collect();
    assert_eq!(there, rows);
}

/// Opens a page, or sends a form with a token and the least that it needs; follows no redirect.
async fn visit(browser: &Browser<'_>, method: &str, path: &str, token: &str) -> Response {
    let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().expect("a client");
    let method: Method = method.parse().expect("a method");
    let request = client.request(method, format!("{}{path}", browser.server.base()));
    let request = request.header(COOKIE, &browser.cookie).header("Origin", browser.server.base());
    request.body(format!("csrf_token={token}&profile=standard&turn=pause")).send().await.expect("an answer")
}

fn leads_to(answer: &Response) -> &str {
    answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default()
}

/// The id of one that nobody has touched.
async fn new_thing(server: &Server, names: Names) -> String {
    let id = |made: &Value| made["id"].as_str().expect("an id").to_owned();
    let webhook = json!({"event_type": "screening.completed", "webhook_url": "https://a.example/"});
    let event = json!({"event_type": "screening.completed", "payload": {}});
    match names {
        Nothing => String::new(),
        Webhook => id(&server.post("/api/v1/webhooks/", webhook).await),
        Event => id(&server.post("/api/v1/events/", event).await),
        Delivery => {
            server.post("/api/v1/webhooks/", webhook).await;
            let event = id(&server.post("/api/v1/events/", event).await);
            id(&server.get(&format!("/api/v1/events/{event}/")).await["deliveries"][0])
        }
        Replay => id(&server.post("/api/v1/replays/", json!({"since": "2026-01-01T00:00:00Z"})).await),
        ApiKey => id(&server.post("/api/v1/api-keys/", json!({"name": "k", "scopes": ["read"]})).await),
        User => {
            let others = server.get("/api/v1/users/?limit=250").await["users"].as_array().map_or(0, Vec::len);
            let user =
                json!({"name": format!("user-{others}"), "password": "correct horse battery", "role": "operator"});
            id(&server.post("/api/v1/users/", user).await)
        }
    }
}

fn path(template: &str, tenant: &str, id: &str) -> String {
    let file = concat!("console-", env!("CARGO_PKG_VERSION"), ".css");
    let named = template.replace("{tenant}", tenant).replace("{id}", id);
    named.replace("{token}", "nobodys").replace("{file}", file)
}

async fn own_tenant(server: &Server) -> String {
    server.get("/api/v1/tenants/").await["tenants"][0]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_page_is_for_whom_its_row_says() {
    let server = Server::start().await;
    let tenant = own_tenant(&server).await;
    for role in ROLES {
        let tenants_own = role.starts_with("tenant").then_some(tenant.as_str());
        let browser = Browser::of(&server, role, role, tenants_own).await;
        // The one form that ends a session is everybody's.
        for &(method, template, who, names) in TABLE.iter().filter(|(.., who, _)| !who.is_empty()) {
            let path = path(template, &tenant, &new_thing(&server, names).await);
            if method == "POST" {
                let strangers = visit(&browser, method, &path, "wrong").await.status();
                assert!([403, 404].contains(&strangers.as_u16()), "{role}: {path} without its token: {strangers}");
            }
            let answer = visit(&browser, method, &path, &browser.token).await;
            let (status, is_there) = (answer.status().as_u16(), template.starts_with("/t/") || template == "/");
            // To a tenant's people the operators' pages are not there.
            let refused = if is_there || tenants_own.is_none() { 403 } else { 404 };
            let may = who.contains(&role);
            assert_eq!(status == refused || status == 404, !may, "{role}: {method} {path}: {status}");
            assert!(status < 500 && !leads_to(&answer).starts_with("/sign-in"), "{role}: {method} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn who_is_not_signed_in_is_led_to_where_one_does() {
    let server = Server::start().await;
    let tenant = own_tenant(&server).await;
    let nobody = Browser::new(&server);
    for &(method, template, who, names) in TABLE {
        let answer = visit(&nobody, method, &path(template, &tenant, &new_thing(&server, names).await), "").await;
        let is_led = answer.status() == 303 && leads_to(&answer).starts_with("/sign-in");
        assert_eq!(is_led, !who.is_empty() || template == "/sign-out", "{method} {template}: {}", answer.status());
    }
}

#[tokio::test]
async fn another_tenants_pages_are_as_unknown_as_nobodys() {
    let server = Server::start().await;
    let theirs = own_tenant(&server).await;
    let (ours, _) = other_tenant(&server, "other", &["read"]).await;
    for role in ["tenant-admin", "tenant-viewer"] {
        let browser = Browser::of(&server, role, role, Some(&ours)).await;
        for &(method, template, _, names) in TABLE.iter().filter(|(_, template, ..)| template.starts_with("/t/")) {
            let id = new_thing(&server, names).await;
            let pairs =
                [((&theirs, &id), (&UNKNOWN_ID.to_owned(), &id)), ((&ours, &id), (&ours, &UNKNOWN_ID.to_owned()))];
            for (one, two) in &pairs[..if id.is_empty() { 1 } else { 2 }] {
                let mut seen = Vec::new();
                for (tenant, id) in [one, two] {
                    let answer = visit(&browser, method, &path(template, tenant, id), &browser.token).await;
                    let status = answer.status().as_u16();
                    let page = answer.text().await.expect("text");
                    seen.push((status, page.replace(id.as_str(), "[id]")));
                }
                assert_eq!(seen[0], seen[1], "{role}: {method} {template}");
                // Before a webhook is chosen, to explain is but a form.
                let is_form = template.ends_with("/explain");
                assert!(is_form || [403, 404].contains(&seen[0].0), "{role}: {method} {template}: {}", seen[0].0);
            }
        }
    }
}
