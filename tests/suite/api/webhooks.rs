//! `/api/v1/webhooks/`, held against the published document.

use std::time::Duration;

use postrider_tests::{Receiver, Server, eventually};
use serde_json::{Value, json};

use super::assert_answer;
use crate::e2e::deliver::{publish, settled, subscribe};

#[tokio::test]
async fn create_list_get_update_delete() {
    let server = Server::start().await;
    let body = json!({
        "event_type": "screening.completed",
        "webhook_url": "https://api.yourcompany.com/webhooks/screening",
        "description": "Production screening webhook",
    });
    let created = server.request("POST", "/api/v1/webhooks/", Some(body)).await;
    assert_eq!(created.status, 201);
    let secret = created.body["secret_key"].as_str().expect("a secret");
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44, "{secret}");
    assert_answer("webhook_created", &created.body);

    let list = server.get("/api/v1/webhooks").await;
    assert_answer("webhook_list", &list);
    let path = format!("/api/v1/webhooks/{}/", created.body["id"].as_str().expect("an id"));
    assert_answer("webhook", &server.get(&path).await);
    assert_answer("webhook_health", &server.get(&format!("{path}health/")).await);

    let change = json!({"webhook_url": "https://b.example:8443/x?y=z", "is_active": false, "description": "",
        "retry_schedule": [1, 86400], "timeout_seconds": 30, "headers": {"Authorization": "Bearer s"}});
    let updated = server.request("PATCH", &path, Some(change)).await;
    assert_eq!((updated.status, &updated.body["message"]), (200, &json!("Webhook updated")));
    assert_answer("webhook_after_update", &server.get(&path).await);

    let deleted = server.request("DELETE", &path, None).await;
    assert_eq!((deleted.status, &deleted.body), (200, &json!({"message": "Webhook deleted successfully"})));
    assert_eq!(server.request("GET", &path, None).await.status, 404);
    assert_eq!(server.request("GET", &format!("{path}health"), None).await.status, 404);
    assert_eq!(server.request("DELETE", &path, None).await.status, 404);
    assert_eq!(server.get("/api/v1/webhooks/").await, json!({"webhooks": []}));
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let server = Server::start().await;
    let body = json!({
        "event_type": "screening.complete", "webhook_url": "https://10.0.0.1/", "is_active": "yes",
        "retry_schedule": [0], "timeout_seconds": 31, "headers": {"Host": "x"}, "profile": "nope",
        "filters": [], "description": "x".repeat(1025), "colour": "red",
    });
    let answer = server.request("POST", "/api/v1/webhooks/", Some(body)).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_answer("webhook_wrong_fields", &answer.body);
    let empty = server.request("POST", "/api/v1/webhooks/", Some(json!({}))).await;
    assert_answer("webhook_missing_fields", &empty.body);
}

#[tokio::test]
async fn the_event_type_cannot_change() {
    let server = Server::start().await;
    let (id, _) = subscribe(&server, "https://a.example/", json!({})).await;
    let path = format!("/api/v1/webhooks/{id}/");
    let answer = server.request("PATCH", &path, Some(json!({"event_type": "case.opened"}))).await;
    assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!("event_type")));
    assert_eq!(server.request("PATCH", &path, Some(json!({}))).await.status, 200, "all fields are optional");
}

#[tokio::test]
async fn all_receives_every_type() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let body = json!({"event_type": "all", "webhook_url": receiver.url("/")});
    server.post("/api/v1/webhooks/", body).await;
    for event_type in ["case.opened", "verification.frontIdCardResult.created"] {
        server.post("/api/v1/events/", json!({"event_type": event_type, "payload": {}})).await;
    }
    let mut types: Vec<Value> =
        receiver.wait_for(2).await.iter().map(|request| request.json()["type"].clone()).collect();
    types.sort_by_key(ToString::to_string);
    assert_eq!(types, ["case.opened", "verification.frontIdCardResult.created"]);
}

#[tokio::test]
async fn pages_if_asked_for() {
    let server = Server::start().await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.insert(0, subscribe(&server, &format!("https://a.example/{n}"), json!({})).await.0);
    }
    let mut found = Vec::new();
    let mut path = "/api/v1/webhooks/?limit=2".to_owned();
    loop {
        let page = server.get(&path).await;
        let ids = page["webhooks"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|item| item["id"].as_str().unwrap_or_default().to_owned());
        found.extend(ids);
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/webhooks/?limit=2&cursor={cursor}");
    }
    assert_eq!(found, made);
    for query in ["limit=251", "limit=0", "limit=x", "cursor=x", "page=2"] {
        assert_eq!(server.request("GET", &format!("/api/v1/webhooks/?{query}"), None).await.status, 422, "{query}");
    }
}

