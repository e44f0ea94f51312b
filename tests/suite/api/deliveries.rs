//! `/api/v1/deliveries/`.

use postrider_tests::{Receiver, Reply, Server};
use serde_json::{Value, json};

use super::assert_answer;
use crate::e2e::deliver::{publish, settled, subscribe};

#[tokio::test]
async fn undelivered_is_all_but_delivered() {
    // Apart, so that each has a connection of its own.
    let (content, receiver) = (Receiver::content().await, Receiver::plain(|_, _| Reply::status(500, "")).await);
    let server = Server::start().await;
    let (good, _) = subscribe(&server, &content.url("/good"), json!({})).await;
    let (bad, _) = subscribe(&server, &receiver.url("/bad"), json!({"retry_schedule": []})).await;
    let event_id = publish(&server, json!({})).await;
    postrider_tests::eventually("both ended", || async {
        let event = server.get(&format!("/api/v1/events/{event_id}/")).await;
        (event["delivery_counts"]["pending"] == 0).then_some(())
    })
    .await;
    let webhooks = |query: &'static str| {
        let server = &server;
        async move {
            let list = server.get(&format!("/api/v1/deliveries/?{query}")).await;
            let ids = list["deliveries"].as_array().expect("a list").iter().map(|item| item["webhook_id"].clone());
            ids.collect::<Vec<Value>>()
        }
    };
    assert_eq!(webhooks("status=undelivered").await, [json!(bad)]);
    assert_eq!(webhooks("status=failed").await, [json!(bad)]);
    assert_eq!(webhooks("status=delivered").await, [json!(good)]);
    assert_eq!(webhooks("status=pending").await, Vec::<Value>::new());
    assert_eq!(webhooks("event_type=screening.completed").await.len(), 2);
    assert_eq!(webhooks("event_type=case.opened").await.len(), 0);
    let list = server.get(&format!("/api/v1/deliveries/?webhook_id={bad}")).await;
    assert_answer("delivery_list", &list);
    let id = list["deliveries"][0]["id"].as_str().expect("an id");
    let whole = server.get(&format!("/api/v1/deliveries/{id}/")).await;
    assert_eq!(whole["webhook_url"], receiver.url("/bad"));
    assert_answer("delivery", &whole);
}

#[tokio::test]
async fn a_pending_delivery_is_tried_again_by_itself() {
    let receiver = Receiver::plain(|_, _| Reply::status(500, "")).await;
    let server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let event_id = publish(&server, json!({})).await;
    let event = settled(&server, &event_id, "pending").await;
    let id = event["deliveries"][0]["id"].as_str().expect("an id");
    let retry = format!("/api/v1/deliveries/{id}/retry/");
    assert_eq!(server.request("POST", &retry, Some(json!({"when": "now"}))).await.status, 422);
    let answer = server.request("POST", &retry, None).await;
    assert_eq!(answer.status, 409);
    assert!(answer.body["detail"].as_str().is_some_and(|detail| detail.contains("pending")));
}
