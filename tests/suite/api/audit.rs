//! `/api/v1/audit/`: who changed, sent again or looked at what.

use postrider_tests::{Receiver, Reply, Server, run_command};
use serde_json::{Value, json};

use super::access::UNKNOWN_ID;
use super::tenants::other_tenant;
use crate::e2e::deliver::{publish, settled, subscribe};

async fn entries(server: &Server, query: &str) -> Vec<Value> {
    server.get(&format!("/api/v1/audit/{query}")).await["audit"].as_array().expect("a list").clone()
}

/// Action and object of each entry, the oldest first.
fn told(entries: &[Value]) -> Vec<(String, String)> {
    let text = |entry: &Value, name: &str| entry[name].as_str().expect("text").to_owned();
    entries.iter().rev().map(|entry| (text(entry, "action"), text(entry, "object_id"))).collect()
}

#[tokio::test]
async fn tells_who_did_what() {
    let receiver = Receiver::plain(|_, _| Reply::status(500, "")).await;
    let server = Server::start().await;
    let (webhook, _) = subscribe(&server, &receiver.url("/"), json!({"retry_schedule": []})).await;
    let event = publish(&server, json!({})).await;
    let whole = settled(&server, &event, "failed").await;
    let delivery = whole["deliveries"][0]["id"].as_str().expect("an id");
    let log = whole["deliveries"][0]["attempts"][0]["log_id"].to_string();
    let path = format!("/api/v1/webhooks/{webhook}/");
    server.request("PATCH", &path, Some(json!({"description": "SENTINEL"}))).await;
    server.get(&format!("/api/v1/logs/{log}/")).await;
    server.post(&format!("/api/v1/deliveries/{delivery}/retry/"), json!({})).await;
    server.post(&format!("/api/v1/webhooks/{webhook}/rotate-secret/"), json!({})).await;
    let tested = server.request("POST", "/api/v1/webhooks/test/", Some(json!({"webhook_id": webhook}))).await;
    assert_eq!(tested.status, 502);
    let key = server.post("/api/v1/api-keys/", json!({"name": "k", "scopes": ["read"]})).await;
    server.request("DELETE", &path, None).await;
    let found = entries(&server, "").await;
    let expected = [
        ("webhook.created", webhook.as_str()),
        ("event.viewed", &event),
        ("webhook.updated", &webhook),
        ("log.viewed", &log),
        ("delivery.retried", delivery),
        ("webhook.secret_rotated", &webhook),
        ("webhook.tested", &tested.body["log_id"].to_string()),
        ("api_key.created", key["id"].as_str().expect("an id")),
        ("webhook.deleted", &webhook),
    ];
    assert_eq!(told(&found), expected.map(|(action, object)| (action.to_owned(), object.to_owned())));
    let newest = &found[0];
    assert_eq!(
        (&newest["actor"], &newest["actor_name"], &newest["remote_address"]),
        (&json!("api_key"), &json!("bootstrap"), &json!("127.0.0.1"))
    );
    assert!(newest["request_id"].is_string() && newest["at"].is_string() && newest["actor_id"].is_string());
    let secret = key["key"].as_str().expect("a key");
    assert!(!json!(found).to_string().contains(secret) && !json!(found).to_string().contains("SENTINEL"));
}

#[tokio::test]
async fn is_filtered_and_has_pages() {
    let server = Server::start().await;
    let (webhook, _) = subscribe(&server, "https://a.example/", json!({})).await;
    for n in 0..5 {
        let body = json!({"description": n.to_string()});
        server.request("PATCH", &format!("/api/v1/webhooks/{webhook}/"), Some(body)).await;
    }
    let first = server.get("/api/v1/audit/?action=webhook.updated&limit=3").await;
    let cursor = first["next_cursor"].as_str().expect("more");
    let rest = server.get(&format!("/api/v1/audit/?action=webhook.updated&limit=3&cursor={cursor}")).await;
    assert_eq!((first["audit"].as_array().map(Vec::len), rest["audit"].as_array().map(Vec::len)), (Some(3), Some(2)));
    assert_eq!(entries(&server, &format!("?object_id={webhook}")).await.len(), 6);
    assert_eq!(entries(&server, "?object_id=other").await.len(), 0);
    assert_eq!(entries(&server, "?until=2020-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(server.request("GET", "/api/v1/audit/?nonsense=1", None).await.status, 422);
    assert_eq!(server.request("DELETE", "/api/v1/audit/", None).await.status, 405, "nothing is removed");
}

#[tokio::test]
async fn is_the_tenants_own() {
    let server = Server::start().await;
    let (tenant, key) = other_tenant(&server, "acme", &["manage"]).await;
    let theirs = server.request_as(&key, "GET", "/api/v1/audit/", None).await.body;
    let actions: Vec<&Value> =
        theirs["audit"].as_array().expect("a list").iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["api_key.created"], "the operator acted in it");
    let ours = told(&entries(&server, "").await);
    assert_eq!(ours, [("tenant.created".to_owned(), tenant)]);
    let unknown = server.request_as(&key, "GET", &format!("/api/v1/webhooks/{UNKNOWN_ID}/"), None).await;
    assert_eq!(unknown.status, 404);
    let refused = server.request_as(&key, "POST", "/api/v1/tenants/", Some(json!({"name": "x"}))).await;
    assert_eq!(refused.status, 403);
    let theirs = server.request_as(&key, "GET", "/api/v1/audit/", None).await.body;
    assert_eq!(theirs["audit"].as_array().map(Vec::len), Some(1), "what was not done is not told");
}

#[tokio::test]
async fn the_same_look_within_a_minute_is_one() {
    let mut server = Server::start().await;
    let event = publish(&server, json!({})).await;
    for _ in 0..5 {
        server.get(&format!("/api/v1/events/{event}/")).await;
    }
    assert_eq!(entries(&server, "?action=event.viewed").await.len(), 1);
    server.travel(std::time::Duration::from_secs(61)).await;
    postrider_tests::eventually("another minute, another look", async || {
        server.get(&format!("/api/v1/events/{event}/")).await;
        (entries(&server, "?action=event.viewed").await.len() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_command_line_is_told_too() {
    let server = Server::start().await;
    let (code, _, err) = run_command(server.options(), &["keys", "create", "--name", "k", "--scopes", "read"]).await;
    assert_eq!(code, 0, "{err}");
    let found = entries(&server, "").await;
    assert_eq!(
        (&found[0]["actor"], &found[0]["action"], &found[0]["actor_id"]),
        (&json!("command_line"), &json!("api_key.created"), &Value::Null)
    );
}
