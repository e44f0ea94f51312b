//! What a tenant hides of its payloads, and how long it keeps them.

use std::time::Duration;

use postrider_tests::{Receiver, Reply, Server, eventually};
use serde_json::{Value, json};

use crate::e2e::deliver::{publish, settled, subscribe};

async fn tenant_path(server: &Server) -> String {
    let list = server.get("/api/v1/tenants/").await;
    format!("/api/v1/tenants/{}/", list["tenants"][0]["id"].as_str().expect("an id"))
}

async fn change(server: &Server, body: Value) -> (u16, Value) {
    let path = tenant_path(server).await;
    let answer = server.request("PATCH", &path, Some(body)).await;
    (answer.status, answer.body)
}

async fn key_with(server: &Server, scopes: &[&str]) -> String {
    let made = server.post("/api/v1/api-keys/", json!({"name": "k", "scopes": scopes})).await;
    made["key"].as_str().expect("a key").to_owned()
}

#[tokio::test]
async fn hidden_fields_are_shown_only_to_who_may_see_payloads() {
    let receiver = Receiver::plain(|_, request| Reply::status(200, &String::from_utf8_lossy(&request.body))).await;
    let server = Server::start().await;
    let (status, tenant) = change(&server, json!({"redacted_paths": ["client.name", "output.data.nik"]})).await;
    assert_eq!((status, &tenant["redacted_paths"]), (200, &json!(["client.name", "output.data.nik"])));
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let payload =
        json!({"client": {"name": "SENTINEL", "id": 7}, "output": {"data": [{"nik": "SENTINEL"}, {"ok": 1.5}]}});
    let event_id = publish(&server, payload.clone()).await;
    let event = settled(&server, &event_id, "delivered").await;
    assert_eq!(event["payload"], payload, "admin sees everything");
    assert_eq!(receiver.requests()[0].json()["data"], payload, "the receiver gets everything");
    let attempt = &event["deliveries"][0]["attempts"][0];
    assert!(attempt["response_body"].as_str().expect("text").contains("SENTINEL"));

    let (looker, seer) = (key_with(&server, &["read"]).await, key_with(&server, &["read", "payloads"]).await);
    let shown =
        json!({"client": {"name": "[redacted]", "id": 7}, "output": {"data": [{"nik": "[redacted]"}, {"ok": 1.5}]}});
    let delivery_id = event["deliveries"][0]["id"].as_str().expect("an id");
    let (log_id, webhook_id) = (&attempt["log_id"], event["deliveries"][0]["webhook_id"].as_str().expect("an id"));
    let paths = [
        format!("/api/v1/events/{event_id}/"),
        format!("/api/v1/deliveries/{delivery_id}/"),
        format!("/api/v1/logs/{log_id}/"),
        format!("/api/v1/events/{event_id}/explain/?webhook_id={webhook_id}"),
        "/api/v1/events/".to_owned(),
        "/api/v1/deliveries/".to_owned(),
    ];
    for path in &paths {
        let answer = server.request_as(&looker, "GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.to_string().contains("SENTINEL"), "{path}: {}", answer.body);
    }
    let seen = server.request_as(&looker, "GET", &paths[0], None).await.body;
    assert_eq!(seen["payload"], shown);
    assert_eq!(seen["deliveries"][0]["attempts"][0]["response_body"], "[redacted]");
    let seen = server.request_as(&seer, "GET", &paths[0], None).await.body;
    assert_eq!(seen["payload"], payload);
    let (manager, retry) = (key_with(&server, &["manage"]).await, format!("{}retry/", paths[1]));
    let retried = server.request_as(&manager, "POST", &retry, Some(json!({}))).await;
    assert_eq!(retried.status, 202);
    assert!(!retried.body.to_string().contains("SENTINEL"));

    let (_, tenant) = change(&server, json!({"redacted_paths": []})).await;
    assert_eq!(tenant["redacted_paths"], json!([]));
    assert_eq!(server.request_as(&looker, "GET", &paths[0], None).await.body["payload"], payload);
}

#[tokio::test]
async fn what_is_no_path_or_retention_is_named() {
    let server = Server::start().await;
    for wrong in [json!("client.name"), json!(["a..b"]), json!([1]), json!(vec!["a"; 101])] {
        let (status, body) = change(&server, json!({"redacted_paths": wrong})).await;
        assert_eq!((status, &body["errors"][0]["field"]), (422, &json!("redacted_paths")), "{body}");
    }
    for wrong in [json!("soon"), json!("0s"), json!(5)] {
        let (status, body) = change(&server, json!({"payload_retention": wrong})).await;
        assert_eq!((status, &body["errors"][0]["field"]), (422, &json!("payload_retention")), "{body}");
    }
    let made = server
        .post("/api/v1/tenants/", json!({"name": "acme", "payload_retention": "12h", "redacted_paths": ["a"]}))
        .await;
    assert_eq!((&made["payload_retention"], &made["redacted_paths"]), (&json!("12h"), &json!(["a"])));
    let path = format!("/api/v1/tenants/{}/", made["id"].as_str().expect("an id"));
    let changed = server.request("PATCH", &path, Some(json!({"payload_retention": "default"}))).await.body;
    assert_eq!((&changed["payload_retention"], &changed["redacted_paths"]), (&json!("default"), &json!(["a"])));
}

#[tokio::test]
async fn a_payload_is_wiped_when_all_have_it() {
    let receiver = Receiver::plain(|_, request| {
        Reply::status(if request.head.starts_with("POST /bad") { 500 } else { 200 }, "SENTINEL")
    })
    .await;
    let mut server = Server::start().await;
    let (_, tenant) = change(&server, json!({"payload_retention": "on_success"})).await;
    assert_eq!(tenant["payload_retention"], "on_success");
    subscribe(&server, &receiver.url("/good"), json!({})).await;
    let delivered = publish(&server, json!({"name": "SENTINEL"})).await;
    settled(&server, &delivered, "delivered").await;
    subscribe(&server, &receiver.url("/bad"), json!({"retry_schedule": []})).await;
    let failed = publish(&server, json!({"name": "SENTINEL"})).await;
    eventually("one of two failed", async || {
        let event = server.get(&format!("/api/v1/events/{failed}/")).await;
        (event["delivery_counts"]["failed"] == 1 && event["delivery_counts"]["delivered"] == 1).then_some(())
    })
    .await;
    server.travel(Duration::from_secs(61)).await;
    eventually("it is wiped", async || {
        let event = server.get(&format!("/api/v1/events/{delivered}/")).await;
        let body = &event["deliveries"][0]["attempts"][0]["response_body"];
        (event["payload"].is_null() && body == "").then_some(())
    })
    .await;
    let kept = server.get(&format!("/api/v1/events/{failed}/")).await;
    assert_eq!(kept["payload"], json!({"name": "SENTINEL"}), "what failed can be tried again");
}
