//! What the program does at the receiver's side: listen, verify, and trigger to have something to listen to.

use std::process::Stdio;

use postrider_tests::{Binary, Received, Receiver, Server, ServerOptions, run_command};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::deliver::{publish, settled, subscribe};

fn real() -> ServerOptions {
    ServerOptions { binary: Binary::Real, ..ServerOptions::default() }
}

/// `postrider listen --json` on a free port.
struct Listener {
    url: String,
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
    /// With the folder that it runs in.
    _options: ServerOptions,
}

impl Listener {
    async fn start(arguments: &[&str]) -> Self {
        let options = real();
        let mut command = options.command(&["listen", "--port", "0", "--json"]);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let first = lines.next_line().await.expect("readable").expect("a line");
        let first: Value = serde_json::from_str(&first).expect("JSON");
        let url = format!("{}/hook?a=1", first["listening"].as_str().expect("a URL"));
        Self { url, lines, _process: process, _options: options }
    }

    /// The next request that came.
    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(postrider_tests::PATIENCE, self.lines.next_line()).await;
        let line = line.expect("a request comes").expect("readable").expect("a line");
        serde_json::from_str(&line).expect("JSON")
    }
}

#[tokio::test]
async fn listen_shows_each_delivery_and_says_whether_it_is_genuine() {
    let server = Server::start_with(real()).await;
    let (id, secret) = subscribe(&server, "https://a.example/", json!({"profile": "standard"})).await;
    let mut listener = Listener::start(&["--secret", &secret]).await;
    let patch = async |body: Value| server.request("PATCH", &format!("/api/v1/webhooks/{id}/"), Some(body)).await;
    patch(json!({"webhook_url": listener.url})).await;
    publish(&server, json!({"n": 1.10})).await;
    let shown = listener.next().await;
    assert_eq!((&shown["verdict"], &shown["profile"]), (&json!("genuine"), &json!("standard")), "{shown}");
    assert_eq!((&shown["method"], &shown["path"]), (&json!("POST"), &json!("/hook?a=1")));
    assert!(shown["body"].as_str().expect("text").ends_with(r#""data":{"n":1.1}}"#), "{shown}");
    assert!(shown["headers"]["Webhook-Id"].is_string());

    server.post(&format!("/api/v1/webhooks/{id}/rotate-secret/"), json!({"overlap_seconds": 0})).await;
    publish(&server, json!({})).await;
    let shown = listener.next().await;
    assert_eq!(shown["verdict"], "refused");
    assert!(shown["notes"][1].as_str().expect("text").contains("the secret is another one"), "{shown}");

    patch(json!({"profile": "casekeeper"})).await;
    publish(&server, json!({})).await;
    assert_eq!(listener.next().await["verdict"], "unchecked");
}

#[rstest]
#[case::failing("500", "HTTP 500: Internal Server Error")]
#[case::odd("404", "HTTP 404: Not Found")]
#[case::hanging("hang", "Timed out after 1 s")]
#[tokio::test]
async fn listen_answers_as_it_is_told(#[case] status: &str, #[case] message: &str) {
    let server = Server::start_with(real()).await;
    let listener = Listener::start(&["--status", status]).await;
    let once = json!({"timeout_seconds": 1, "retry_schedule": []});
    subscribe(&server, &listener.url, once).await;
    let event_id = publish(&server, json!({})).await;
    let event = settled(&server, &event_id, "failed").await;
    assert_eq!(event["deliveries"][0]["attempts"][0]["message"], message);
}

#[tokio::test]
async fn verify_judges_a_kept_request() {
    let receiver = Receiver::content().await;
    let server = Server::start_with(real()).await;
    let (_, secret) = subscribe(&server, &receiver.url("/"), json!({})).await;
    publish(&server, json!({"name": "Zoë", "n": 1.10})).await;
    let request = receiver.wait_for(1).await.remove(0);
    let body = String::from_utf8(request.body.clone()).expect("text");
    let folder = tempfile::tempdir().expect("a folder");
    let verify = async |body: &str, arguments: &[&str]| {
        let file = folder.path().join("request.txt");
        std::fs::write(&file, format!("{}\n\n{body}", request.head.trim_end())).expect("written");
        let path = file.display().to_string();
        let (code, out, _) = run_command(&real(), &[&["verify", "--file", &path], arguments].concat()).await;
        (code, out)
    };
    let (code, out) = verify(&body, &["--secret", &secret]).await;
    assert!(code == 0 && out.contains("genuine (standard)"), "{out}");
    let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (code, out) = verify(&body, &["--secret", other, "--secret", &secret]).await;
    assert!(code == 0 && out.contains("older secret"), "{out}");
    let (code, out) = verify(&body, &["--secret", other]).await;
    assert!(code == 1 && out.contains("the secret is another one"), "{out}");
    let (code, out) = verify(&body.replace("{\"", "{ \""), &["--secret", &secret, "--json"]).await;
    let found: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &found["verdict"]), (1, &json!("refused")));
    assert!(found["notes"][0].as_str().expect("text").contains("re-serialised"), "{out}");
    let (code, out) = verify(&body, &["--secret", &secret, "--at", "2020-01-01T00:00:00Z"]).await;
    assert!(code == 1 && out.contains("ahead of the time here"), "{out}");
    let (code, out) = verify(&body, &["--secret", &secret, "--profile", "anycheck"]).await;
    assert!(code == 1 && out.contains("X-Webhook-Signature is missing"), "{out}");
    let (code, out) = verify(&body, &[]).await;
    assert!(code == 1 && out.contains("no secret to verify with"), "{out}");
    let (code, out) = verify(&format!("{body}\n"), &["--secret", &secret]).await;
    assert!(code == 0, "an editor's line end is not the body's: {out}");
}

