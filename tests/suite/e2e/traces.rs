//! One trace from publish to attempt, over OTLP.

use std::collections::BTreeSet;
use std::time::Duration;

use postrider_tests::{Binary, Receiver, Reply, Server, ServerOptions, eventually};
use serde_json::json;

use super::deliver::{settled, subscribe};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Trace id, parent and name of the spans in an export. In protobuf (opentelemetry/proto/trace/v1) a
/// span begins with its trace id, field 1 of 16 bytes, and its span id, field 2 of 8.
fn spans(export: &[u8]) -> Vec<(String, String, String)> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let starts =
        |at: &usize| export[*at..].starts_with(&[0x0a, 16]) && export.get(at + 18..at + 20) == Some(&[0x12, 8]);
    let mut found = Vec::new();
    for at in (0..export.len()).filter(starts) {
        let trace = hex(&export[at + 2..at + 18]);
        let (mut rest, mut parent) = (&export[at + 28..], String::new());
        // Behind it, by number: trace state, parent, name.
        while let [tag, length, more @ ..] = rest {
            let (value, after) = more.split_at(usize::from(*length).min(more.len()));
            match tag {
                0x1a => {}
                0x22 => parent = hex(value),
                0x2a => {
                    found.push((trace.clone(), parent.clone(), String::from_utf8_lossy(value).into_owned()));
                    break;
                }
                _ => break,
            }
            rest = after;
        }
    }
    found
}

#[tokio::test]
async fn a_publish_and_its_attempts_are_one_trace() {
    let collector = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let receiver = Receiver::plain(|n, _| Reply::status(if n == 0 { 500 } else { 200 }, "")).await;
    let options = ServerOptions { binary: Binary::Real, ..ServerOptions::default() };
    let mut server = Server::start_with(options.set("TRACES_ENDPOINT", &collector.url(""))).await;
    subscribe(&server, &receiver.url("/"), json!({"retry_schedule": [1]})).await;
    let published = server
        .custom(|client, base| {
            let request = client.post(format!("{base}/api/v1/events/")).bearer_auth(server.key());
            let body = json!({"event_type": "screening.completed", "payload": {}});
            request.header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01")).json(&body)
        })
        .await;
    let event_id = published.body["id"].as_str().expect("an id").to_owned();
    settled(&server, &event_id, "delivered").await;
    server.signal("TERM").await;
    assert!(server.wait().await.success());
    let exported = eventually("the spans arrive", || async {
        let spans: Vec<_> = collector.requests().iter().flat_map(|request| spans(&request.body)).collect();
        let own: Vec<_> = spans.into_iter().filter(|(trace, ..)| trace == TRACE).collect();
        (own.len() >= 3).then_some(own)
    })
    .await;
    let names: Vec<&str> = exported.iter().map(|(.., name)| name.as_str()).collect();
    assert_eq!(names.iter().filter(|name| **name == "attempt").count(), 2, "{exported:?}");
    let request = exported.iter().find(|(.., name)| name == "request").expect("the publish");
    assert_eq!(request.1, "b7ad6b7169203331", "below its client's span");
    let parents: BTreeSet<&str> =
        exported.iter().filter(|(.., name)| name == "attempt").map(|(_, parent, _)| parent.as_str()).collect();
    assert_eq!(parents.len(), 1, "both below the publish: {exported:?}");
    assert!(collector.requests().iter().all(|request| request.head.starts_with("POST /v1/traces ")));
    let sent = &receiver.requests()[0];
    assert!(sent.header("traceparent").is_none(), "receivers get their format and nothing else");
}

#[tokio::test]
async fn a_collector_that_is_away_is_nobodys_trouble() {
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let options = ServerOptions { binary: Binary::Real, ..ServerOptions::default() };
    let mut server = Server::start_with(options.set("TRACES_ENDPOINT", "http://127.0.0.1:1")).await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let published = server.post("/api/v1/events/", json!({"event_type": "screening.completed", "payload": {}})).await;
    settled(&server, published["id"].as_str().expect("an id"), "delivered").await;
    let start = std::time::Instant::now();
    server.signal("TERM").await;
    assert!(server.wait().await.success());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}
