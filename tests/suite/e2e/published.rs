//! Receivers written to the published documents work unchanged, with each document's own examples.

use std::process::Stdio;

use postrider_core::json::ecmascript::normalize;
use postrider_core::profile::{Example, Profiles};
use postrider_tests::{PublishedReceiver, Received, Receiver, Reply, Server, eventually};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::deliver::settled;

/// The first example event of a document.
fn example(profile: &str) -> Example {
    Profiles::published().named(profile).expect("published").examples[0].clone()
}

/// The type to publish it as: `test` cannot be published, any other will do.
fn example_type(format: &str) -> String {
    if format == "standard" { "screening.completed".to_owned() } else { example(format).event_type.to_string() }
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Publishes a document's example; the event's id.
async fn publish(server: &Server, example: &Example, extra: Value) -> String {
    let mut body = json!({"event_type": example.event_type.as_str(), "payload": json_of(&example.payload)});
    body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
    server.post("/api/v1/events/", body).await["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn the_aplyid_receiver_takes_its_documents_example() {
    let receiver = PublishedReceiver::start("000_receiver.mjs", "").await;
    let server = Server::start().await;
    let body = json!({"event_type": "case.completed", "webhook_url": receiver.url("/webhooks/aplyid"),
        "profile": "aplyid"});
    server.post("/api/v1/webhooks/", body).await;
    let event_id = publish(&server, &example("aplyid"), json!({})).await;
    let event = settled(&server, &event_id, "delivered").await;
    receiver.did("Case order-9281 completed — outcome: approved").await;

    // Its id is the same after a manual retry: the receiver has handled it already.
    let delivery = event["deliveries"][0]["id"].as_str().expect("an id");
    server.post(&format!("/api/v1/deliveries/{delivery}/retry/"), json!({})).await;
    eventually("it is delivered again", || async {
        let delivery = server.get(&format!("/api/v1/deliveries/{delivery}/")).await;
        (delivery["attempts"].as_array().map(Vec::len) == Some(2)).then_some(())
    })
    .await;
    assert_eq!(receiver.lines().len(), 1);
}

/// The secret of callbacks in the AnyCheck format.
async fn callback_secret(server: &Server) -> String {
    let made = server.post("/api/v1/callback-secret/rotate/", json!({"profile": "anycheck"})).await;
    made["secret_key"].as_str().expect("shown").to_owned()
}

#[rstest]
#[case::express("003_receiver.cjs", "approveCustomerApplication [\"cust-123\"]")]
#[case::flask("003_receiver.py", "approve_application [\"cust-123\", {}]")]
#[tokio::test]
async fn the_anycheck_receivers_take_their_documents_example(#[case] file: &str, #[case] deed: &str) {
    let server = Server::start().await;
    let receiver = PublishedReceiver::start(file, &callback_secret(&server).await).await;
    let example = example("anycheck");
    let callback = json!({"resource_id": "verification-uuid", "webhook_url": receiver.url("/webhooks/anycheck"),
        "profile": "anycheck", "metadata": json_of(example.metadata.as_deref().expect("it has some"))});
    server.post("/api/v1/callbacks/", callback).await;
    let event_id = publish(&server, &example, json!({"resource_id": "verification-uuid"})).await;
    let event = settled(&server, &event_id, "delivered").await;
    receiver.did(deed).await;
    assert_eq!(event["deliveries"][0]["attempts"][0]["response_body"], "OK");
}

#[rstest]
#[case::express("003_receiver.cjs")]
#[case::flask("003_receiver.py")]
#[tokio::test]
async fn the_anycheck_receivers_take_what_is_hard_to_write_and_refuse_what_was_changed(#[case] file: &str) {
    let server = Server::start().await;
    let receiver = PublishedReceiver::start(file, &callback_secret(&server).await).await;
    let sink = Receiver::content().await;
    for url in [receiver.url("/webhooks/anycheck"), sink.url("/")] {
        let callback = json!({"resource_id": "r", "webhook_url": url, "profile": "anycheck",
            "metadata": {"customer_id": "é\u{2028}", "9": 1.0, "a": 1e21}});
        server.post("/api/v1/callbacks/", callback).await;
    }
    let payload = r#"{"z":1.10,"verification_id":"v","10":-0,"2":12345678901234567890,"s":"\u001f\u2029\/ 😀","z":1.0,
        "output":{"verified":true,"b":[5e-324,0.1,1E400000]}}"#;
    let publish = async |payload: &str| {
        let event_type = r#""event_type":"verification.completed","resource_id":"r""#;
        let body = format!(r#"{{{event_type},"payload":{payload}}}"#);
        let request = server.custom(|client, base| {
            let request = client.post(format!("{base}/api/v1/events/")).bearer_auth(server.key());
            request.header("content-type", "application/json").body(body)
        });
        request.await.body["id"].as_str().expect("an id").to_owned()
    };
    // Asked for without the event: its payload is beyond this test's parser, too.
    let path = format!("/api/v1/deliveries/?event_id={}", publish(payload).await);
    let reason = eventually("both failed", || async {
        let list = server.get(&path).await;
        let ended = list["deliveries"].as_array()?.iter().all(|delivery| delivery["status"] == "failed");
        ended.then(|| list["deliveries"][0]["reason"].clone())
    });
    assert_eq!(reason.await, "misfit: output.b.2 is a number beyond the range of a double");
    let event_id = publish(&payload.replace("1E400000", "1E-400000")).await;
    settled(&server, &event_id, "delivered").await;

    let sent = sink.wait_for(1).await.remove(0);
    let signature = sent.header("x-webhook-signature").expect("signed").to_owned();
    let post = async |body: Vec<u8>| {
        let request = reqwest::Client::new().post(receiver.url("/webhooks/anycheck")).body(body);
        let request = request.header("content-type", "application/json").header("x-webhook-signature", &signature);
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(post(sent.body.clone()).await, 200);
    let text = String::from_utf8(sent.body).expect("UTF-8");
    assert_eq!(post(text.replace("\"v\"", "\"w\"").into_bytes()).await, 401);
}

#[tokio::test]
async fn a_case_keeper_receiver_verifies_by_asking_back() {
    let receiver = Receiver::plain(|_, _| Reply::with_headers(200, "X-Seen: yes\r\n", "noted")).await;
    let server = Server::start().await;
    let body = json!({"event_type": "all", "webhook_url": receiver.url("/"), "profile": "casekeeper"});
    server.post("/api/v1/webhooks/", body).await;
    let event_id = publish(&server, &example("casekeeper"), json!({})).await;
    settled(&server, &event_id, "delivered").await;
    let got = receiver.requests()[0].json();
    let key = server.post("/api/v1/api-keys/", json!({"name": "receiver", "scopes": ["read"]})).await;
    let key = key["key"].as_str().expect("shown");
    let (resource, event_type) = (got["data"]["id"].as_str().expect("an id"), got["key"].as_str().expect("a key"));
    let path = format!("/api/v1/events/?resource_id={resource}&event_type={event_type}");
    let asked = server.request_as(key, "GET", &path, None).await;
    assert_eq!(asked.body["events"][0]["id"], event_id.as_str());
    let event = server.request_as(key, "GET", &format!("/api/v1/events/{event_id}/"), None).await.body;
    assert_eq!(event["payload"], got["data"]);
    let answer = &event["deliveries"][0]["attempts"][0];
    assert_eq!((&answer["http_status_code"], &answer["response_body"]), (&json!(200), &json!("noted")));
    assert_eq!(answer["response_headers"]["X-Seen"], "yes");
}

#[rstest]
#[case::standard("standard", Some(400))]
#[case::aplyid("aplyid", None)]
#[case::casekeeper("casekeeper", Some(403))]
#[case::anycheck("anycheck", Some(401))]
#[case::credas("credas", None)]
#[tokio::test]
async fn the_receiver_of_each_formats_page_works(#[case] format: &str, #[case] refusal: Option<u16>) {
    let server = Server::start().await;
    let sink = Receiver::content().await;
    let event_type = example_type(format);
    let subscribe = async |url: &str| {
        let body = json!({"event_type": event_type, "webhook_url": url, "profile": format});
        let made = server.post("/api/v1/webhooks/", body).await;
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        (text("id"), text("secret_key"))
    };
    let (id, secret) = subscribe(&sink.url("/")).await;
    let environment =
        [("WEBHOOK_SECRET", secret.as_str()), ("POSTRIDER_URL", server.base()), ("POSTRIDER_KEY", server.key())];
    let receiver = PublishedReceiver::start_documented(format, &environment).await;
    let url = json!({"webhook_url": receiver.url("/webhook")});
    server.request("PATCH", &format!("/api/v1/webhooks/{id}/"), Some(url)).await;
    subscribe(&sink.url("/")).await;
    let body = json!({"event_type": event_type, "payload": json_of(&example(format).payload)});
    let event_id = server.post("/api/v1/events/", body).await["id"].as_str().expect("an id").to_owned();
    receiver.did("genuine").await;
    eventually("both are delivered", || async {
        let event = server.get(&format!("/api/v1/events/{event_id}/")).await;
        (event["delivery_counts"]["delivered"] == 2).then_some(())
    })
    .await;

    // What was signed with another secret, or was never published, is refused.
    let Some(refusal) = refusal else { return };
    let sent = sink.wait_for(1).await.remove(0);
    let forged = String::from_utf8(sent.body.clone()).expect("UTF-8").replace("01234567", "76543210");
    let mut request = reqwest::Client::new().post(receiver.url("/webhook")).body(forged);
    for name in ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature", "x-webhook-signature"] {
        if let Some(value) = sent.header(name) {
            request = request.header(name, value);
        }
    }
    assert_eq!(request.send().await.expect("an answer").status(), refusal);
}

/// A subscription to the first example of a format, and the body that publishes it.
async fn subscribe_to_example(server: &Server, format: &str, url: &str) -> Value {
    let (example, event_type) = (example(format), example_type(format));
    let body = json!({"event_type": event_type, "webhook_url": url, "profile": format});
    server.post("/api/v1/webhooks/", body).await;
    let metadata = example.metadata.as_deref().map(json_of);
    json!({"event_type": event_type, "payload": json_of(&example.payload), "metadata": metadata})
}

/// A request as it came, with what differs from run to run in brackets.
fn masked(request: &Received) -> String {
    let mask = |line: &str| match line.split_once(": ") {
        Some(("Host", _)) => "Host: [host]".to_owned(),
        Some((name @ ("Webhook-Id" | "X-Workflow-Webhook-Id"), _)) => format!("{name}: [id]"),
        Some(("Webhook-Timestamp", _)) => "Webhook-Timestamp: [seconds]".to_owned(),
        Some((name @ ("Webhook-Signature" | "X-Webhook-Signature"), value)) => {
            let shape: String = value.chars().take_while(|c| *c != ',').collect();
            if name == "Webhook-Signature" {
                format!("{name}: {shape},[signature]")
            } else {
                format!("{name}: [signature]")
            }
        }
        Some(("User-Agent", value)) => {
            assert_eq!(value, postrider_core::profile::AGENT);
            "User-Agent: Postrider/[version]".to_owned()
        }
        _ => line.to_owned(),
    };
    let head: Vec<String> = request.head.trim_end().lines().map(mask).collect();
    let body = String::from_utf8(request.body.clone()).expect("UTF-8");
    let stamped = body.split_once(r#""timestamp":""#).and_then(|(_, rest)| rest.split_once('"')).map(|(time, _)| time);
    let body = stamped.map_or(body.clone(), |time| body.replace(time, "[time]"));
    format!("{}\n\n{body}", head.join("\n"))
}

#[rstest]
#[case("standard")]
#[case("aplyid")]
#[case("casekeeper")]
#[case("anycheck")]
#[case("credas")]
#[tokio::test]
async fn the_exact_request_on_the_wire(#[case] format: &str) {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let event = subscribe_to_example(&server, format, &receiver.url("/hook?our-reference=1232323")).await;
    server.post("/api/v1/events/", event).await;
    let request = receiver.wait_for(1).await.remove(0);
    insta::assert_snapshot!(format!("request_{format}"), masked(&request));
}

#[rstest]
#[case("standard")]
#[case("aplyid")]
#[case("casekeeper")]
#[case("anycheck")]
#[case("credas")]
#[tokio::test]
async fn retries_and_retriggers_send_the_same_bytes(#[case] format: &str) {
    let receiver = Receiver::plain(|n, _| Reply::status(if n == 0 { 500 } else { 200 }, "")).await;
    let mut server = Server::start().await;
    let event = subscribe_to_example(&server, format, &receiver.url("/")).await;
    let event_id = server.post("/api/v1/events/", event).await["id"].as_str().expect("an id").to_owned();
    eventually("the first try is recorded", || async {
        let event = server.get(&format!("/api/v1/events/{event_id}/")).await;
        (event["deliveries"][0]["attempts"].as_array().map(Vec::len) == Some(1)).then_some(())
    })
    .await;
    server.travel(std::time::Duration::from_secs(5)).await;
    let event = settled(&server, &event_id, "delivered").await;
    let delivery = event["deliveries"][0]["id"].as_str().expect("an id");
    server.post(&format!("/api/v1/deliveries/{delivery}/retry/"), json!({})).await;
    let requests = receiver.wait_for(3).await;
    let unstamped = |request: &Received| {
        let is_stamped = |line: &&str| line.starts_with("Webhook-Timestamp") || line.starts_with("Webhook-Signature");
        let head: Vec<String> = request.head.lines().filter(|line| !is_stamped(line)).map(str::to_owned).collect();
        (head, request.body.clone())
    };
    for later in &requests[1..] {
        assert_eq!(unstamped(later), unstamped(&requests[0]));
    }
}

/// What stands between fences on a page of `docs/formats/`.
fn fenced(page: &str, language: &str) -> String {
    let path = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/formats/{}.md"), page);
    let text = std::fs::read_to_string(path).expect("there");
    let fence = format!("```{language}\n");
    text.split(&fence).nth(1).and_then(|rest| rest.split("```").next()).expect("a block").to_owned()
}

#[test]
fn the_file_that_the_pages_show_is_a_format() {
    let profile = postrider_core::profile::Profile::parse(&fenced("README", "toml")).expect("valid");
    assert_eq!(profile.name, "acme");
}

#[test]
fn the_filter_that_the_page_shows_can_be_used() {
    let filter = postrider_core::filter::Filter::compile(&fenced("../filters", "json")).expect("usable");
    let payload = r#"{"client":{"approval_status":"approved"},"score":0.5,"external_id":1,"country":"AU"}"#;
    let payload = postrider_core::json::Value::parse(payload).expect("valid");
    assert_eq!(filter.failing_place(&payload), None);
}

#[tokio::test]
async fn each_page_shows_what_is_sent() {
    let server = Server::start().await;
    for format in ["standard", "aplyid", "casekeeper", "anycheck", "credas"] {
        let block = fenced(format, "http");
        let (head, body) = block.trim_end().split_once("\n\n").expect("head and body");
        let names: Vec<&str> = head.lines().skip(1).filter_map(|line| line.split(':').next()).collect();
        let given = match format {
            "standard" => json!({"event_type": "screening.completed", "occurred_at": "2026-01-19T10:30:00.123456Z",
                "payload": {"id": "scr-1", "result": "clear"}}),
            "anycheck" => json!({"secret_key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}),
            _ => json!({}),
        };
        let shown = server.post(&format!("/api/v1/profiles/{format}/preview/"), given).await;
        assert_eq!(shown["body"], body, "{format}");
        let headers = shown["headers"].as_object().expect("headers");
        assert_eq!(headers.keys().collect::<Vec<_>>(), names, "{format}");
        if format == "anycheck" {
            let signature = headers["X-Webhook-Signature"].as_str().expect("signed");
            assert!(head.contains(signature), "{signature}");
        }
    }
}

/// JSON documents as text, with what is hard to write in each place.
fn documents() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
        "-?(0|[1-9])(\\.[0-9]{1,3})?[eE]-?(2[0-9]{2}|30[0-7]|32[0-9])",
        any::<f64>().prop_filter("JSON has no others", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
    ];
    let string = prop_oneof![
        "\"[ -!#-\\[\\]-~é\u{7f}\u{2028}\u{2029}😀]{0,8}\"",
        "\"(\\\\[\"\\\\/bfnrt]|\\\\u00[0-1][0-9a-fA-F]|\\\\u20(28|ac)|\\\\ud83d\\\\ude00|a){0,6}\"",
    ];
    let name = prop_oneof![
        "\"(0|[1-9][0-9]{0,2}|00|01|-1|1\\.0|4294967294|4294967295|4294967296)\"",
        "\"[a-c_]{0,2}\"",
        "\"(__proto__|constructor|toString|\\\\u0031|\\\\u0061)\"",
    ];
    let space = "[ \t]{0,2}";
    let leaf = prop_oneof![number, string, Just("true".to_owned()), Just("false".to_owned()), Just("null".to_owned())];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        let member =
            (name.clone(), space, inner.clone()).prop_map(|(name, space, value)| format!("{name}:{space}{value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(" ,"))),
            proptest::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(", "))),
        ]
    })
}

#[tokio::test]
async fn node_itself_writes_thousands_of_documents_as_we_do() {
    let mut runner = TestRunner::deterministic();
    let mut lines = vec![format!("{}{}", "[".repeat(127), "]".repeat(127))];
    while lines.len() < 5000 {
        let document = documents().new_tree(&mut runner).expect("a document").current();
        // Of numbers beyond a double, Node makes null; we refuse them.
        if normalize(&document).is_ok() {
            lines.push(document);
        }
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/verifiers/stringify.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let input = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let mut stdin = node.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).await.expect("it reads");
    drop(stdin);
    let output = node.wait_with_output().await.expect("it ends");
    let written = String::from_utf8(output.stdout).expect("UTF-8");
    let expected: Vec<&str> = written.split_terminator('\n').collect();
    assert_eq!(expected.len(), lines.len());
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!(normalize(line).as_deref(), Ok(expected), "{line}");
        assert_eq!(normalize(expected).as_deref(), Ok(expected), "a fixed point");
    }
}
