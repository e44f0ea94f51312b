//! The one test in which time is the point.

use std::time::{Duration, Instant};

use postrider_tests::{Binary, Receiver, Reply, Server, ServerOptions};
use serde_json::json;

use super::deliver::{publish, settled, subscribe};

#[tokio::test]
async fn the_real_program_retries_after_five_real_seconds() {
    let receiver = Receiver::plain(|n, _| Reply::status(if n == 0 { 500 } else { 200 }, "")).await;
    let options = ServerOptions { binary: Binary::Real, ..ServerOptions::default() };
    let server = Server::start_with(options).await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let event_id = publish(&server, json!({})).await;
    receiver.wait_for(1).await;
    let start = Instant::now();
    receiver.wait_for(2).await;
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(4990) && waited < Duration::from_millis(6500), "{waited:?}");
    settled(&server, &event_id, "delivered").await;
}