#[tokio::test]
async fn a_wrong_secret_is_not_repeated() {
    let (code, out, err) = run_command(&real(), &["verify", "--secret", "whsec_sentinel!"]).await;
    assert_eq!(code, 2);
    assert!(!out.contains("sentinel") && !err.contains("sentinel") && err.contains("--secret must be"), "{err}");
}

#[tokio::test]
async fn trigger_publishes_an_example_of_any_type() {
    let receiver = Receiver::content().await;
    let server = Server::start_with(real()).await;
    let options = server.options();
    let body = json!({"event_type": "all", "webhook_url": receiver.url("/"), "profile": "casekeeper"});
    server.post("/api/v1/webhooks/", body).await;
    server.post("/api/v1/event-types/", json!({"name": "our.own"})).await;
    let types = ["case.completed", "verification.dopaResult.created", "screening.completed", "our.own"];
    for event_type in types {
        let (code, out, err) = run_command(options, &["trigger", event_type, "--example", "--json"]).await;
        assert_eq!(code, 0, "{err}");
        let receipt: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!((&receipt["event_type"], &receipt["deliveries"]), (&json!(event_type), &json!(1)));
    }
    let sent = receiver.wait_for(types.len()).await;
    let of = |key: &str| sent.iter().map(Received::json).find(|body| body["key"] == key).expect("sent");
    assert_eq!(of("case.completed")["data"]["external_id"], "order-9281");
    assert_eq!(of("verification.dopaResult.created")["data"]["id"], "01234567-89ab-cdef-0123-456789abcdef");
    assert!(of("our.own")["data"]["message"].as_str().expect("text").contains("our.own"));

    let (code, out, _) = run_command(options, &["trigger", "case.opened", "--payload", r#"{"id": "c-1"}"#]).await;
    assert_eq!((code, out.contains("1 delivery is on its way")), (0, true), "{out}");
    assert_eq!(receiver.wait_for(types.len() + 1).await[types.len()].json()["data"], json!({"id": "c-1"}));
    for (arguments, expected, part) in [
        (vec!["trigger", "case.opend"], 1, "did you mean case.opened"),
        (vec!["trigger", "all"], 1, "`all` is not a type that can be published"),
        (vec!["trigger", "case.opened", "--tenant", "nobody"], 1, "there is no tenant `nobody`"),
        (vec!["trigger", "case.opened", "--payload", "[]"], 2, "must be a JSON object"),
        (vec!["trigger", "case.opened", "--resource-id", " "], 2, "must have 1 to 255 characters"),
        (vec!["verify", "--profile", "nope"], 2, "--profile: there is no `nope`"),
    ] {
        let (code, _, err) = run_command(options, &arguments).await;
        assert!(code == expected && err.contains(part), "{arguments:?}: {code}: {err}");
    }
}
