//! Who may call what: a row for each call there is.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_api::{Call, calls};
use postrider_tests::{Answer, Receiver, Reply, Server, eventually};
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::tenants::other_tenant;
use crate::e2e::deliver::{publish, settled, subscribe};

/// What is in a path's braces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Names {
    Nothing,
    /// The same for everybody.
    Shared(&'static str),
    Webhook,
    Callback,
    EventType,
    Event,
    Delivery,
    Log,
    Tenant,
    ApiKey,
    User,
    Replay,
}

use Names::{ApiKey, Callback, Delivery, Event, EventType, Log, Nothing, Replay, Shared, Tenant, User, Webhook};

const SCOPES: [&str; 5] = ["read", "publish", "manage", "payloads", "admin"];

/// The scopes of which one is enough, for each group of calls.
const EVERYBODY: &[&str] = &[];
const READ: &[&str] = &["read", "manage", "admin"];
const PUBLISH: &[&str] = &["publish", "admin"];
const MANAGE: &[&str] = &["manage", "admin"];
const MANAGE_OR_PUBLISH: &[&str] = &["publish", "manage", "admin"];
const ADMIN: &[&str] = &["admin"];
/// No key at all, but a session, or what begins one.
const PERSON: &[&str] = &["session"];

type Row = (&'static str, &'static str, &'static [&'static str], Names, fn() -> Value);

fn none() -> Value {
    Value::Null
}

fn new_webhook() -> Value {
    json!({"event_type": "screening.completed", "webhook_url": "https://a.example/"})
}

fn new_event() -> Value {
    json!({"event_type": "screening.completed", "payload": {}})
}

