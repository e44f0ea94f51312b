//! Killed without warning, and started again.

use std::collections::HashSet;
use std::sync::Arc;

use postrider_tests::{Receiver, Reply, Server, eventually};
use serde_json::json;

use super::deliver::{publish, settled, subscribe};

#[tokio::test]
async fn nothing_accepted_is_lost() {
    let receiver = Receiver::content().await;
    let server = Arc::new(Server::start().await);
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let publishers: Vec<_> = (0..8)
        .map(|publisher| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let mut accepted = Vec::new();
                for n in 0.. {
                    let body = json!({"event_type": "screening.completed", "payload": {"p": publisher, "n": n}});
                    match server.try_request(server.key(), "POST", "/api/v1/events/", Some(body)).await {
                        Ok(answer) if answer.status == 202 => {
                            accepted.push(answer.body["id"].as_str().expect("an id").to_owned());
                        }
                        _ => break,
                    }
                }
                accepted
            })
        })
        .collect();
    receiver.wait_for(300).await;
    server.signal("KILL").await;
    let mut accepted = HashSet::new();
    for publisher in publishers {
        accepted.extend(publisher.await.expect("no panic"));
    }
    let options = Arc::into_inner(server).expect("the only one").kill().await;
    let server = Server::start_with(options).await;
    eventually("everything accepted arrived", || async {
        let arrived: HashSet<String> =
            receiver.requests().iter().filter_map(|request| request.header("webhook-id").map(str::to_owned)).collect();
        accepted.is_subset(&arrived).then_some(())
    })
    .await;
    eventually("nothing is undelivered", || async {
        let list = server.get("/api/v1/deliveries/?status=undelivered").await;
        (list["deliveries"] == json!([])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_in_flight_is_sent_again_at_once() {
    let receiver = Receiver::plain(|n, _| if n == 0 { Reply::Hang } else { Reply::status(200, "") }).await;
    let server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let event_id = publish(&server, json!({})).await;
    receiver.wait_for(1).await;
    let server = Server::start_with(server.kill().await).await;
    let requests = receiver.wait_for(2).await;
    assert_eq!(requests[0].body, requests[1].body);
    let event = settled(&server, &event_id, "delivered").await;
    assert_eq!(event["deliveries"][0]["attempts"].as_array().map(Vec::len), Some(1), "the first left no record");
}

#[tokio::test]
async fn an_idempotency_key_survives() {
    let server = Server::start().await;
    let body = json!({"event_type": "case.opened", "payload": {}, "idempotency_key": "k"});
    let first = server.request("POST", "/api/v1/events/", Some(body.clone())).await;
    let server = Server::start_with(server.kill().await).await;
    let again = server.request("POST", "/api/v1/events/", Some(body)).await;
    assert_eq!((again.status, &again.body["id"]), (200, &first.body["id"]));
}
