//! `/api/v1/profiles/`, and the choice of a format.

use postrider_tests::{Receiver, Server, ServerOptions, run_command};
use rstest::rstest;
use serde_json::{Value, json};

use super::assert_answer;
use crate::e2e::deliver::{publish, settled, subscribe};

#[tokio::test]
async fn the_published_formats() {
    let server = Server::start().await;
    assert_answer("profile_list", &server.get("/api/v1/profiles/").await);
    let one = server.get("/api/v1/profiles/credas/").await;
    assert_eq!(one["event_types"], json!([{"group": "Processes", "names": ["process.completed"]}]));
    assert_eq!(one["examples"][0]["payload"]["Status"], 2);
    assert!(one["source"].as_str().expect("a file").contains("[tables.status]"));
    assert_eq!(server.request("GET", "/api/v1/profiles/nope/", None).await.status, 404);
    let page = server.get("/api/v1/profiles/?limit=2").await;
    let cursor = page["next_cursor"].as_str().expect("there are more");
    let rest = server.get(&format!("/api/v1/profiles/?cursor={cursor}")).await;
    assert_eq!(rest["profiles"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_preview_shows_what_would_be_sent() {
    let server = Server::start().await;
    let preview = async |profile: &str, body: Value| {
        server.request("POST", &format!("/api/v1/profiles/{profile}/preview/"), Some(body)).await
    };
    let example = preview("anycheck", json!({})).await;
    assert_eq!((example.status, &example.body["would_be_sent"]), (200, &json!(true)));
    let body = example.body["body"].as_str().expect("text");
    assert!(body.starts_with(r#"{"event":"verification.completed","verification_id":"#), "{body}");
    assert!(
        body.ends_with(r#""metadata":{"customer_id":"cust-123","order_id":"order-456","internal_ref":"ref-789"}}"#)
    );
    assert_eq!(example.body["headers"]["X-Webhook-Signature"].as_str().map(str::len), Some(64));

    let given = json!({"event_type": "verification.failed", "payload": {"x": 1.0}, "metadata": {"m": 1}});
    let shown = preview("anycheck", given).await.body["body"].clone();
    assert_eq!(shown, r#"{"event":"verification.failed","x":1,"status":"FAILED","metadata":{"m":1}}"#);
    let misfit = preview("credas", json!({"payload": {"ProcessId": "a"}})).await;
    assert_eq!((misfit.status, &misfit.body["errors"][0]["field"]), (422, &json!("payload.ClientId")));
    let unmet = preview("aplyid", json!({"payload": {"case_id": 1}})).await;
    assert_eq!((unmet.status, &unmet.body["would_be_sent"]), (200, &json!(false)));
    assert_eq!(unmet.body["reason"], "profile_condition: payload.external_id is absent");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert_eq!(preview("standard", json!({"secret_key": secret})).await.body["signed_with"], secret);
    let wrong = preview("standard", json!({"event_type": "nope", "secret_key": "x", "payload": []})).await;
    assert_eq!(wrong.body["errors"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_misfit_fails_at_once_and_the_others_go_out() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let (misfit, _) = subscribe(&server, &receiver.url("/credas"), json!({"profile": "credas"})).await;
    let (fitting, _) = subscribe(&server, &receiver.url("/casekeeper"), json!({"profile": "casekeeper"})).await;
    let body = json!({"event_type": "screening.completed", "payload": {"id": "s-1"}});
    let event_id = server.post("/api/v1/events/", body).await["id"].as_str().expect("an id").to_owned();
    receiver.wait_for(1).await;
    let event = postrider_tests::eventually("both ended", || async {
        let event = server.get(&format!("/api/v1/events/{event_id}/")).await;
        (event["delivery_counts"]["pending"] == 0).then_some(event)
    })
    .await;
    let of = |id: &str| {
        let deliveries = event["deliveries"].as_array().expect("deliveries");
        deliveries.iter().find(|delivery| delivery["webhook_id"] == id).expect("made").clone()
    };
    assert_eq!((&of(&misfit)["status"], &of(&misfit)["attempts"]), (&json!("failed"), &json!([])));
    assert_eq!(of(&misfit)["reason"], "misfit: payload.ProcessId is missing");
    assert_eq!(of(&fitting)["status"], "delivered");
    assert_eq!(receiver.requests()[0].json(), json!({"key": "screening.completed", "data": {"id": "s-1"}}));
    let stats = server.get(&format!("/api/v1/webhooks/{misfit}/")).await["stats"].clone();
    assert_eq!(stats["failed_deliveries"], 1);
}

#[tokio::test]
async fn a_condition_discards_and_comes_before_any_filter() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let body = json!({"event_type": "case.completed", "webhook_url": receiver.url("/"), "profile": "aplyid",
        "filters": {"client": {"approval_status": "approved"}}});
    server.post("/api/v1/webhooks/", body).await;
    let publish = async |payload: Value| {
        let event = server.post("/api/v1/events/", json!({"event_type": "case.completed", "payload": payload})).await;
        (event["id"].as_str().expect("an id").to_owned(), event["deliveries"].clone())
    };
    let (without, deliveries) = publish(json!({"external_id": "", "client": {"approval_status": "denied"}})).await;
    assert_eq!(deliveries, 1);
    let event = settled(&server, &without, "discarded").await;
    assert_eq!(event["deliveries"][0]["reason"], "profile_condition: payload.external_id is absent");
    let (denied, deliveries) = publish(json!({"external_id": "a", "client": {"approval_status": "denied"}})).await;
    assert_eq!(deliveries, 0, "{denied}");
    let (approved, _) = publish(json!({"external_id": "a", "client": {"approval_status": "approved"}})).await;
    settled(&server, &approved, "delivered").await;
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn what_was_delivered_stays_as_it_was_when_its_webhook_changes() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let (id, _) = subscribe(&server, &receiver.url("/before"), json!({"profile": "casekeeper"})).await;
    let event_id = publish(&server, json!({"id": "s-1"})).await;
    settled(&server, &event_id, "delivered").await;
    let change = json!({"profile": "standard", "webhook_url": receiver.url("/after")});
    server.request("PATCH", &format!("/api/v1/webhooks/{id}/"), Some(change)).await;
    let list = server.get(&format!("/api/v1/deliveries/?webhook_id={id}")).await;
    let delivery = &list["deliveries"][0];
    assert_eq!(
        (&delivery["profile"], &delivery["webhook_url"]),
        (&json!("casekeeper"), &json!(receiver.url("/before")))
    );

    let path = format!("/api/v1/deliveries/{}/retry/", delivery["id"].as_str().expect("an id"));
    server.post(&path, json!({})).await;
    let requests = receiver.wait_for(2).await;
    assert!(requests[1].head.starts_with("POST /after"), "{}", requests[1].head);
    assert_eq!(requests[1].body, requests[0].body, "in the format that it was made with");
    publish(&server, json!({"id": "s-2"})).await;
    assert_eq!(receiver.wait_for(3).await[2].json()["type"], "screening.completed");
}

#[tokio::test]
async fn a_subscription_takes_the_timeout_of_its_format() {
    let server = Server::start().await;
    let (id, _) = subscribe(&server, "https://a.example/", json!({"profile": "anycheck"})).await;
    let path = format!("/api/v1/webhooks/{id}/");
    assert_eq!(server.get(&path).await["timeout_seconds"], 5);
    server.request("PATCH", &path, Some(json!({"profile": "standard"}))).await;
    assert_eq!(server.get(&path).await["timeout_seconds"], 15);
    server.request("PATCH", &path, Some(json!({"timeout_seconds": 7, "profile": "anycheck"}))).await;
    assert_eq!(server.get(&path).await["timeout_seconds"], 7);
    server.request("PATCH", &path, Some(json!({"description": "ours"}))).await;
    assert_eq!(server.get(&path).await["timeout_seconds"], 7, "what is absent stays");
    server.request("PATCH", &path, Some(json!({"timeout_seconds": null}))).await;
    assert_eq!(server.get(&path).await["timeout_seconds"], 5, "null gives it back to the format");
}

#[tokio::test]
async fn a_tenant_has_a_default_format() {
    let server = Server::start().await;
    let tenants = server.get("/api/v1/tenants/").await;
    let path = format!("/api/v1/tenants/{}/", tenants["tenants"][0]["id"].as_str().expect("an id"));
    let change = json!({"default_profile": "casekeeper"});
    assert_eq!(server.request("PATCH", &path, Some(change)).await.body["default_profile"], "casekeeper");
    let (id, _) = subscribe(&server, "https://a.example/", json!({})).await;
    assert_eq!(server.get(&format!("/api/v1/webhooks/{id}/")).await["profile"], "casekeeper");
    let callback = json!({"resource_id": "r", "webhook_url": "https://a.example/"});
    assert_eq!(server.post("/api/v1/callbacks/", callback).await["profile"], "casekeeper");
    let wrong = server.request("PATCH", &path, Some(json!({"default_profile": "nope", "name": ""}))).await;
    assert_eq!(wrong.body["errors"].as_array().map(Vec::len), Some(2));
    assert_eq!(server.request("PATCH", &path, Some(json!({"name": "other"}))).await.status, 409);
}

const SIXTH: &str = r#"
name = "sixth"
title = "Sixth"
summary = "A format of an operator's own."
body = '{"what": "{{event.type}}", "...": "{{payload}}"}'
timeout_seconds = 9

[headers]
X-Attempt = "{{delivery.attempt}}"

[signature]
scheme = "hmac-sha256"
header = "X-Hub-Signature-256"
encoding = "hex"
prefix = "sha256="
key = "as-shown"

[[groups]]
name = "Own"
event_types = [["own.happened", "It happened"]]

[[examples]]
event_type = "own.happened"
payload = '{"id": "o-1"}'
"#;

#[tokio::test]
async fn a_sixth_format_is_a_file() {
    let receiver = Receiver::content().await;
    let options = ServerOptions::default();
    let folder = options.folder.path().join("profiles");
    std::fs::create_dir(&folder).expect("made");
    std::fs::write(folder.join("sixth.toml"), SIXTH).expect("written");
    let server = Server::start_with(options.set("PROFILES_DIR", &folder.display().to_string())).await;
    let listed = server.get("/api/v1/event-types/?profile=sixth").await;
    assert_eq!(listed["event_types"][0]["name"], "own.happened");
    let body = json!({"event_type": "own.happened", "webhook_url": receiver.url("/"), "profile": "sixth"});
    server.post("/api/v1/webhooks/", body).await;
    server.post("/api/v1/events/", json!({"event_type": "own.happened", "payload": {"n": 1.0}})).await;
    let sent = receiver.wait_for(1).await.remove(0);
    assert_eq!(sent.body, br#"{"what":"own.happened","n":1.0}"#);
    assert_eq!(sent.header("x-attempt"), Some("1"));
    assert!(sent.header("x-hub-signature-256").is_some_and(|value| value.starts_with("sha256=") && value.len() == 71));
    assert!(sent.header_names().contains(&"X-Hub-Signature-256"), "{:?}", sent.header_names());
}

#[rstest]
#[case("{{payload}}", "{{playload}}", "sixth.toml: line 5: `playload` is none of")]
#[case("sixth\"", "standard\"", "sixth.toml: there is another profile named `standard`")]
#[case(
    "[[\"own.happened\"",
    "[[\"own.other\"",
    "the profile `sixth` speaks of `own.happened`, which is in no catalogue"
)]
#[tokio::test]
async fn a_mistake_in_a_file_stops_the_start(#[case] right: &str, #[case] wrong: &str, #[case] expected: &str) {
    let options = ServerOptions::default();
    let folder = options.folder.path().join("profiles");
    std::fs::create_dir(&folder).expect("made");
    std::fs::write(folder.join("sixth.toml"), SIXTH.replacen(right, wrong, 1)).expect("written");
    let options = options.set("PROFILES_DIR", &folder.display().to_string());
    let (code, _, said) = run_command(&options, &["serve"]).await;
    assert_eq!(code, 1);
    assert!(said.contains("POSTRIDER_PROFILES_DIR") && said.contains(expected), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "{said}");
}
