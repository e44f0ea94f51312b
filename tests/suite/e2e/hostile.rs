//! Receivers that mean ill, a hundred endpoints at once: each attempt is recorded with a reason that a person understands, by
//! one request, in little memory; and others go on. That it is recorded in time is tested in `long/hostile.rs`.

use std::time::Duration;

use postrider_bench::hostile::{Hostile, Ill, Kind};
use postrider_tests::{Authority, PATIENCE, Receiver, Reply, Server, ServerOptions};
use rstest::rstest;
use serde_json::{Value, json};

use super::deliver::{publish, settled, subscribe};

/// Endpoints at once.
const ENDPOINTS: usize = 100;
/// Seconds until an attempt is given up.
pub(crate) const TIMEOUT: u64 = 2;
/// What an attempt may take of memory, in KiB.
const MEMORY: usize = 512;

/// Has one event sent to a hundred endpoints of `url`, once each; the attempts.
async fn attempts_at(server: &Server, kind: &str, url: &str) -> Vec<Value> {
    for n in 0..ENDPOINTS {
        let options = json!({"timeout_seconds": TIMEOUT, "retry_schedule": []});
        subscribe(server, &format!("{url}{n}"), options).await;
    }
    let before = memory(server);
    let event_id = publish(server, json!({"note": "x".repeat(100_000)})).await;
    let deliveries = tokio::time::timeout(PATIENCE, ended(server, &event_id)).await.expect("all end");
    let grown = memory(server).saturating_sub(before);
    assert!(grown <= ENDPOINTS * MEMORY, "{grown} KiB for {ENDPOINTS} attempts");
    let single = |delivery: &Value| {
        let attempts = delivery["attempts"].as_array().expect("attempts");
        assert_eq!(attempts.len(), 1, "{delivery}");
        attempts[0].clone()
    };
    let attempts: Vec<Value> = deliveries.iter().map(single).collect();
    // For `docs/reliability.md`.
    let slowest = attempts.iter().filter_map(|attempt| attempt["duration_ms"].as_f64()).fold(0.0, f64::max);
    println!("| {kind} | {} | {slowest:.0} ms | {} KiB |", attempts[0]["message"], grown / ENDPOINTS);
    attempts
}