#[tokio::test]
async fn both_secrets_sign_after_a_rotation() {
    let receiver = Receiver::content().await;
    let mut server = Server::start().await;
    let (id, _) = subscribe(&server, &receiver.url("/"), json!({})).await;
    let path = format!("/api/v1/webhooks/{id}/rotate-secret/");
    let rotated = server.request("POST", &path, Some(json!({"overlap_seconds": 3600}))).await;
    assert_eq!(rotated.status, 200);
    assert_answer("webhook_rotated", &rotated.body);
    publish(&server, json!({})).await;
    let signatures = |number: usize| {
        let receiver = &receiver;
        async move { receiver.wait_for(number + 1).await[number].header("webhook-signature").map(str::to_owned) }
    };
    assert_eq!(signatures(0).await.map(|header| header.split(' ').count()), Some(2));
    server.travel(Duration::from_secs(3601)).await;
    eventually("the overlap ended", || async {
        let number = receiver.requests().len();
        publish(&server, json!({})).await;
        (signatures(number).await.map(|header| header.split(' ').count()) == Some(1)).then_some(())
    })
    .await;
    let wrong = server.request("POST", &path, Some(json!({"overlap_seconds": 604_801}))).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(server.request("POST", &path, None).await.status, 200, "a body is optional");
}

#[tokio::test]
async fn deactivating_discards_and_reactivating_revives_nothing() {
    let receiver = Receiver::plain(|_, _| postrider_tests::Reply::status(500, "")).await;
    let server = Server::start().await;
    let (id, _) = subscribe(&server, &receiver.url("/"), json!({})).await;
    let event_id = publish(&server, json!({})).await;
    receiver.wait_for(1).await;
    let path = format!("/api/v1/webhooks/{id}/");
    assert_eq!(server.request("PATCH", &path, Some(json!({"is_active": false}))).await.status, 200);
    let event = settled(&server, &event_id, "discarded").await;
    assert_eq!(event["deliveries"][0]["reason"], "webhook_inactive");
    let delivery_id = event["deliveries"][0]["id"].as_str().expect("an id");
    let retry = server.request("POST", &format!("/api/v1/deliveries/{delivery_id}/retry/"), None).await;
    assert_eq!(retry.status, 409);
    assert!(retry.body["detail"].as_str().is_some_and(|detail| detail.contains("inactive")), "{}", retry.body);
    server.request("PATCH", &path, Some(json!({"is_active": true}))).await;
    settled(&server, &event_id, "discarded").await;
    let reopened = server.request("POST", &format!("/api/v1/deliveries/{delivery_id}/retry/"), None).await;
    assert_eq!(reopened.status, 202);
    receiver.wait_for(2).await;
}

#[tokio::test]
async fn every_wrong_header_is_named_and_a_mask_is_no_value() {
    let server = Server::start().await;
    let with = |headers: Value| json!({"event_type": "all", "webhook_url": "https://a.example/", "headers": headers});
    let wrong = with(json!({"Host": "x", "X-Ok": "y", "bad name": "z", "X-Hidden": "********"}));
    let answer = server.request("POST", "/api/v1/webhooks/", Some(wrong)).await;
    let message = answer.body["errors"][0]["message"].as_str().expect("a message");
    assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!("headers")));
    for named in ["`Host`", "`bad name`", "`X-Hidden` is the mask"] {
        assert!(message.contains(named), "{message}");
    }
    assert!(!message.contains("X-Ok"), "{message}");
}

#[tokio::test]
async fn a_filter_turns_away_and_counts() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let filters = json!({"client": {"approval_status": "approved"}, "score": {"$gte": 0.5}});
    let (id, _) = subscribe(&server, &receiver.url("/"), json!({"filters": filters})).await;
    let path = format!("/api/v1/webhooks/{id}/");
    assert_eq!(server.get(&path).await["filters"], filters);
    let payload = |score: f64| json!({"client": {"approval_status": "approved"}, "score": score});
    publish(&server, payload(0.4)).await;
    let event_id = publish(&server, payload(0.5)).await;
    settled(&server, &event_id, "delivered").await;
    assert_eq!(server.get(&path).await["filtered_events"], 1);
    assert_eq!(receiver.requests().len(), 1);

    let place = async |filters: Value| {
        let answer = server.request("PATCH", &path, Some(json!({"filters": filters}))).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!("filters")));
        answer.body["errors"][0]["message"].as_str().expect("text").to_owned()
    };
    assert!(place(json!({"a": {"b": {"$near": 1}}})).await.starts_with("a.b.$near: is no operator"));
    assert!(place(json!({"$or": []})).await.starts_with("$or: must not be empty"));
    assert_eq!(server.request("PATCH", &path, Some(json!({"filters": {}}))).await.status, 200);
    publish(&server, payload(0.1)).await;
    receiver.wait_for(2).await;
}
