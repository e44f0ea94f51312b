//! `/api/v1/callbacks/`, one-off URLs, and what signs both.

use postrider_tests::{Receiver, Server};
use serde_json::{Value, json};

use super::assert_answer;
use crate::e2e::deliver::settled;

async fn publish(server: &Server, body: Value) -> (String, Value) {
    let mut event = json!({"event_type": "verification.completed", "payload": {}});
    event.as_object_mut().expect("an object").extend(body.as_object().expect("an object").clone());
    let receipt = server.post("/api/v1/events/", event).await;
    (receipt["id"].as_str().expect("an id").to_owned(), receipt["deliveries"].clone())
}

#[tokio::test]
async fn the_events_of_its_resource_go_to_it() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let body = json!({"resource_id": "ver-1", "webhook_url": receiver.url("/one"), "profile": "anycheck",
        "metadata": {"order_id": "o-1", "total": 1.10}});
    let made = server.request("POST", "/api/v1/callbacks/", Some(body)).await;
    assert_eq!(made.status, 201);
    assert_answer("callback_created", &made.body);
    let two = json!({"resource_id": "ver-1", "webhook_url": receiver.url("/two"), "event_types": ["verification.failed",
        "verification.completed"]});
    server.post("/api/v1/callbacks/", two).await;

    assert_eq!(publish(&server, json!({"resource_id": "ver-2"})).await.1, 0);
    let (id, deliveries) = publish(&server, json!({"payload": {"id": "ver-1", "n": 1}})).await;
    assert_eq!(deliveries, 2, "both fire; the resource is the payload's id");
    let requests = receiver.wait_for(2).await;
    let one = requests.iter().find(|request| request.head.starts_with("POST /one")).expect("sent");
    let expected = r#"{"event":"verification.completed","id":"ver-1","n":1,"status":"COMPLETED","metadata":{"order_id":"o-1","total":1.1}}"#;
    assert_eq!(String::from_utf8_lossy(&one.body), expected);
    assert_eq!(one.header("x-webhook-signature"), None, "until there is a secret");

    let callback_id = made.body["id"].as_str().expect("an id");
    let path = format!("/api/v1/callbacks/{callback_id}/");
    let shown = postrider_tests::eventually("it is counted", || async {
        let callback = server.get(&path).await;
        (callback["stats"]["successful_deliveries"] == 1).then_some(callback)
    })
    .await;
    assert_answer("callback", &shown);
    let listed = server.get(&format!("/api/v1/deliveries/?callback_id={callback_id}")).await;
    assert_eq!(listed["deliveries"][0]["event_id"], id.as_str());
    let as_webhook = server.get(&format!("/api/v1/deliveries/?webhook_id={callback_id}")).await;
    assert_eq!(as_webhook["deliveries"], json!([]), "a callback is no webhook");
    assert_eq!(listed["deliveries"][0]["callback_id"], callback_id);
    assert_eq!(listed["deliveries"][0]["webhook_id"], Value::Null);
    assert_eq!(server.get("/api/v1/callbacks/?resource_id=ver-1").await["callbacks"].as_array().map(Vec::len), Some(2));

    let changed = server.request("PATCH", &path, Some(json!({"webhook_url": "https://b.example/"}))).await;
    assert_eq!(changed.status, 405);
    assert_eq!(server.request("DELETE", &path, None).await.status, 200);
    assert_eq!(server.request("GET", &path, None).await.status, 404);
    assert_eq!(publish(&server, json!({"resource_id": "ver-1"})).await.1, 1);
}

#[tokio::test]
async fn one_secret_signs_them() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let rotate = async |body: Value| server.request("POST", "/api/v1/callback-secret/rotate/", Some(body)).await;
    let first = rotate(json!({"profile": "anycheck"})).await;
    assert_eq!((first.status, &first.body["previous_valid_until"]), (200, &Value::Null));
    let body = json!({"resource_id": "r", "webhook_url": receiver.url("/"), "profile": "anycheck"});
    server.post("/api/v1/callbacks/", body).await;
    let one_off = json!({"resource_id": "r", "webhook_url": receiver.url("/once"), "profile": "anycheck"});
    let (_, deliveries) = publish(&server, one_off).await;
    assert_eq!(deliveries, 2);
    let secret = postrider_core::secret::SigningSecret::parse(first.body["secret_key"].as_str().expect("shown"));
    let profiles = postrider_core::profile::Profiles::published();
    let postrider_core::signature::Scheme::Hmac(hmac) = profiles.named("anycheck").expect("there").scheme() else {
        panic!("it signs so");
    };
    for request in receiver.wait_for(2).await {
        let signature = request.header("x-webhook-signature").expect("signed");
        assert!(hmac.verify(secret.as_ref().expect("a secret"), &request.body, signature));
    }
    let second = rotate(json!({"profile": "anycheck", "overlap_seconds": 0})).await;
    assert!(second.body["previous_valid_until"].is_string());
    let wrong = rotate(json!({"profile": "nope", "overlap_seconds": -1})).await;
    assert_eq!((wrong.status, wrong.body["errors"].as_array().map(Vec::len)), (422, Some(2)));
}

#[tokio::test]
async fn a_one_off_url_gets_one_event() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let body = json!({"webhook_url": receiver.url("/?our-reference=1232323"), "profile": "credas",
        "event_type": "process.completed", "payload": {"process_id": "p", "client_id": "c", "status": 2}});
    let (id, deliveries) = publish(&server, body).await;
    assert_eq!(deliveries, 1);
    let event = settled(&server, &id, "delivered").await;
    assert_eq!(
        (&event["webhook_url"], &event["profile"]),
        (&json!(receiver.url("/?our-reference=1232323")), &json!("credas"))
    );
    let request = receiver.requests().remove(0);
    assert!(request.head.starts_with("POST /?our-reference=1232323 "), "{}", request.head);
    assert_eq!(request.json()["StatusDescription"], "The process is complete");
    let delivery = event["deliveries"][0]["id"].as_str().expect("an id");
    let retried = server.request("POST", &format!("/api/v1/deliveries/{delivery}/retry/"), None).await;
    assert_eq!(retried.status, 202);
    let again = receiver.wait_for(2).await;
    assert_eq!(again[0].body, again[1].body);

    let wrong = json!({"event_type": "process.completed", "payload": {}, "profile": "credas"});
    let answer = server.request("POST", "/api/v1/events/", Some(wrong)).await;
    assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!("profile")));
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let server = Server::start().await;
    let body = json!({"resource_id": "", "webhook_url": "https://10.0.0.1/", "profile": "nope", "metadata": [],
        "event_types": ["nope", "test", 5, "case.opened"], "is_active": true});
    let answer = server.request("POST", "/api/v1/callbacks/", Some(body)).await;
    assert_eq!(answer.status, 422);
    assert_answer("callback_wrong_fields", &answer.body);
}
