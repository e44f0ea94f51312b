//! Webhooks that fail, and operational events.

use std::collections::HashSet;
use std::time::Duration;

use postrider_tests::{Receiver, Reply, Server, eventually};
use serde_json::{Value, json};

use crate::e2e::deliver::{publish, settled, subscribe};

const DAY: Duration = Duration::from_secs(86_400);

/// Makes the tenant that is told, and subscribes `url` to all of it.
async fn listen(server: &Server, url: &str) {
    let tenant = server.post("/api/v1/tenants/", json!({"name": "operations"})).await;
    let id = tenant["id"].as_str().expect("an id").to_owned();
    for event_type in ["webhook.failing", "webhook.deactivated", "delivery.failed", "replay.finished"] {
        let body = json!({"event_type": event_type, "webhook_url": url});
        let build = |client: &reqwest::Client, base: &str| {
            let request = client.post(format!("{base}/api/v1/webhooks/")).json(&body);
            request.bearer_auth(server.key()).header("X-Tenant-Id", &id)
        };
        assert_eq!(server.custom(build).await.status, 201, "{event_type}");
    }
}

/// The payloads of a type that the listener got. What is in flight while time travels past its lease comes twice.
fn told(listener: &Receiver, event_type: &str) -> Vec<Value> {
    let mut seen = HashSet::new();
    let requests = listener.requests().into_iter();
    let first = requests.filter(|request| seen.insert(request.header("webhook-id").map(str::to_owned)));
    let bodies = first.filter_map(|request| serde_json::from_slice(&request.body).ok());
    bodies.filter(|body: &Value| body["type"] == event_type).map(|body| body["data"].clone()).collect()
}

/// One more delivery fails; by the end it is counted, so often in all, and looked at.
async fn fail(server: &mut Server, id: &str, attempts: u64) {
    let event = publish(server, json!({})).await;
    settled(server, &event, "failed").await;
    server.travel(Duration::from_secs(10)).await;
    eventually("the failure is counted", || async {
        let health = server.get(&format!("/api/v1/webhooks/{id}/health/")).await;
        (health["failed_attempts"] == attempts).then_some(())
    })
    .await;
    server.travel(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn the_sender_hears_of_a_webhook_that_fails_until_it_is_deactivated() {
    let mut server = Server::start().await;
    let (ill, listener) =
        (Receiver::plain(|_, _| Reply::status(500, "")).await, Receiver::plain(|_, _| Reply::status(200, "")).await);
    listen(&server, &listener.url("/ops")).await;
    let (id, _) = subscribe(&server, &ill.url("/"), json!({"retry_schedule": []})).await;
    fail(&mut server, &id, 1).await;
    server.travel(DAY * 3).await;
    fail(&mut server, &id, 2).await;
    let warned = eventually("it is warned of", || async { told(&listener, "webhook.failing").pop() }).await;
    assert_eq!((&warned["webhook_id"], &warned["failed_attempts"]), (&json!(id), &json!(2)));
    assert!(warned["deactivates_at"].as_str() > warned["last_failed_at"].as_str(), "{warned}");
    server.travel(DAY * 2).await;
    fail(&mut server, &id, 3).await;
    eventually("it is deactivated", || async {
        let webhook = server.get(&format!("/api/v1/webhooks/{id}/")).await;
        (webhook["is_active"] == false).then_some(())
    })
    .await;
    let ended = eventually("that is told", || async { told(&listener, "webhook.deactivated").pop() }).await;
    assert_eq!((&ended["webhook_id"], &ended["reason"]), (&json!(id), &json!("failing")));
    let failed = eventually("each failure is told", || async {
        Some(told(&listener, "delivery.failed")).filter(|told| told.len() == 3)
    })
    .await;
    assert_eq!((&failed[0]["webhook_id"], &failed[0]["reason"]), (&json!(id), &json!("retries_exhausted")));
    let health = server.get(&format!("/api/v1/webhooks/{id}/health/")).await;
    assert!(health["inactive_since"].is_string() && health["failing_since"].is_string(), "{health}");
    let audit = server.get("/api/v1/audit/?action=webhook.deactivated").await;
    assert_eq!((&audit["audit"][0]["actor"], &audit["audit"][0]["object_id"]), (&json!("postrider"), &json!(id)));
}

#[tokio::test]
async fn the_sender_hears_of_replays_that_end_and_receivers_that_are_gone() {
    let server = Server::start().await;
    let (gone, listener) =
        (Receiver::plain(|_, _| Reply::status(410, "")).await, Receiver::plain(|_, _| Reply::status(200, "")).await);
    let (id, _) = subscribe(&server, &gone.url("/"), json!({})).await;
    listen(&server, &listener.url("/ops")).await;
    publish(&server, json!({})).await;
    let told_of = eventually("that is told", || async { told(&listener, "webhook.deactivated").pop() }).await;
    assert_eq!((&told_of["webhook_id"], &told_of["reason"]), (&json!(id), &json!("gone")));
    let replay = server.post("/api/v1/replays/", json!({"since": "2020-01-01T00:00:00Z"})).await;
    let told_of = eventually("its end is told", || async { told(&listener, "replay.finished").pop() }).await;
    assert_eq!((&told_of["replay_id"], &told_of["skipped"]), (&replay["id"], &json!(1)));
}