/// Every call: who may make it, what its path names, and a body that it takes.
const TABLE: &[Row] = &[
    ("GET", "/healthz", EVERYBODY, Nothing, none),
    ("GET", "/readyz", EVERYBODY, Nothing, none),
    // Under `--dev`; else an admin's.
    ("GET", "/metrics", EVERYBODY, Nothing, none),
    ("GET", "/docs", EVERYBODY, Nothing, none),
    ("GET", "/docs/{file}", EVERYBODY, Shared("swagger-ui.css"), none),
    ("GET", "/api/v1/openapi.json", EVERYBODY, Nothing, none),
    ("GET", "/api/v1/webhooks", READ, Nothing, none),
    ("POST", "/api/v1/webhooks", MANAGE, Nothing, new_webhook),
    ("POST", "/api/v1/webhooks/test", MANAGE, Nothing, new_webhook),
    ("GET", "/api/v1/webhooks/{id}", READ, Webhook, none),
    ("PATCH", "/api/v1/webhooks/{id}", MANAGE, Webhook, || json!({"description": "theirs"})),
    ("DELETE", "/api/v1/webhooks/{id}", MANAGE, Webhook, none),
    ("GET", "/api/v1/webhooks/{id}/health", READ, Webhook, none),
    ("POST", "/api/v1/webhooks/{id}/rotate-secret", MANAGE, Webhook, || json!({})),
    ("GET", "/api/v1/callbacks", READ, Nothing, none),
    (
        "POST",
        "/api/v1/callbacks",
        MANAGE_OR_PUBLISH,
        Nothing,
        || json!({"resource_id": "r-1", "webhook_url": "https://a.example/"}),
    ),
    ("GET", "/api/v1/callbacks/{id}", READ, Callback, none),
    ("DELETE", "/api/v1/callbacks/{id}", MANAGE, Callback, none),
    ("POST", "/api/v1/callback-secret/rotate", MANAGE, Nothing, || json!({"profile": "standard"})),
    ("POST", "/api/v1/filters/test", MANAGE, Nothing, || json!({"filters": {}})),
    ("GET", "/api/v1/profiles", READ, Nothing, none),
    ("GET", "/api/v1/profiles/{name}", READ, Shared("standard"), none),
    ("POST", "/api/v1/profiles/{name}/preview", READ, Shared("standard"), || json!({})),
    ("GET", "/api/v1/logs/{log_id}", READ, Log, none),
    ("GET", "/api/v1/event-types", READ, Nothing, none),
    ("POST", "/api/v1/event-types", MANAGE, Nothing, || json!({"name": "of.b", "group": "g"})),
    ("PATCH", "/api/v1/event-types/{name}", MANAGE, EventType, || json!({"description": "theirs"})),
    ("DELETE", "/api/v1/event-types/{name}", MANAGE, EventType, none),
    ("GET", "/api/v1/events", READ, Nothing, none),
    ("POST", "/api/v1/events", PUBLISH, Nothing, new_event),
    ("POST", "/api/v1/events/batch", PUBLISH, Nothing, || json!({"events": [new_event()]})),
    ("GET", "/api/v1/events/{id}", READ, Event, none),
    ("GET", "/api/v1/events/{id}/explain", READ, Event, none),
    ("POST", "/api/v1/events/{id}/replay", MANAGE, Event, || json!({})),
    ("GET", "/api/v1/deliveries", READ, Nothing, none),
    ("GET", "/api/v1/deliveries/{id}", READ, Delivery, none),
    ("GET", "/api/v1/deliveries/{id}/request", READ, Delivery, none),
    ("POST", "/api/v1/deliveries/{id}/retry", MANAGE, Delivery, none),
    ("GET", "/api/v1/stats", READ, Nothing, none),
    ("GET", "/api/v1/stats/all", ADMIN, Nothing, none),
    ("GET", "/api/v1/replays", READ, Nothing, none),
    ("POST", "/api/v1/replays", MANAGE, Nothing, || json!({"since": "2026-01-19T00:00:00Z"})),
    ("GET", "/api/v1/replays/{id}", READ, Replay, none),
    ("POST", "/api/v1/replays/{id}/pause", MANAGE, Replay, none),
    ("POST", "/api/v1/replays/{id}/resume", MANAGE, Replay, none),
    ("POST", "/api/v1/replays/{id}/cancel", MANAGE, Replay, none),
    ("GET", "/api/v1/audit", MANAGE, Nothing, none),
    ("GET", "/api/v1/tenants", ADMIN, Nothing, none),
    ("POST", "/api/v1/tenants", ADMIN, Nothing, || json!({"name": "third"})),
    ("GET", "/api/v1/tenants/{id}", ADMIN, Tenant, none),
    ("PATCH", "/api/v1/tenants/{id}", ADMIN, Tenant, || json!({"default_profile": "standard"})),
    ("DELETE", "/api/v1/tenants/{id}", ADMIN, Tenant, none),
    ("GET", "/api/v1/api-keys", MANAGE, Nothing, none),
    ("POST", "/api/v1/api-keys", MANAGE, Nothing, || json!({"name": "k", "scopes": ["read"]})),
    ("DELETE", "/api/v1/api-keys/{id}", MANAGE, ApiKey, none),
    ("GET", "/api/v1/users", ADMIN, Nothing, none),
    (
        "POST",
        "/api/v1/users",
        ADMIN,
        Nothing,
        || json!({"name": "anna", "password": "correct horse battery", "role": "operator"}),
    ),
    ("PATCH", "/api/v1/users/{id}", ADMIN, User, || json!({"password": "correct horse battery"})),
    ("DELETE", "/api/v1/users/{id}", ADMIN, User, none),
    ("POST", "/api/v1/portal-links", ADMIN, Nothing, || json!({"tenant_id": unknown(Tenant), "role": "tenant-viewer"})),
    ("DELETE", "/api/v1/portal-links/{id}", ADMIN, User, none),
    ("GET", "/api/v1/session", PERSON, Nothing, none),
    ("POST", "/api/v1/session", PERSON, Nothing, || json!({"name": "nobody", "password": "wrong"})),
    ("DELETE", "/api/v1/session", PERSON, Nothing, none),
];

