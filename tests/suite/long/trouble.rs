//! When the database is away for long.

use std::time::{Duration, Instant};

use postrider_tests::{Cluster, Database, Receiver, Reply, Server};
use serde_json::json;

use crate::e2e::deliver::{publish, settled, subscribe};
use crate::e2e::trouble::{node_on, publish_at_last, try_publish, url_of};

#[tokio::test]
async fn a_minute_without_the_database() {
    let cluster = Cluster::start("");
    let receiver = Receiver::plain(|n, _| if n == 0 { Reply::status(500, "") } else { Reply::status(200, "") }).await;
    let server = Server::start_with(node_on(url_of(&Database::on(&cluster.url())).to_owned())).await;
    subscribe(&server, &receiver.url("/"), json!({"retry_schedule": [2]})).await;
    let event_id = publish(&server, json!({})).await;
    receiver.wait_for(1).await;
    cluster.crash();
    let gone = Instant::now();
    while gone.elapsed() < Duration::from_secs(60) {
        let asked = Instant::now();
        let answer = try_publish(&server, "down").await;
        assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (503, true));
        assert!(asked.elapsed() < Duration::from_secs(10), "an answer does come: {:?}", asked.elapsed());
        assert_eq!(server.request("GET", "/readyz", None).await.status, 503);
        assert_eq!(server.request("GET", "/healthz", None).await.status, 200);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    cluster.go_on();
    let back = Instant::now();
    settled(&server, &event_id, "delivered").await;
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    publish_at_last(&server, "up").await;
}