/// The deliveries of an event when none is pending.
async fn ended(server: &Server, event_id: &str) -> Vec<Value> {
    loop {
        let event = server.get(&format!("/api/v1/events/{event_id}/")).await;
        let deliveries = event["deliveries"].as_array().expect("deliveries").clone();
        if deliveries.iter().all(|delivery| delivery["status"] != "pending") {
            return deliveries;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The most memory that the server has had, in KiB.
fn memory(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// All slots are free again: the server ends when asked, and sends to others before.
async fn is_well(mut server: Server) {
    let other = Receiver::content().await;
    subscribe(&server, &other.url("/"), json!({"event_type": "case.opened"})).await;
    let body = json!({"event_type": "case.opened", "payload": {}});
    let event = server.post("/api/v1/events/", body).await;
    settled(&server, event["id"].as_str().expect("an id"), "delivered").await;
    server.signal("TERM").await;
    assert!(server.wait().await.success());
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

const TIMED_OUT: &str = "Timed out after 2 s";

/// The kinds, and what is recorded of each: the status of the answer, and what the message has.
pub(crate) const KINDS: [(&str, Option<u16>, &str); 20] = [
    ("never reads", None, TIMED_OUT),
    ("never answers", None, TIMED_OUT),
    ("drips its head", None, TIMED_OUT),
    ("resets mid-head", None, "Connection reset"),
    ("endless headers", None, "The response's headers are too large"),
    ("endless header", None, "The response's headers are too large"),
    ("endless informational answers", None, "Too many informational responses"),
    ("no HTTP", None, "The response is not valid HTTP"),
    ("NUL in a header", None, "The response is not valid HTTP"),
    ("two lengths", None, "The response is not valid HTTP"),
    ("drips its body", Some(200), "OK"),
    ("resets mid-body", Some(200), "OK"),
    ("endless body", Some(200), "OK"),
    ("gzip bomb", Some(200), "OK"),
    ("a 204 with a body", Some(204), "No Content"),
    ("no text", Some(200), "OK"),
    ("length and chunks", Some(500), "Internal Server Error"),
    ("stalled handshake", None, TIMED_OUT),
    ("old TLS", None, "TLS version or cipher not supported by the endpoint"),
    ("plain HTTP where TLS is meant", None, "TLS handshake failed"),
];

/// Sends to a hundred endpoints of the `n`th kind, and checks what is recorded; the attempts.
pub(crate) async fn is_recorded(n: usize) -> Vec<Value> {
    let (name, status, message) = KINDS[n];
    let kind = Kind::named(name).expect("a kind");
    // A flood may take all of the time on a machine that has other things to do.
    let may_time_out = matches!(kind.ill, Ill::Endless(..)) && status.is_none();
    let receiver = Hostile::start(kind.ill).await;
    let server = Server::start().await;
    let attempts = attempts_at(&server, kind.name, &receiver.url(kind.scheme, "/")).await;
    assert_eq!(attempts.len(), ENDPOINTS);
    for attempt in &attempts {
        let told = attempt["message"].as_str().expect("text");
        assert_eq!(attempt["http_status_code"], json!(status), "{attempt}");
        assert!(told.contains(message) || (may_time_out && told == TIMED_OUT), "{message} in {attempt}");
    }
    assert_eq!(receiver.connections(), ENDPOINTS, "one request an attempt");
    is_well(server).await;
    attempts
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn is_recorded_with_a_reason(
    #[values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)] kind: usize,
) {
    is_recorded(kind).await;
}

/// What the head says is what counts: the body is only kept as far as it comes. The attempts.
pub(crate) async fn a_body_that_never_ends() -> Vec<Value> {
    let receiver =
        Receiver::plain(|_, _| Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nit begins".to_vec())).await;
    let server = Server::start().await;
    let attempts = attempts_at(&server, "a body that never ends", &receiver.url("/")).await;
    for attempt in &attempts {
        assert_eq!((&attempt["http_status_code"], &attempt["response_body"]), (&json!(200), &json!("it begins")));
    }
    is_well(server).await;
    attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_is_a_success() {
    a_body_that_never_ends().await;
}

#[rstest]
#[case::several(300)]
#[case::moved(301)]
#[case::found(302)]
#[case::see_other(303)]
#[case::not_modified(304)]
#[case::by_proxy(305)]
#[case::temporary(307)]
#[case::permanent(308)]
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_leads_nowhere(#[case] status: u16) {
    let trap = Hostile::start(Ill::NeverAnswers).await;
    let forbidden =
        ["http://169.254.169.254/latest/meta-data/".to_owned(), trap.url("http", "/"), "file:///etc/passwd".to_owned()];
    for location in forbidden {
        let reply = Reply::with_headers(status, &format!("Location: {location}\r\n"), "");
        let receiver = Receiver::plain(move |_, _| reply.clone()).await;
        let server = Server::start().await;
        subscribe(&server, &receiver.url("/"), json!({"retry_schedule": []})).await;
        let event_id = publish(&server, json!({})).await;
        let event = settled(&server, &event_id, "failed").await;
        assert_eq!(event["deliveries"][0]["attempts"][0]["http_status_code"], status);
        assert_eq!(receiver.requests().len(), 1);
    }
    assert_eq!(trap.connections(), 0);
}

#[rstest]
#[case::unknown_authority(Certificate::OfAStranger, "TLS certificate is not from a trusted authority")]
#[case::self_signed(Certificate::OfItself, "TLS certificate is not from a trusted authority")]
#[case::expired(Certificate::Of(2001), "TLS certificate expired")]
#[case::early(Certificate::Of(2901), "TLS certificate is not valid yet")]
#[case::of_another_host(Certificate::OfNobody, "TLS certificate is for another host")]
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_certificate_is_told_nothing(#[case] certificate: Certificate, #[case] message: &str) {
    let authority = Authority::new();
    let options = ServerOptions::default();
    let ca = options.folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("written");
    let server = Server::start_with(options.set("TARGETS_CA_FILE", &ca.display().to_string())).await;
    let day = |year| rcgen::date_time_ymd(year, 1, 1);
    let config = match certificate {
        Certificate::OfAStranger => Authority::new().server_config(|_| ()),
        Certificate::OfItself => Authority::self_signed(),
        Certificate::Of(year) => authority.server_config(|params| {
            (params.not_before, params.not_after) = (day(year), day(year + 1));
        }),
        Certificate::OfNobody => authority.server_config(|params| params.subject_alt_names.clear()),
    };
    let receiver = Receiver::tls(config, |_, _| Reply::status(200, "")).await;
    for attempt in attempts_at(&server, "a bad certificate", &receiver.url("/")).await {
        assert_eq!(attempt["message"], message);
    }
    assert_eq!(receiver.requests().len(), 0, "nothing is said to a stranger");
    is_well(server).await;
}

/// The request may have been read: whoever sent it again over a new connection would send it twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_a_connection_that_ends_is_sent_once() {
    let receiver = Receiver::plain(|n, _| if n == 0 { Reply::status(200, "") } else { Reply::Close }).await;
    let server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({"retry_schedule": []})).await;
    settled(&server, &publish(&server, json!({})).await, "delivered").await;
    let event = settled(&server, &publish(&server, json!({})).await, "failed").await;
    let attempts = event["deliveries"][0]["attempts"].as_array().expect("attempts");
    assert_eq!((attempts.len(), &attempts[0]["message"]), (1, &json!("Connection closed before the response")));
    assert_eq!((receiver.requests().len(), receiver.connections()), (2, 1));
}

/// What is wrong with a certificate.
enum Certificate {
    OfAStranger,
    OfItself,
    /// A year's, long ago or to come.
    Of(i32),
    OfNobody,
}
