//! The machine's clock is set while the program runs.

use postrider_core::Timestamp;
use postrider_tests::{Binary, Received, Receiver, Server, ServerOptions, WallClock, eventually};
use serde_json::json;

use super::deliver::{publish, settled, subscribe};

/// In seconds.
const HOUR: i64 = 3600;

/// The seconds of the signature's time.
fn signed_at(request: &Received) -> i64 {
    request.header("webhook-timestamp").expect("a time").parse().expect("a number")
}

#[tokio::test]
async fn signatures_have_the_time_that_receivers_have_and_the_record_goes_on() {
    let clock = WallClock::right();
    let receiver = Receiver::content().await;
    let options = ServerOptions { binary: Binary::Real, under: clock.under(), ..ServerOptions::default() };
    let server = Server::start_with(options).await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let first = publish(&server, json!({})).await;
    settled(&server, &first, "delivered").await;
    let began_at = signed_at(&receiver.requests()[0]);
    clock.set(HOUR);
    let last = eventually("it signs with the new time", || async {
        let event_id = publish(&server, json!({})).await;
        settled(&server, &event_id, "delivered").await;
        let requests = receiver.requests();
        let signed_at = signed_at(requests.last().expect("a request"));
        (signed_at >= began_at + HOUR).then_some(event_id)
    })
    .await;
    let event = server.get(&format!("/api/v1/events/{last}/")).await;
    let created_at = Timestamp::parse(event["created_at"].as_str().expect("a time")).expect("a time");
    assert!(created_at.as_micros() / 1_000_000 < began_at + 60, "{event}");
}