#[test]
fn every_call_has_a_row() {
    let mut there = calls();
    there.sort();
    let mut rows: Vec<Call> = TABLE.iter().map(|&(method, path, ..)| Call { method, path }).collect();
    rows.sort();
    assert_eq!(there, rows);
}

fn unknown(names: Names) -> &'static str {
    match names {
        Nothing => "",
        Shared(name) => name,
        EventType => "nobody.owns",
        Log => "999999999",
        Webhook | Callback | Event | Delivery | Tenant | ApiKey | User | Replay => UNKNOWN_ID,
    }
}

/// Nobody's.
pub(super) const UNKNOWN_ID: &str = "0198c5f2-7d4e-7b3a-9d21-1b6f0a3c5e77";

/// A path, with the query that it cannot do without.
fn path(template: &str, name: &str) -> String {
    let path = match template.split_once('{') {
        None => template.to_owned(),
        Some((before, rest)) => format!("{before}{name}{}", rest.split_once('}').expect("closed").1),
    };
    if path.ends_with("/explain") { format!("{path}?webhook_id={}", unknown(Webhook)) } else { path }
}

async fn call(server: &Server, header: Option<(&str, &str)>, row: &Row, name: &str) -> Answer {
    let (method, template, _, _, body) = *row;
    let (method, body) = (method.parse::<reqwest::Method>().expect("a method"), body());
    let build = |client: &reqwest::Client, base: &str| {
        let mut request = client.request(method, format!("{base}{}", path(template, name)));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        if body.is_null() { request } else { request.json(&body) }
    };
    server.custom(build).await
}

async fn call_as(server: &Server, key: &str, row: &Row, name: &str) -> Answer {
    call(server, Some(("X-API-Key", key)), row, name).await
}

/// All that a caller can tell one answer from another by, byte for byte, but for the time and what names the request.
fn seen(answer: &Answer) -> String {
    let of_every_request = ["date", "x-request-id"];
    let mut headers: Vec<_> =
        answer.headers.iter().filter(|(name, _)| !of_every_request.contains(&name.as_str())).collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    let request_id = answer.body["request_id"].as_str().unwrap_or("none");
    format!("{} {headers:?} {}", answer.status, answer.text.replace(request_id, "[request]"))
}

async fn made_key(server: &Server, by: &str, body: Value) -> (String, String) {
    let made = server.request_as(by, "POST", "/api/v1/api-keys/", Some(body)).await;
    let text = |name: &str| made.body[name].as_str().expect("text").to_owned();
    (text("id"), text("key"))
}

#[tokio::test]
async fn without_a_valid_key_there_is_nothing_but_what_is_everybodys() {
    let mut server = Server::start().await;
    let body = json!({"name": "k", "scopes": SCOPES, "expires_at": "2999-01-01T00:00:00Z"});
    let (_, expired) = made_key(&server, server.key(), body).await;
    let (id, revoked) = made_key(&server, server.key(), json!({"name": "k", "scopes": SCOPES})).await;
    assert_eq!(server.request("DELETE", &format!("/api/v1/api-keys/{id}/"), None).await.status, 200);
    server.travel(Duration::from_secs(974 * 366 * 86_400)).await;
    eventually("the key expired", || async {
        (server.request_as(&expired, "GET", "/api/v1/webhooks/", None).await.status == 401).then_some(())
    })
    .await;
    let headers = [
        None,
        Some(("X-API-Key", "")),
        Some(("X-API-Key", "\u{e9}")),
        Some((AUTHORIZATION.as_str(), "Bearer")),
        Some((AUTHORIZATION.as_str(), "Basic cHJrOnByaw==")),
        Some(("X-API-Key", "prk_0000000000000000000000000000000000000000000")),
        Some(("X-API-Key", revoked.as_str())),
        Some(("X-API-Key", expired.as_str())),
    ];
    for header in headers {
        // Many wrong keys must wait; a minute later they need not.
        server.travel(Duration::from_secs(60)).await;
        eventually("wrong keys are looked up again", || async {
            (server.request_as("wrong", "GET", "/api/v1/webhooks/", None).await.status == 401).then_some(())
        })
        .await;
        for row @ (method, template, who, names, _) in TABLE {
            let answer = call(&server, header, row, unknown(*names)).await;
            let right = if who.is_empty() { answer.status == 200 } else { answer.status == 401 };
            assert!(right, "{method} {template} with {header:?}: {} {}", answer.status, answer.body);
        }
    }
}

