//! What receivers answer, and what becomes of it.

use std::time::Duration;

use postrider_tests::{Receiver, Reply, Server, eventually};
use serde_json::{Value, json};

use super::deliver::{publish, settled, subscribe};

/// The attempts of an event's only delivery, once there are `count`.
pub(crate) async fn attempts(server: &Server, event_id: &str, count: usize) -> (Value, Vec<Value>) {
    eventually("the attempts are recorded", || async {
        let event = server.get(&format!("/api/v1/events/{event_id}/")).await;
        let delivery = event["deliveries"][0].clone();
        let attempts = delivery["attempts"].as_array()?.clone();
        (attempts.len() >= count).then_some((delivery, attempts))
    })
    .await
}

#[tokio::test]
async fn retry_after_puts_the_next_try_off() {
    let receiver = Receiver::plain(|n, _| match n {
        0 => Reply::with_headers(429, "Retry-After: 60\r\n", ""),
        1 => Reply::with_headers(503, "Retry-After: 1\r\n", ""),
        _ => Reply::status(200, ""),
    })
    .await;
    let mut server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let event_id = publish(&server, json!({})).await;
    let (delivery, tried) = attempts(&server, &event_id, 1).await;
    let wait = |delivery: &Value, tried: &Value| {
        let time = |value: &Value| postrider_core::Timestamp::parse(value.as_str()?);
        let (due, start) = (time(&delivery["next_attempt_at"]), time(&tried["started_at"]));
        let took = Duration::from_secs_f64(tried["duration_ms"].as_f64().expect("a number") / 1000.0);
        (due.expect("a time").since(start.expect("a time")) - took).as_secs_f64().round()
    };
    assert_eq!(wait(&delivery, &tried[0]), 60.0);
    server.travel(Duration::from_secs(60)).await;
    let (delivery, tried) = attempts(&server, &event_id, 2).await;
    assert_eq!(wait(&delivery, &tried[1]), 25.0, "the later of the schedule and the receiver's wish");
    server.travel(Duration::from_secs(25)).await;
    settled(&server, &event_id, "delivered").await;
}

#[tokio::test]
async fn gone_ends_the_delivery_and_deactivates_the_subscription() {
    let receiver = Receiver::plain(|_, _| Reply::status(410, "")).await;
    let server = Server::start().await;
    let (id, _) = subscribe(&server, &receiver.url("/"), json!({})).await;
    let event_id = publish(&server, json!({})).await;
    let event = settled(&server, &event_id, "failed").await;
    assert_eq!(event["deliveries"][0]["reason"], "gone");
    eventually("the subscription is inactive", || async {
        (server.get(&format!("/api/v1/webhooks/{id}/")).await["is_active"] == false).then_some(())
    })
    .await;
    eventually("the log says why", || async { server.log().contains("410 Gone").then_some(()) }).await;
}

#[tokio::test]
async fn redirects_are_failures_and_not_followed() {
    let elsewhere = Receiver::content().await;
    let location = format!("Location: {}\r\n", elsewhere.url("/"));
    let receiver = Receiver::plain(move |n, _| {
        let statuses = [301, 302, 303, 307, 308];
        Reply::with_headers(statuses[n % statuses.len()], &location, "")
    })
    .await;
    let mut server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({"retry_schedule": [1, 1, 1, 1]})).await;
    let event_id = publish(&server, json!({})).await;
    for sent in 1..=5 {
        attempts(&server, &event_id, sent).await;
        server.travel(Duration::from_secs(2)).await;
    }
    let event = settled(&server, &event_id, "failed").await;
    let codes: Vec<_> = event["deliveries"][0]["attempts"]
        .as_array()
        .expect("attempts")
        .iter()
        .map(|a| a["http_status_code"].as_u64())
        .collect();
    assert_eq!(codes, [301, 302, 303, 307, 308].map(Some));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_hanging_receiver_holds_up_nobody_else() {
    let hanging = Receiver::plain(|_, _| Reply::Hang).await;
    let healthy = Receiver::content().await;
    let server = Server::start().await;
    subscribe(&server, &hanging.url("/"), json!({"timeout_seconds": 1, "retry_schedule": []})).await;
    subscribe(&server, &healthy.url("/"), json!({})).await;
    let mut events = Vec::new();
    for n in 0..20 {
        events.push(publish(&server, json!({"n": n})).await);
    }
    healthy.wait_for(20).await;
    for event_id in events {
        let event = eventually("both ended", || async {
            let event = server.get(&format!("/api/v1/events/{event_id}/")).await;
            (event["delivery_counts"]["pending"] == 0).then_some(event)
        })
        .await;
        assert_eq!(
            (&event["delivery_counts"]["delivered"], &event["delivery_counts"]["failed"]),
            (&json!(1), &json!(1))
        );
        let failed =
            event["deliveries"].as_array().expect("two").iter().find(|delivery| delivery["status"] == "failed");
        let attempt = &failed.expect("one failed")["attempts"][0];
        assert_eq!((&attempt["outcome"], &attempt["message"]), (&json!("timeout"), &json!("Timed out after 1 s")));
        assert!(attempt["duration_ms"].as_f64().is_some_and(|ms| ms < 10_000.0), "{attempt}");
    }
}

#[tokio::test]
async fn an_expired_event_is_not_tried() {
    let receiver = Receiver::plain(|_, _| Reply::status(500, "")).await;
    let server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let body = |expires_at: &str| json!({"event_type": "screening.completed", "payload": {}, "expires_at": expires_at});
    let past = server.post("/api/v1/events/", body("2020-01-01T00:00:00Z")).await;
    let event = settled(&server, past["id"].as_str().expect("an id"), "failed").await;
    assert_eq!(
        (&event["deliveries"][0]["reason"], &event["deliveries"][0]["attempts"]),
        (&json!("expired"), &json!([]))
    );
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn pending_deliveries_use_the_current_settings() {
    let old = Receiver::plain(|_, _| Reply::status(500, "")).await;
    let new = Receiver::content().await;
    let mut server = Server::start().await;
    let (id, _) = subscribe(&server, &old.url("/"), json!({})).await;
    let event_id = publish(&server, json!({})).await;
    attempts(&server, &event_id, 1).await;
    let change = json!({"webhook_url": new.url("/new"), "headers": {"X-New": "1"}});
    assert_eq!(server.request("PATCH", &format!("/api/v1/webhooks/{id}/"), Some(change)).await.status, 200);
    server.travel(Duration::from_secs(6)).await;
    assert_eq!(new.wait_for(1).await[0].header("x-new"), Some("1"));
    let event = settled(&server, &event_id, "delivered").await;
    let urls: Vec<_> = event["deliveries"][0]["attempts"]
        .as_array()
        .expect("attempts")
        .iter()
        .map(|a| a["webhook_url"].clone())
        .collect();
    assert_eq!(urls, [json!(old.url("/")), json!(new.url("/new"))], "each attempt records what it used");
}
