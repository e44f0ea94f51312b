//! What an endpoint that does not answer may take, and what waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postrider_tests::{Receiver, Reply, Server, ServerOptions, eventually};
use serde_json::{Value, json};

use super::deliver::subscribe;
use super::metrics::scrape;

/// More than must fail in a row before an endpoint counts as dead.
const MANY: usize = 120;

/// A receiver that closes connections without an answer until it is well.
async fn ill_receiver() -> (Receiver, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let receiver = Receiver::plain(move |_, _| match is_well.load(Ordering::Relaxed) {
        true => Reply::status(200, ""),
        false => Reply::Close,
    });
    (receiver.await, well)
}

async fn publish_many(server: &Server) {
    let event = json!({"event_type": "screening.completed", "payload": {"n": 1}});
    server.post("/api/v1/events/batch/", json!({"events": vec![event; MANY]})).await;
}

async fn health(server: &Server, webhook_id: &str) -> Value {
    server.get(&format!("/api/v1/webhooks/{webhook_id}/health/")).await
}

async fn until_probing(server: &Server, webhook_id: &str) -> Value {
    eventually("the endpoint counts as dead", || async {
        let health = health(server, webhook_id).await;
        (health["state"] == "probing" && health["in_flight"] == 0).then_some(health)
    })
    .await
}

async fn until_waiting(server: &Server, webhook_id: &str, count: usize) {
    eventually("only so many wait", || async {
        (health(server, webhook_id).await["queue_depth"] == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_dead_endpoint_is_probed_and_what_waits_goes_out_when_it_lives_again() {
    let (receiver, well) = ill_receiver().await;
    let mut server = Server::start().await;
    let (id, _) = subscribe(&server, &receiver.url("/"), json!({})).await;
    publish_many(&server).await;
    let dead = until_probing(&server, &id).await;
    assert_eq!((&dead["queue_depth"], &dead["in_flight_limit"]), (&json!(MANY), &json!(1)));
    assert!(dead["next_probe_at"].is_string() && dead["oldest_due_at"].is_string(), "{dead}");
    let asked = receiver.requests().len();
    server.travel(Duration::from_secs(11)).await;
    let probed = eventually("it is probed", || async {
        let sent = receiver.requests().len() - asked;
        let page = scrape(&server).await;
        let is_measured = page.contains("postrider_queue_depth{lane=\"probing\"} 120");
        (sent > 0 && is_measured).then_some(sent)
    })
    .await;
    assert_eq!(probed, 1);
    until_probing(&server, &id).await;
    well.store(true, Ordering::Relaxed);
    server.travel(Duration::from_secs(11)).await;
    until_waiting(&server, &id, 0).await;
    assert_eq!(receiver.requests().len(), asked + probed + MANY, "each once more");
    assert_eq!(health(&server, &id).await["state"], "open");
}

#[tokio::test]
async fn an_endpoint_that_has_not_answered_yet_gets_little_and_that_is_seen() {
    let receiver = Receiver::plain(|_, _| Reply::Hang).await;
    let mut server = Server::start().await;
    let (id, _) = subscribe(&server, &receiver.url("/"), json!({})).await;
    publish_many(&server).await;
    let limited = eventually("it has all that it may", || async {
        let health = health(&server, &id).await;
        (health["queue_depth"] == MANY && health["in_flight"] == health["in_flight_limit"]).then_some(health)
    })
    .await;
    assert_eq!(limited["state"], "limited");
    assert!(limited["in_flight_limit"].as_u64().is_some_and(|limit| limit < MANY as u64), "{limited}");
    server.travel(Duration::from_secs(11)).await;
    eventually("it is measured", || async {
        let page = scrape(&server).await;
        let has = |line: &str| page.lines().any(|other| other == line);
        let age =
            page.lines().find_map(|line| line.strip_prefix("postrider_oldest_due_age_seconds{lane=\"limited\"} "));
        let is_old = age.is_some_and(|age| age.parse().is_ok_and(|age: f64| (10.0..60.0).contains(&age)));
        let depth = has(&format!("postrider_queue_depth{{lane=\"limited\"}} {MANY}"));
        (depth && has("postrider_lanes_waiting{lane=\"limited\"} 1") && is_old).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_waits_for_too_long_is_given_up() {
    let (receiver, _) = ill_receiver().await;
    let mut server = Server::start_with(ServerOptions::default().set("TARGETS_PATIENCE", "1h")).await;
    let (id, _) = subscribe(&server, &receiver.url("/"), json!({})).await;
    publish_many(&server).await;
    until_probing(&server, &id).await;
    let asked = receiver.requests().len();
    server.travel(Duration::from_secs(3600 + 155 + 60)).await;
    until_waiting(&server, &id, 0).await;
    assert_eq!(receiver.requests().len(), asked, "nothing more was sent");
    let failed = server.get("/api/v1/deliveries/?status=failed&limit=250").await;
    let failed = failed["deliveries"].as_array().expect("deliveries");
    assert_eq!(failed.len(), MANY);
    assert!(failed.iter().all(|delivery| delivery["reason"] == "endpoint_unavailable"), "{failed:?}");
}
