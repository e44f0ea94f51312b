//! Real time, where it is the point.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postrider_tests::{Binary, Receiver, Reply, Server, ServerOptions};
use serde_json::json;

use super::deliver::{publish, settled, subscribe};

/// The time from a failed first request to the second one.
pub(crate) async fn time_until_a_retry() -> Duration {
    let came = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&came);
    let receiver = Receiver::plain(move |n, _| {
        noted.lock().expect("whole").push(Instant::now());
        Reply::status(if n == 0 { 500 } else { 200 }, "")
    })
    .await;
    let options = ServerOptions { binary: Binary::Real, ..ServerOptions::default() };
    let server = Server::start_with(options).await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let event_id = publish(&server, json!({})).await;
    settled(&server, &event_id, "delivered").await;
    let came = came.lock().expect("whole");
    came[1] - came[0]
}

#[tokio::test]
async fn the_real_program_retries_after_five_real_seconds() {
    let waited = time_until_a_retry().await;
    assert!(waited >= Duration::from_secs(5), "{waited:?}");
}
