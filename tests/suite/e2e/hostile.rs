//! Receivers that mean ill, a hundred endpoints at once: each attempt is recorded in time, with a reason that a person
//! understands, by one request, in little memory; and others go on.

use std::time::Duration;

use postrider_tests::{Authority, Hostile, Ill, PATIENCE, Receiver, Reply, Server, ServerOptions};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::deliver::{publish, settled, subscribe};

/// Endpoints at once.
const ENDPOINTS: usize = 100;
/// Seconds until an attempt is given up.
const TIMEOUT: u64 = 2;
/// What an attempt may take of memory, in KiB.
const MEMORY: usize = 512;
/// Held by the one that has the machine: what promises a time is not tried beside a flood.
static MACHINE: Mutex<()> = Mutex::const_new(());

/// Has one event sent to a hundred endpoints of `url`, once each; the attempts.
async fn attempts_at(server: &Server, url: &str) -> Vec<Value> {
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
    for attempt in &attempts {
        let took = attempt["duration_ms"].as_f64().expect("a number");
        assert!(took <= (TIMEOUT as f64 + 1.0) * 1000.0, "{attempt}");
    }
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
const HEAD: &str = "HTTP/1.1 200 OK\r\n";
const BODY_BEGINS: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nit begins";
const NO_LENGTH: &str = "HTTP/1.1 200 OK\r\n\r\n";
const GZIP: &str = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f";
/// Of a server that speaks TLS 1.1 and no other.
const OLD_TLS: &[u8] = b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02\
    0123456789abcdef0123456789abcdef\x00\xc0\x13\x00";

#[rstest]
#[case::never_reads("http", Ill::NeverReads, None, TIMED_OUT)]
#[case::never_answers("http", Ill::NeverAnswers, None, TIMED_OUT)]
#[case::drips_its_head("http", Ill::Drips("", HEAD), None, TIMED_OUT)]
#[case::resets_mid_head("http", Ill::Resets(HEAD), None, "Connection reset")]
#[case::endless_headers(
    "http",
    Ill::Endless(HEAD, b"X-More: and more\r\n"),
    None,
    "The response's headers are too large"
)]
#[case::endless_header("http", Ill::Endless("HTTP/1.1 200 OK\r\nX: ", &[b'x'; 4096]), None, "The response's headers are too large")]
#[case::endless_informational("http", Ill::Endless("", b"HTTP/1.1 103 Early Hints\r\n\r\n"), None, TIMED_OUT)]
#[case::no_http("http", Ill::Says(b"SSH-2.0-OpenSSH_9.2\r\n"), None, "The response is not valid HTTP")]
#[case::nul_in_a_header("http", Ill::Answers(b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n".to_vec()), None, "The response is not valid HTTP")]
#[case::two_lengths("http", Ill::Answers(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_vec()), None, "The response is not valid HTTP")]
#[case::drips_its_body("http", Ill::Drips(NO_LENGTH, "a byte a second"), Some(200), "OK")]
#[case::resets_mid_body("http", Ill::Resets(BODY_BEGINS), Some(200), "OK")]
#[case::endless_body("http", Ill::Endless(NO_LENGTH, &[b'x'; 4096]), Some(200), "OK")]
#[case::gzip_bomb("http", Ill::Endless(GZIP, &[0; 4096]), Some(200), "OK")]
#[case::a_204_with_a_body("http", Ill::Answers(b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody".to_vec()), Some(204), "No Content")]
#[case::no_text("http", Ill::Answers(b"HTTP/1.1 200 OK\r\nX: \xff\xfe\r\nContent-Length: 3\r\n\r\n\0\xff\xfe".to_vec()), Some(200), "OK")]
#[case::length_and_chunks("http", Ill::Answers(b"HTTP/1.1 500 No\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n".to_vec()), Some(500), "Internal Server Error")]
#[case::stalled_handshake("https", Ill::NeverReads, None, TIMED_OUT)]
#[case::old_tls("https", Ill::Says(OLD_TLS), None, "TLS version or cipher not supported by the endpoint")]
#[case::plain_http_where_tls_is_meant(
    "https",
    Ill::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    None,
    "TLS handshake failed"
)]
#[tokio::test(flavor = "multi_thread")]
async fn is_recorded_in_time(
    #[case] scheme: &str,
    #[case] ill: Ill,
    #[case] status: Option<u16>,
    #[case] message: &str,
) {
    let _alone = MACHINE.lock().await;
    // A flood may take all of the time on a machine that has other things to do.
    let may_time_out = matches!(ill, Ill::Endless(..)) && status.is_none();
    let receiver = Hostile::start(ill).await;
    let server = Server::start().await;
    let attempts = attempts_at(&server, &receiver.url(scheme, "/")).await;
    assert_eq!(attempts.len(), ENDPOINTS);
    for attempt in attempts {
        let told = attempt["message"].as_str().expect("text");
        assert_eq!(attempt["http_status_code"], json!(status), "{attempt}");
        assert!(told.contains(message) || (may_time_out && told == TIMED_OUT), "{message} in {attempt}");
    }
    assert_eq!(receiver.connections(), ENDPOINTS, "one request an attempt");
    is_well(server).await;
}

/// What the head says is what counts: the body is only kept as far as it comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_is_a_success_in_time() {
    let receiver = Receiver::plain(|_, _| Reply::Raw(BODY_BEGINS.as_bytes().to_vec())).await;
    let server = Server::start().await;
    for attempt in attempts_at(&server, &receiver.url("/")).await {
        assert_eq!((&attempt["http_status_code"], &attempt["response_body"]), (&json!(200), &json!("it begins")));
    }
    is_well(server).await;
}

#[rstest]
#[case::moved(301)]
#[case::found(302)]
#[case::see_other(303)]
#[case::not_modified(304)]
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
        Certificate::Of(year) => authority.server_config(|params| {
            (params.not_before, params.not_after) = (day(year), day(year + 1));
        }),
        Certificate::OfNobody => authority.server_config(|params| params.subject_alt_names.clear()),
    };
    let receiver = Receiver::tls(config, |_, _| Reply::status(200, "")).await;
    for attempt in attempts_at(&server, &receiver.url("/")).await {
        assert_eq!(attempt["message"], message);
    }
    assert_eq!(receiver.requests().len(), 0, "nothing is said to a stranger");
    is_well(server).await;
}

/// What is wrong with a certificate.
enum Certificate {
    OfAStranger,
    /// A year's, long ago or to come.
    Of(i32),
    OfNobody,
}
