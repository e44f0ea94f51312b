//! Stopped by a signal.

use std::sync::Arc;
use std::time::Duration;

use postrider_tests::{Receiver, Reply, Server, eventually};
use serde_json::json;
use tokio::sync::Notify;

use super::deliver::{publish, settled, subscribe};

#[tokio::test]
async fn finishes_what_is_in_flight() {
    let told = Arc::new(Notify::new());
    let when = Arc::clone(&told);
    let receiver = Receiver::plain(move |_, _| Reply::status(200, "late").when(&when)).await;
    let mut server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let event_id = publish(&server, json!({})).await;
    receiver.wait_for(1).await;
    server.signal("TERM").await;
    eventually("it is not ready any more", || async {
        let ready = server.try_request(server.key(), "GET", "/readyz", None).await;
        ready.ok().filter(|ready| ready.status == 503).map(drop)
    })
    .await;
    let refused = server.request("POST", "/api/v1/events/", Some(json!({}))).await;
    assert_eq!((refused.status, refused.headers.contains_key("retry-after")), (503, true));
    told.notify_one();
    assert!(server.wait().await.success());
    let server = Server::start_with(server.options().clone()).await;
    let event = settled(&server, &event_id, "delivered").await;
    assert_eq!(event["deliveries"][0]["attempts"][0]["response_body"], "late");
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn gives_back_what_does_not_finish_within_fifteen_seconds() {
    let receiver = Receiver::plain(|n, _| if n == 0 { Reply::Hang } else { Reply::status(200, "") }).await;
    let mut server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({"timeout_seconds": 30})).await;
    let event_id = publish(&server, json!({})).await;
    receiver.wait_for(1).await;
    let start = std::time::Instant::now();
    server.signal("TERM").await;
    assert!(server.wait().await.success());
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    let server = Server::start_with(server.options().clone()).await;
    settled(&server, &event_id, "delivered").await;
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let receiver = Receiver::plain(|_, _| Reply::Hang).await;
    let mut server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    publish(&server, json!({})).await;
    receiver.wait_for(1).await;
    server.signal("TERM").await;
    eventually("it drains", || async { server.log().contains("draining").then_some(()) }).await;
    let start = std::time::Instant::now();
    server.signal("INT").await;
    assert!(!server.wait().await.success());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
