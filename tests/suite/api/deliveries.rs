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

#[tokio::test]
async fn the_request_is_shown_as_it_was_sent() {
    let server = Server::start().await;
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let (_, secret) = subscribe(&server, &receiver.url("/hook"), json!({"headers": {"X-Team": "aml's"}})).await;
    let event = publish(&server, json!({"name": "O'Hara", "n": 1.50})).await;
    let event = settled(&server, &event, "delivered").await;
    let got = receiver.wait_for(1).await.remove(0);
    let path = format!("/api/v1/deliveries/{}/request/", event["deliveries"][0]["id"].as_str().expect("an id"));
    let shown = server.get(&path).await;
    assert_eq!(shown["body"].as_str().map(str::as_bytes), Some(got.body.as_slice()), "byte for byte");
    assert_eq!(shown["url"], receiver.url("/hook"));
    let secret = postrider_core::secret::SigningSecret::parse(&secret).expect("a secret");
    let (id, stamp) = (got.header("webhook-id").expect("sent"), got.header("webhook-timestamp").expect("sent"));
    let signed = shown["signed_content"].as_str().expect("text");
    assert_eq!(signed, format!("{id}.{stamp}.{}", String::from_utf8_lossy(&got.body)));
    let at = postrider_core::Timestamp::from_micros(stamp.parse::<i64>().expect("a number") * 1_000_000);
    let signature = got.header("webhook-signature").expect("sent");
    assert!(postrider_core::signature::verify(&secret, id, at, &got.body, signature));
    // What is masked stays so, and the command is one that a shell understands.
    let command = shown["curl"].as_str().expect("text").to_owned();
    assert!(!command.contains("aml's"), "{command}");
    let told = format!("curl() {{ for word; do printf '%s\\0' \"$word\"; done; }}; {command}");
    let output = tokio::process::Command::new("sh").arg("-c").arg(told).output().await.expect("a shell");
    let words: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
    assert!(words.contains(&got.body.as_slice()), "{output:?}");
    assert!(words.contains(&receiver.url("/hook").as_bytes()), "{output:?}");
    // Whoever may not see all of the payload sees nothing of it here.
    let tenant = server.get("/api/v1/tenants/").await["tenants"][0]["id"].as_str().expect("an id").to_owned();
    let hide = json!({"redacted_paths": ["name"]});
    assert_eq!(server.request("PATCH", &format!("/api/v1/tenants/{tenant}/"), Some(hide)).await.status, 200);
    let key = server.post("/api/v1/api-keys/", json!({"name": "k", "scopes": ["read"]})).await;
    let hidden = server.request_as(key["key"].as_str().expect("a key"), "GET", &path, None).await.body;
    assert_eq!(
        (&hidden["body"], &hidden["signed_content"], &hidden["curl"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
}
