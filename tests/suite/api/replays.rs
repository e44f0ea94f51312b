//! `/api/v1/replays/`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use postrider_tests::{Receiver, Reply, Server, eventually};
use serde_json::{Value, json};

use super::access::UNKNOWN_ID;

use crate::e2e::deliver::{publish, settled, subscribe};

const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// Answers with what it is set to.
async fn switchable() -> (Receiver, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(500));
    let said = Arc::clone(&status);
    let receiver = Receiver::plain(move |_, _| Reply::status(said.load(Ordering::SeqCst), "")).await;
    (receiver, status)
}

async fn finished(server: &Server, id: &str) -> Value {
    eventually("the replay ends", || async {
        let replay = server.get(&format!("/api/v1/replays/{id}/")).await;
        (replay["state"] == "finished").then_some(replay)
    })
    .await
}

async fn count(server: &Server, status: &str) -> usize {
    let list = server.get(&format!("/api/v1/deliveries/?status={status}&limit=250")).await;
    list["deliveries"].as_array().expect("a list").len()
}

fn id(made: &Value) -> String {
    made["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn what_failed_is_sent_again_and_its_log_says_so() {
    let server = Server::start().await;
    let (receiver, status) = switchable().await;
    subscribe(&server, &receiver.url("/"), json!({"retry_schedule": []})).await;
    let mut events = Vec::new();
    for n in 0..3 {
        events.push(publish(&server, json!({"n": n})).await);
    }
    for event in &events {
        settled(&server, event, "failed").await;
    }
    status.store(200, Ordering::SeqCst);
    let preview = server.post("/api/v1/replays/", json!({"since": LONG_AGO, "dry_run": true})).await;
    assert_eq!((&preview["count"], &preview["count_is_exact"]), (&json!(3), &json!(true)));
    assert_eq!(preview["sample"][0]["event_id"], events[0].as_str(), "in the order of time");
    assert_eq!(preview["sample"][0]["status"], "failed");
    assert_eq!(count(&server, "failed").await, 3, "nothing was sent");

    let made = server.request("POST", "/api/v1/replays/", Some(json!({"since": LONG_AGO}))).await;
    assert_eq!((made.status, &made.body["state"], &made.body["count"]), (201, &json!("running"), &json!(3)));
    let replay = id(&made.body);
    let ended = finished(&server, &replay).await;
    assert_eq!((&ended["replayed"], &ended["skipped"], &ended["progress"]), (&json!(3), &json!(0), &json!(1.0)));
    for event in &events {
        let event = settled(&server, event, "delivered").await;
        let attempts = &event["deliveries"][0]["attempts"];
        assert_eq!((&attempts[0]["replay_id"], &attempts[1]["replay_id"]), (&Value::Null, &json!(replay)));
        assert_eq!(attempts[1]["number"], 2, "numbers go on");
        let log = server.get(&format!("/api/v1/logs/{}/", attempts[1]["log_id"])).await;
        assert_eq!(log["replay_id"], replay.as_str());
    }
    let again = server.post("/api/v1/replays/", json!({"since": LONG_AGO, "dry_run": true})).await;
    assert_eq!(again["count"], 0, "all were delivered");
}

#[tokio::test]
async fn what_a_webhook_missed_while_it_was_inactive_is_sent() {
    let server = Server::start().await;
    let (receiver, status) = switchable().await;
    let (webhook, _) = subscribe(&server, &receiver.url("/"), json!({"filters": {"wanted": true}})).await;
    let waiting = publish(&server, json!({"wanted": true, "n": 0})).await;
    receiver.wait_for(1).await;
    let path = format!("/api/v1/webhooks/{webhook}/");
    server.request("PATCH", &path, Some(json!({"is_active": false}))).await;
    settled(&server, &waiting, "discarded").await;
    let missed = publish(&server, json!({"wanted": true, "n": 1})).await;
    publish(&server, json!({"wanted": false, "n": 2})).await;
    let body = json!({"webhook_id": webhook, "since": LONG_AGO});
    let refused = server.request("POST", "/api/v1/replays/", Some(body.clone())).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    status.store(200, Ordering::SeqCst);
    server.request("PATCH", &path, Some(json!({"is_active": true}))).await;
    let made = server.post("/api/v1/replays/", body).await;
    assert_eq!(made["count"], 2, "what was discarded, and what was never made");
    let ended = finished(&server, &id(&made)).await;
    assert_eq!((&ended["replayed"], &ended["skipped"]), (&json!(2), &json!(0)));
    settled(&server, &waiting, "delivered").await;
    let event = settled(&server, &missed, "delivered").await;
    assert_eq!(event["deliveries"][0]["attempts"][0]["replay_id"], made["id"]);
    assert_eq!(event["deliveries"][0]["attempts"][0]["number"], 1);
    let body = json!({"webhook_id": webhook, "since": LONG_AGO, "status": "missed", "dry_run": true});
    assert_eq!(server.post("/api/v1/replays/", body).await["count"], 0);
}

#[tokio::test]
async fn it_keeps_its_rate_and_can_be_paused_resumed_and_canceled() {
    let mut server = Server::start().await;
    let (receiver, status) = switchable().await;
    subscribe(&server, &receiver.url("/"), json!({"retry_schedule": []})).await;
    for n in 0..8 {
        let event = publish(&server, json!({"n": n})).await;
        settled(&server, &event, "failed").await;
    }
    status.store(200, Ordering::SeqCst);
    let made = server.post("/api/v1/replays/", json!({"since": LONG_AGO, "rate_limit": 1})).await;
    let path = |deed: &str| format!("/api/v1/replays/{}/{deed}", id(&made));
    eventually("one was sent", || async { (count(&server, "delivered").await >= 1).then_some(()) }).await;
    let paused = server.request("POST", &path("pause/"), None).await;
    assert_eq!((paused.status, &paused.body["state"]), (200, &json!("paused")));
    let sent = server.get(&path("")).await["replayed"].as_u64().expect("a number");
    assert!(sent < 8, "one a second");
    assert_eq!(server.request("POST", &path("pause/"), None).await.status, 409);
    server.travel(Duration::from_secs(60)).await;
    let server = Server::start_with(server.kill().await).await;
    assert_eq!(server.get(&path("")).await["replayed"], sent, "it is still paused");
    assert_eq!(server.request("POST", &path("resume/"), None).await.status, 200);
    eventually("it goes on", || async {
        (server.get(&path("")).await["replayed"].as_u64() > Some(sent)).then_some(())
    })
    .await;
    let canceled = server.request("POST", &path("cancel/"), None).await;
    assert_eq!((canceled.status, &canceled.body["state"]), (200, &json!("canceled")));
    assert!(canceled.body["finished_at"].is_string());
    for deed in ["pause/", "resume/", "cancel/"] {
        assert_eq!(server.request("POST", &path(deed), None).await.status, 409, "{deed}");
    }
}

#[tokio::test]
async fn it_goes_on_where_it_was_after_a_kill() {
    const EVENTS: u64 = 30;
    let server = Server::start().await;
    let (receiver, status) = switchable().await;
    subscribe(&server, &receiver.url("/"), json!({"retry_schedule": []})).await;
    for n in 0..EVENTS {
        publish(&server, json!({"n": n})).await;
    }
    eventually("all failed", || async { (count(&server, "failed").await == 30).then_some(()) }).await;
    status.store(200, Ordering::SeqCst);
    let made = server.post("/api/v1/replays/", json!({"since": LONG_AGO, "rate_limit": 20})).await;
    eventually("some were sent", || async { (count(&server, "delivered").await > 5).then_some(()) }).await;
    let server = Server::start_with(server.kill().await).await;
    let ended = finished(&server, &id(&made)).await;
    assert_eq!((&ended["replayed"], &ended["skipped"]), (&json!(EVENTS), &json!(0)), "each once");
    eventually("all are delivered", || async { (count(&server, "delivered").await == 30).then_some(()) }).await;
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let server = Server::start().await;
    let now = "2999-01-01T00:00:00Z";
    let cases = [
        (json!({}), "since"),
        (json!({"since": "yesterday"}), "since"),
        (json!({"since": now}), "since"),
        (json!({"since": LONG_AGO, "until": LONG_AGO}), "since"),
        (json!({"since": LONG_AGO, "status": "pending"}), "status"),
        (json!({"since": LONG_AGO, "status": "missed"}), "webhook_id"),
        (json!({"since": LONG_AGO, "webhook_id": UNKNOWN_ID}), "webhook_id"),
        (json!({"since": LONG_AGO, "rate_limit": 0}), "rate_limit"),
        (json!({"since": LONG_AGO, "dry_run": "yes"}), "dry_run"),
        (json!({"since": LONG_AGO, "speed": 1}), "speed"),
    ];
    for (body, field) in cases {
        let answer = server.request("POST", "/api/v1/replays/", Some(body.clone())).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!(field)), "{body}");
    }
}