#[tokio::test]
async fn a_scope_permits_what_its_row_says_and_nothing_else() {
    let server = Server::start().await;
    let (other, _) = other_tenant(&server, "other", &["read"]).await;
    for scope in SCOPES {
        let (_, key) = made_key(&server, server.key(), json!({"name": scope, "scopes": [scope]})).await;
        for row @ (method, template, who, names, _) in TABLE.iter().filter(|(_, _, who, ..)| !who.is_empty()) {
            let answer = call_as(&server, &key, row, unknown(*names)).await;
            let refused = [401, 403].contains(&answer.status);
            assert_eq!(
                !refused,
                who.contains(&scope),
                "{scope}: {method} {template}: {} {}",
                answer.status,
                answer.body
            );
            assert!(answer.status < 500, "{scope}: {method} {template}: {} {}", answer.status, answer.body);
            if scope != "admin" && *who != PERSON {
                let build = |client: &reqwest::Client, base: &str| {
                    let url = format!("{base}{}", path(template, unknown(*names)));
                    let request = client.request(method.parse().expect("a method"), url);
                    request.header("X-API-Key", &key).header("X-Tenant-Id", &other)
                };
                assert_eq!(server.custom(build).await.status, 403, "{scope} names a tenant: {method} {template}");
            }
        }
    }
}

/// One of each that a tenant may have.
async fn things(server: &Server) -> BTreeMap<Names, String> {
    let id = |made: &Value| made["id"].as_str().expect("an id").to_owned();
    let receiver = Receiver::plain(|_, _| Reply::status(500, "")).await;
    let (webhook, _) = subscribe(server, &receiver.url("/"), json!({"retry_schedule": []})).await;
    let event = publish(server, json!({"id": "r-1"})).await;
    let delivery = settled(server, &event, "failed").await["deliveries"][0].clone();
    server.post("/api/v1/event-types/", json!({"name": "theirs.only", "group": "g"})).await;
    let callback = json!({"resource_id": "r-2", "webhook_url": "https://a.example/"});
    let (key, _) = made_key(server, server.key(), json!({"name": "theirs", "scopes": ["read"]})).await;
    let log = delivery["attempts"][0]["log_id"].as_i64().expect("a number");
    BTreeMap::from([
        (Webhook, webhook),
        (Callback, id(&server.post("/api/v1/callbacks/", callback).await)),
        (EventType, "theirs.only".to_owned()),
        (Event, event),
        (Delivery, id(&delivery)),
        (Log, log.to_string()),
        (Tenant, id(&server.get("/api/v1/tenants/").await["tenants"][0])),
        (ApiKey, key),
        (Replay, id(&server.post("/api/v1/replays/", json!({"since": "2026-01-01T00:00:00Z"})).await)),
    ])
}

