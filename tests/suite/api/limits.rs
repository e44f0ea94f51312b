//! What a key and a tenant may use up, where the installation limits it.

use postrider_tests::{Receiver, Reply, Server, ServerOptions, all_at_once};
use serde_json::json;

use crate::e2e::deliver::{publish, subscribe};

#[tokio::test]
async fn a_key_has_so_many_requests() {
    let server = Server::start_with(ServerOptions::default().set("LIMITS_REQUESTS", "3/m")).await;
    let made = server.post("/api/v1/api-keys/", json!({"name": "other", "scopes": ["read"]})).await;
    let other = made["key"].as_str().expect("a key");
    let get = |key: &str| {
        let key = key.to_owned();
        server.custom(move |client, base| client.get(format!("{base}/api/v1/webhooks/")).bearer_auth(key))
    };
    for left in [2, 1, 0] {
        let answer = get(other).await;
        let header = |name: &str| answer.headers[name].to_str().expect("text").to_owned();
        assert_eq!((answer.status, header("ratelimit-policy")), (200, "\"key\";q=3;w=60".to_owned()));
        assert!(header("ratelimit").starts_with(&format!("\"key\";r={left};t=")), "{}", header("ratelimit"));
    }
    let refused = get(other).await;
    assert_eq!((refused.status, refused.headers.contains_key("ratelimit")), (429, true));
    let wait: u64 = refused.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(get(server.key()).await.status, 200, "another key has its own");
    assert_eq!(server.request("GET", "/healthz", None).await.status, 200);
}

#[tokio::test]
async fn without_a_limit_nothing_is_told() {
    let server = Server::start().await;
    let answer = server.request("GET", "/api/v1/webhooks/", None).await;
    assert!(!answer.headers.contains_key("ratelimit") && !answer.headers.contains_key("ratelimit-policy"));
}

#[tokio::test]
async fn a_tenant_has_so_many_webhooks_and_pending_deliveries() {
    let receiver = Receiver::plain(|_, _| Reply::Hang).await;
    let options = ServerOptions::default().set("LIMITS_WEBHOOKS", "2").set("LIMITS_PENDING", "4");
    let mut server = Server::start_with(options).await;
    let (first, _) = subscribe(&server, &receiver.url("/1"), json!({})).await;
    subscribe(&server, &receiver.url("/2"), json!({})).await;
    let body = json!({"event_type": "screening.completed", "webhook_url": receiver.url("/3")});
    let refused = server.request("POST", "/api/v1/webhooks/", Some(body.clone())).await;
    assert_eq!(
        (refused.status, refused.body["detail"].as_str()),
        (403, Some("The tenant has 2 webhooks, the most that it may have."))
    );
    publish(&server, json!({})).await;
    server.travel(std::time::Duration::from_secs(2)).await;
    publish(&server, json!({})).await;
    server.travel(std::time::Duration::from_secs(2)).await;
    let event = json!({"event_type": "screening.completed", "payload": {}});
    postrider_tests::eventually("four are pending", async || {
        let refused = server.request("POST", "/api/v1/events/", Some(event.clone())).await;
        (refused.status == 429 && refused.headers.contains_key("retry-after")).then_some(())
    })
    .await;
    let batch = server.request("POST", "/api/v1/events/batch/", Some(json!({"events": [event.clone()]}))).await;
    assert_eq!(batch.status, 429);
    server.request("DELETE", &format!("/api/v1/webhooks/{first}/"), None).await;
    assert_eq!(server.request("POST", "/api/v1/webhooks/", Some(body)).await.status, 201, "one went");
    server.travel(std::time::Duration::from_secs(2)).await;
    postrider_tests::eventually("fewer are pending", async || {
        (server.request("POST", "/api/v1/events/", Some(event.clone())).await.status == 202).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_limit_that_is_none_stops_the_start() {
    for (name, value) in [("LIMITS_REQUESTS", "many"), ("LIMITS_WEBHOOKS", "0"), ("LIMITS_PENDING", "-1")] {
        let options = ServerOptions::default().set(name, value);
        let (code, _, err) = postrider_tests::run_command(&options, &["serve", "--dev"]).await;
        assert_eq!((code, err.lines().count(), err.contains(&format!("POSTRIDER_{name}"))), (1, 1, true), "{err}");
    }
}

#[tokio::test]
async fn filters_of_a_tenant_compare_with_so_many_values() {
    let filter = |count: u32| json!({"id": {"$in": (0..count).collect::<Vec<_>>()}});
    let webhook = |count: u32| json!({"event_type": "screening.completed", "webhook_url": "https://a.example/", "filters": filter(count)});
    let server = Server::start_with(ServerOptions::default().set("LIMITS_FILTER_LITERALS", "10")).await;
    let made = server.post("/api/v1/webhooks/", webhook(7)).await;
    let refused = server.request("POST", "/api/v1/webhooks/", Some(webhook(4))).await;
    let message = "has 4 values to compare with; the tenant's other filters have 7, and all together may have 10";
    assert_eq!((refused.status, &refused.body["errors"]), (422, &json!([{"field": "filters", "message": message}])));
    server.post("/api/v1/webhooks/", webhook(3)).await;
    let path = format!("/api/v1/webhooks/{}/", made["id"].as_str().expect("an id"));
    let change = async |server: &Server, body| server.request("PATCH", &path, Some(body)).await.status;
    assert_eq!(change(&server, json!({"filters": filter(8)})).await, 422);
    assert_eq!(change(&server, json!({"filters": filter(7), "description": "the same"})).await, 200);

    // They are counted where nobody else can change them meanwhile.
    let at_once = server.kill().await.set("LIMITS_FILTER_LITERALS", "20");
    let server = Server::start_with(at_once).await;
    let answers = all_at_once((0..8).map(|_| server.request("POST", "/api/v1/webhooks/", Some(webhook(4))))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 2, "10 values are there: {:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());

    let lower = server.kill().await.set("LIMITS_FILTER_LITERALS", "5");
    let server = Server::start_with(lower).await;
    assert_eq!(change(&server, json!({"description": "kept"})).await, 200, "what is there stays");
    assert_eq!(change(&server, json!({"filters": filter(6)})).await, 200, "fewer than before");
    assert_eq!(change(&server, json!({"filters": filter(7)})).await, 422);
    assert_eq!(server.request("POST", "/api/v1/webhooks/", Some(webhook(1))).await.status, 422);
}
