//! Delivered, retried, failed: as the lifecycle says.

use std::time::Duration;

use postrider_tests::{Authority, Receiver, Reply, Server, ServerOptions, eventually};
use serde_json::{Value, json};

use super::answers::attempts;

/// Subscribes a receiver to `screening.completed`; its id and secret.
pub(crate) async fn subscribe(server: &Server, url: &str, extra: Value) -> (String, String) {
    let mut body = json!({"event_type": "screening.completed", "webhook_url": url});
    body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
    let made = server.post("/api/v1/webhooks/", body).await;
    let text = |name: &str| made[name].as_str().expect("text").to_owned();
    (text("id"), text("secret_key"))
}

/// Publishes `screening.completed`; the event's id.
pub(crate) async fn publish(server: &Server, payload: Value) -> String {
    let body = json!({"event_type": "screening.completed", "payload": payload});
    server.post("/api/v1/events/", body).await["id"].as_str().expect("an id").to_owned()
}

/// Waits until the only delivery of an event has this status; the event.
pub(crate) async fn settled(server: &Server, event_id: &str, status: &str) -> Value {
    eventually(&format!("the delivery is {status}"), || async {
        let event = server.get(&format!("/api/v1/events/{event_id}/")).await;
        (event["deliveries"][0]["status"] == status).then_some(event)
    })
    .await
}

#[tokio::test]
async fn over_tls_signed_and_recorded() {
    let authority = Authority::new();
    let receiver = Receiver::tls(authority.server_config(|_| ()), |_, _| Reply::status(200, "thanks")).await;
    let options = ServerOptions { dev: false, ..ServerOptions::default() };
    let ca = options.folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("written");
    let options = options.set("TARGETS_ALLOW", "127.0.0.0/8").set("TARGETS_CA_FILE", &ca.display().to_string());
    let server = Server::start_with(options).await;
    let (id, secret) = subscribe(&server, &receiver.url("/hook?a=1"), json!({"headers": {"X-Team": "aml"}})).await;
    let event_id = publish(&server, json!({"id": "scr-1", "score": 1.5})).await;
    let request = receiver.wait_for(1).await.remove(0);

    assert!(request.head.starts_with("POST /hook?a=1 HTTP/1.1\n"), "{}", request.head);
    for name in ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", "Content-Type", "User-Agent", "X-Team"] {
        assert!(request.header_names().contains(&name), "{name} in {:?}", request.header_names());
    }
    assert_eq!(request.header("webhook-id"), Some(event_id.as_str()));
    assert_eq!(request.header("x-team"), Some("aml"));
    assert_eq!(request.json()["data"], json!({"id": "scr-1", "score": 1.5}));
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, request.header(name).expect("sent").parse().expect("plain"));
    }
    let verifier = standardwebhooks::Webhook::new(&secret).expect("a secret");
    verifier.verify(&request.body, &headers).expect("the signature fits");

    let event = settled(&server, &event_id, "delivered").await;
    let attempt = &event["deliveries"][0]["attempts"][0];
    assert_eq!(attempt["response_body"], "thanks");
    assert_eq!(attempt["message"], "HTTP 200: OK");
    assert_eq!(attempt["request_headers"]["X-Team"], "********");
    assert!(attempt["timings"]["connect_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{attempt}");
    let webhook = server.get(&format!("/api/v1/webhooks/{id}/")).await;
    assert_eq!(webhook["stats"]["successful_deliveries"], 1);
    assert_eq!(webhook["last_triggered_at"], attempt["started_at"]);
}

#[tokio::test]
async fn retried_on_schedule_until_it_is_taken() {
    let receiver =
        Receiver::plain(|n, _| if n < 3 { Reply::status(500, "not now") } else { Reply::status(204, "") }).await;
    let mut server = Server::start().await;
    let (id, _) = subscribe(&server, &receiver.url("/"), json!({})).await;
    let event_id = publish(&server, json!({"n": 1})).await;
    for (sent, wait) in [(1, 5), (2, 25), (3, 125)] {
        receiver.wait_for(sent).await;
        let event = eventually("the attempt is recorded", || async {
            let event = server.get(&format!("/api/v1/events/{event_id}/")).await;
            (event["deliveries"][0]["attempts"].as_array().map(Vec::len) == Some(sent)).then_some(event)
        })
        .await;
        assert_eq!(event["deliveries"][0]["status"], "pending");
        // Before it is due, nothing; then it goes out.
        server.travel(Duration::from_secs(wait - 3)).await;
        server.get("/readyz").await;
        assert_eq!(receiver.requests().len(), sent);
        server.travel(Duration::from_secs(3)).await;
    }
    let requests = receiver.wait_for(4).await;
    let event = settled(&server, &event_id, "delivered").await;
    assert_eq!(event["deliveries"][0]["attempts"].as_array().map(Vec::len), Some(4));
    assert!(requests.iter().all(|request| request.body == requests[0].body));
    assert!(requests.iter().all(|request| request.header("webhook-id") == Some(event_id.as_str())));
    let stats = server.get(&format!("/api/v1/webhooks/{id}/")).await["stats"].clone();
    assert_eq!(stats, json!({"total_deliveries": 1, "successful_deliveries": 1, "failed_deliveries": 0}));
}

#[tokio::test]
async fn failed_when_the_schedule_is_used_up_and_taken_back_by_a_retry() {
    let receiver = Receiver::plain(|n, _| if n < 2 { Reply::status(503, "") } else { Reply::status(200, "") }).await;
    let mut server = Server::start().await;
    let (id, _) = subscribe(&server, &receiver.url("/"), json!({"retry_schedule": [60]})).await;
    let event_id = publish(&server, json!({})).await;
    attempts(&server, &event_id, 1).await;
    server.travel(Duration::from_secs(61)).await;
    let event = settled(&server, &event_id, "failed").await;
    let delivery = &event["deliveries"][0];
    assert_eq!((&delivery["reason"], &delivery["next_attempt_at"]), (&json!("retries_exhausted"), &Value::Null));
    let webhook = format!("/api/v1/webhooks/{id}/");
    assert_eq!(server.get(&webhook).await["stats"]["failed_deliveries"], 1);

    let retry = format!("/api/v1/deliveries/{}/retry/", delivery["id"].as_str().expect("an id"));
    let answer = server.request("POST", &retry, None).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let event = settled(&server, &event_id, "delivered").await;
    let numbers: Vec<_> =
        event["deliveries"][0]["attempts"].as_array().expect("attempts").iter().map(|a| a["number"].as_i64()).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    assert_eq!(
        server.get(&webhook).await["stats"],
        json!({"total_deliveries": 1, "successful_deliveries": 1, "failed_deliveries": 0})
    );
}