#[tokio::test]
async fn another_tenants_things_are_as_unknown_as_nobodys() {
    let server = Server::start().await;
    let theirs = things(&server).await;
    let (_, key) = other_tenant(&server, "other", &["manage", "publish"]).await;
    for row @ (method, template, _, names, _) in TABLE {
        let Some(id) = theirs.get(names) else { continue };
        let (one, two) = (call_as(&server, &key, row, id).await, call_as(&server, &key, row, unknown(*names)).await);
        assert!([403, 404].contains(&one.status), "{method} {template}: {} {}", one.status, one.body);
        let unnamed = |answer, id: &str| if *names == Log { seen(answer) } else { seen(answer).replace(id, "[id]") };
        assert_eq!(unnamed(&one, id), unnamed(&two, unknown(*names)), "{method} {template}");
    }
    // What is named elsewhere than in the path.
    let (webhook, event) = (&theirs[&Webhook], &theirs[&Event]);
    let own = json!({"event_type": "screening.completed", "payload": {}});
    let own = server.request_as(&key, "POST", "/api/v1/events/", Some(own)).await.body;
    let own = own["id"].as_str().expect("an id");
    let of_webhook = json!({"since": "2026-01-01T00:00:00Z", "webhook_id": "{id}"});
    let calls: [(&str, Names, String, Value); 15] = [
        ("POST", Webhook, "/api/v1/replays/".to_owned(), of_webhook),
        ("GET", Webhook, "/api/v1/events/?webhook_id={id}".to_owned(), Value::Null),
        ("GET", Webhook, "/api/v1/deliveries/?webhook_id={id}".to_owned(), Value::Null),
        ("GET", Webhook, format!("/api/v1/events/{own}/explain/?webhook_id={{id}}"), Value::Null),
        ("POST", Webhook, format!("/api/v1/events/{own}/replay/"), json!({"webhook_id": "{id}"})),
        ("POST", Webhook, "/api/v1/webhooks/test/".to_owned(), json!({"webhook_id": "{id}"})),
        ("GET", Callback, "/api/v1/events/?callback_id={id}".to_owned(), Value::Null),
        ("GET", Callback, "/api/v1/deliveries/?callback_id={id}".to_owned(), Value::Null),
        ("GET", Event, "/api/v1/deliveries/?event_id={id}".to_owned(), Value::Null),
        ("GET", ApiKey, "/api/v1/audit/?actor_id={id}".to_owned(), Value::Null),
        ("GET", Webhook, "/api/v1/audit/?object_id={id}".to_owned(), Value::Null),
        ("GET", EventType, "/api/v1/events/?event_type={id}".to_owned(), Value::Null),
        ("GET", EventType, "/api/v1/deliveries/?event_type={id}".to_owned(), Value::Null),
        (
            "POST",
            EventType,
            "/api/v1/webhooks/".to_owned(),
            json!({"event_type": "{id}", "webhook_url": "https://a.example/"}),
        ),
        ("POST", EventType, "/api/v1/events/".to_owned(), json!({"event_type": "{id}", "payload": {}})),
    ];
    for (method, names, template, body) in calls {
        let mut answers = Vec::new();
        for id in [theirs[&names].as_str(), unknown(names)] {
            let body =
                (!body.is_null()).then(|| serde_json::from_str(&body.to_string().replace("{id}", id)).expect("JSON"));
            let answer = server.request_as(&key, method, &template.replace("{id}", id), body).await;
            answers.push(seen(&answer).replace(id, "[id]"));
        }
        assert_eq!(answers[0], answers[1], "{method} {template}");
    }
    // A cursor is a place in time, and shows nobody else's.
    for (_, id) in theirs.iter().filter(|(names, _)| ![EventType, Log].contains(names)) {
        let cursor = postrider_core::cursor::encode(id.parse().expect("a UUID"));
        for list in ["webhooks", "callbacks", "events", "deliveries", "replays", "api-keys", "audit"] {
            let path = format!("/api/v1/{list}/?limit=250&cursor={cursor}");
            let answer = server.request_as(&key, "GET", &path, None).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            let text = answer.body.to_string();
            assert!(theirs.values().all(|id| id.len() < 30 || !text.contains(id.as_str())), "{path}: {text}");
        }
    }
    // Theirs are as they were.
    assert_eq!(server.get(&format!("/api/v1/webhooks/{webhook}/")).await["description"], "");
    settled(&server, event, "failed").await;
}
