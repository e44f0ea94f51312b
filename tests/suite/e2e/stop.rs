//! Stopped by a signal.

use std::sync::Arc;
use std::time::Duration;

use postrider_tests::{Cluster, Database, Proxy, Receiver, Reply, Server, Way, eventually};
use serde_json::json;
use tokio::sync::Notify;

use super::deliver::{publish, settled, subscribe};
use super::trouble::{node_on, url_of};

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

/// Whatever the database does; also a change goes on whose client hung up.
#[tokio::test]
async fn ends_within_fifteen_seconds_though_the_database_says_nothing() {
    let cluster = Cluster::start("");
    let proxy = Proxy::to(cluster.port()).await;
    let url = url_of(&Database::on(&cluster.url())).replace(&cluster.port().to_string(), &proxy.port().to_string());
    let receiver = Receiver::plain(|_, _| Reply::Hang).await;
    let mut server = Server::start_with(node_on(url)).await;
    subscribe(&server, &receiver.url("/"), json!({"timeout_seconds": 30})).await;
    publish(&server, json!({})).await;
    receiver.wait_for(1).await;
    proxy.set(Way::Silent);
    let (client, base, key) = (server.client().clone(), server.base().to_owned(), server.key().to_owned());
    let hung_up = tokio::spawn(async move {
        let body = json!({"event_type": "case.opened", "webhook_url": "http://127.0.0.1:1/"});
        client.post(format!("{base}/api/v1/webhooks/")).bearer_auth(key).json(&body).send().await
    });
    tokio::task::yield_now().await;
    let start = std::time::Instant::now();
    server.signal("TERM").await;
    hung_up.abort();
    assert!(server.wait().await.success(), "{}", server.log());
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}
