//! `/api/v1/events/`.

use postrider_tests::{Receiver, Server, all_at_once};
use serde_json::{Value, json};

use super::assert_answer;
use super::tenants::other_tenant;
use crate::e2e::deliver::{publish, settled, subscribe};

#[tokio::test]
async fn publish_and_look() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    subscribe(&server, &receiver.url("/hook"), json!({})).await;
    let body = json!({
        "event_type": "screening.completed", "payload": {"id": "scr-1", "result": "clear"},
        "occurred_at": "2026-01-19T10:30:00+07:00", "expires_at": "2999-01-01T00:00:00Z",
        "metadata": {"order": 7}, "idempotency_key": "k-1",
    });
    let accepted = server.request("POST", "/api/v1/events/", Some(body)).await;
    assert_eq!(accepted.status, 202);
    assert_answer("event_accepted", &accepted.body);
    let id = accepted.body["id"].as_str().expect("an id");
    assert_answer("event", &settled(&server, id, "delivered").await);
    assert_answer("event_list", &server.get("/api/v1/events/?resource_id=scr-1").await);
    assert_eq!(receiver.requests()[0].json()["timestamp"], "2026-01-19T03:30:00.000000+00:00");
}

#[tokio::test]
async fn numbers_and_key_order_pass_through() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let payload = r#"{"z": 1.10, "big":12345678901234567890, "a":[ -0, 1E5 ], "s":"\u00e9 é \u2028", "z2":null}"#;
    let body = format!(r#"{{"event_type": "screening.completed", "payload": {payload}}}"#);
    let answer = server
        .custom(|client, base| {
            let request = client.post(format!("{base}/api/v1/events/")).bearer_auth(server.key());
            request.header("content-type", "application/json").body(body)
        })
        .await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let sent = String::from_utf8(receiver.wait_for(1).await[0].body.clone()).expect("text");
    let data = r#""data":{"z":1.10,"big":12345678901234567890,"a":[-0,1E5],"s":"\u00e9 é \u2028","z2":null}}"#;
    assert!(sent.ends_with(data), "{sent}");
}

#[tokio::test]
async fn the_same_key_answers_the_same() {
    let server = Server::start().await;
    let body = json!({"event_type": "case.opened", "payload": {"n": 1}, "idempotency_key": "k"});
    let first = server.request("POST", "/api/v1/events/", Some(body.clone())).await;
    let again = server.request("POST", "/api/v1/events/", Some(body.clone())).await;
    assert_eq!((first.status, again.status), (202, 200));
    assert_eq!((&again.body["id"], &again.body["duplicate"]), (&first.body["id"], &json!(true)));
    let other = json!({"event_type": "case.opened", "payload": {"n": 2}, "idempotency_key": "k"});
    assert_eq!(server.request("POST", "/api/v1/events/", Some(other)).await.status, 409);
    let by_header = server
        .custom(|client, base| {
            let request = client.post(format!("{base}/api/v1/events/")).bearer_auth(server.key());
            request.header("Idempotency-Key", "k").json(&json!({"event_type": "case.opened", "payload": {"n": 1}}))
        })
        .await;
    assert_eq!((by_header.status, &by_header.body["id"]), (200, &first.body["id"]));
    assert_eq!(server.get("/api/v1/events/").await["events"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_hundred_identical_publishes_make_one_event() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let body = json!({"event_type": "screening.completed", "payload": {}, "idempotency_key": "race"});
    let answers = all_at_once((0..100).map(|_| server.request("POST", "/api/v1/events/", Some(body.clone())))).await;
    let mut counts = (0, 0);
    for answer in &answers {
        assert_eq!(answer.body["id"], answers[0].body["id"]);
        match answer.status {
            202 => counts.0 += 1,
            200 => counts.1 += 1,
            other => panic!("{other}: {}", answer.body),
        }
    }
    assert_eq!(counts, (1, 99));
    settled(&server, answers[0].body["id"].as_str().expect("an id"), "delivered").await;
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn a_batch_stands_event_by_event() {
    let server = Server::start().await;
    let good = |n: i64| json!({"event_type": "case.opened", "payload": {"n": n}});
    let events = json!([good(1), {"event_type": "nope", "payload": []}, good(2), 7]);
    let answer = server.request("POST", "/api/v1/events/batch/", Some(json!({"events": events}))).await;
    assert_eq!(answer.status, 202);
    assert_answer("event_batch", &answer.body);
    for wrong in [json!({"events": []}), json!({"events": vec![good(0); 1001]}), json!({"events": {}}), json!({})] {
        assert_eq!(server.request("POST", "/api/v1/events/batch/", Some(wrong)).await.status, 422);
    }
}

/// It is taken a few events at a time then.
#[tokio::test]
async fn beside_another_tenant_a_batch_is_answered_in_order() {
    let server = Server::start().await;
    let (_, key) = other_tenant(&server, "other", &["publish"]).await;
    let event = |n: i64| json!({"event_type": "case.opened", "payload": {"id": format!("case-{n}")}});
    let theirs = server.request_as(&key, "POST", "/api/v1/events/", Some(event(99))).await;
    assert_eq!(theirs.status, 202);
    let mut events: Vec<Value> = (0..200).map(event).collect();
    events[107] = json!({"event_type": "nope"});
    let answer = server.request("POST", "/api/v1/events/batch/", Some(json!({"events": events}))).await;
    let results = answer.body["results"].as_array().expect("results");
    assert_eq!((answer.status, results.len()), (202, 200));
    let taken = |result: &Value| result["id"].is_string();
    assert!(results.iter().enumerate().all(|(n, result)| taken(result) == (n != 107)), "{}", answer.body);
    for n in [0, 106, 108, 199] {
        let id = results[n]["id"].as_str().expect("an id");
        let event = server.get(&format!("/api/v1/events/{id}/")).await;
        assert_eq!(event["resource_id"], format!("case-{n}"));
    }
}

#[tokio::test]
async fn what_cannot_be_published() {
    let server = Server::start().await;
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    for (body, status) in [
        (r#"{"event_type": "all", "payload": {}}"#.to_owned(), 422),
        (r#"{"event_type": "test", "payload": {}}"#.to_owned(), 422),
        (r#"{"event_type": "case.opened", "payload": [1]}"#.to_owned(), 422),
        (r#"{"event_type": "case.opened"}"#.to_owned(), 422),
        (r#"{"event_type": "case.opened", "payload": {"a": "\ud800"}}"#.to_owned(), 422),
        (r#"{"event_type": "case.opened", "payload": {}, "occurred_at": "yesterday"}"#.to_owned(), 422),
        (r#"{"event_type": "case.opened", "payload": {}, "idempotency_key": ""}"#.to_owned(), 422),
        (format!(r#"{{"event_type": "case.opened", "payload": {{}}, "idempotency_key": "{}"}}"#, "x".repeat(256)), 422),
        (format!(r#"{{"event_type": "case.opened", "payload": {{"a": {deep}}}}}"#), 422),
        (r#"{"event_type": "case.opened", "payload": {}"#.to_owned(), 400),
        (r#"["case.opened"]"#.to_owned(), 400),
    ] {
        let answer = server
            .custom(|client, base| {
                let request = client.post(format!("{base}/api/v1/events/")).bearer_auth(server.key());
                request.header("content-type", "application/json").body(body.clone())
            })
            .await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
    }
    assert_eq!(server.get("/api/v1/events/").await["events"], json!([]));
}

#[tokio::test]
async fn lists_filter_and_page() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let (webhook_id, _) = subscribe(&server, &receiver.url("/"), json!({})).await;
    let delivered = publish(&server, json!({"id": "r-1"})).await;
    settled(&server, &delivered, "delivered").await;
    server.post("/api/v1/events/", json!({"event_type": "case.opened", "payload": {"id": "r-2"}})).await;
    let ids = |query: String| {
        let server = &server;
        async move {
            let list = server.get(&format!("/api/v1/events/?{query}")).await;
            let ids = list["events"].as_array().expect("a list").iter().map(|event| event["resource_id"].clone());
            ids.collect::<Vec<Value>>()
        }
    };
    assert_eq!(ids(String::new()).await, ["r-2", "r-1"], "newest first");
    assert_eq!(ids("event_type=case.opened".to_owned()).await, ["r-2"]);
    assert_eq!(ids("resource_id=r-1&event_type=screening.completed".to_owned()).await, ["r-1"]);
    assert_eq!(ids(format!("webhook_id={webhook_id}")).await, ["r-1"]);
    assert_eq!(ids("status=delivered".to_owned()).await, ["r-1"]);
    assert_eq!(ids("status=undelivered".to_owned()).await, Vec::<Value>::new());
    assert_eq!(ids("since=2999-01-01T00:00:00Z".to_owned()).await, Vec::<Value>::new());
    assert_eq!(ids("until=2999-01-01T00:00:00Z".to_owned()).await.len(), 2);
    let first = server.get("/api/v1/events/?limit=1").await;
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let second = server.get(&format!("/api/v1/events/?limit=1&cursor={cursor}")).await;
    assert_eq!((&second["events"][0]["resource_id"], &second["next_cursor"]), (&json!("r-1"), &Value::Null));
    for query in ["status=lost", "webhook_id=x", "since=now", "nonsense=1"] {
        assert_eq!(server.request("GET", &format!("/api/v1/events/?{query}"), None).await.status, 422, "{query}");
    }
}

#[tokio::test]
async fn replay_makes_what_a_late_subscription_missed() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let event_id = publish(&server, json!({})).await;
    let (webhook_id, _) = subscribe(&server, &receiver.url("/"), json!({})).await;
    let path = format!("/api/v1/events/{event_id}/replay/");
    let nothing = server.request("POST", &path, None).await;
    assert_eq!((nothing.status, &nothing.body["deliveries"]), (202, &json!(0)));
    let replayed = server.request("POST", &path, Some(json!({"webhook_id": webhook_id}))).await;
    assert_eq!((replayed.status, &replayed.body["deliveries"]), (202, &json!(1)));
    receiver.wait_for(1).await;
    settled(&server, &event_id, "delivered").await;
    assert_eq!(server.request("POST", &path, None).await.body["deliveries"], 1);
    let requests = receiver.wait_for(2).await;
    assert_eq!(requests[0].body, requests[1].body);
}

#[tokio::test]
async fn metadata_keeps_its_numbers_and_depth_in_lists() {
    let server = Server::start().await;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(120), "}".repeat(120));
    let metadata = format!(r#"{{"big":12345678901234567890123,"price":1.10,"deep":{deep}}}"#);
    let body = format!(r#"{{"event_type": "case.opened", "payload": {{}}, "metadata": {metadata}}}"#);
    let published = server
        .custom(|client, base| {
            let request = client.post(format!("{base}/api/v1/events/")).bearer_auth(server.key());
            request.header("content-type", "application/json").body(body)
        })
        .await;
    assert_eq!(published.status, 202, "{}", published.body);
    let request = reqwest::Client::new().get(format!("{}/api/v1/events/", server.base())).bearer_auth(server.key());
    let listed = request.send().await.expect("an answer").text().await.expect("a body");
    assert!(listed.contains(&metadata), "{listed}");
}

#[tokio::test]
async fn a_time_beyond_the_calendar_is_refused() {
    let server = Server::start().await;
    let body = json!({"event_type": "case.opened", "payload": {}, "occurred_at": "9999-12-31T23:59:59-01:00"});
    let answer = server.request("POST", "/api/v1/events/", Some(body)).await;
    assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!("occurred_at")));
}

#[tokio::test]
async fn an_event_is_explained() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let (picky, _) = subscribe(&server, &receiver.url("/picky"), json!({"filters": {"score": {"$gt": 1}}})).await;
    let (plain, _) = subscribe(&server, &receiver.url("/plain"), json!({})).await;
    let event_id = publish(&server, json!({"score": 1})).await;
    settled(&server, &event_id, "delivered").await;
    let explain = async |webhook_id: &str| {
        server.request("GET", &format!("/api/v1/events/{event_id}/explain/?webhook_id={webhook_id}"), None).await
    };
    let turned_away = explain(&picky).await;
    assert_eq!(turned_away.status, 200);
    assert_eq!((&turned_away.body["verdict"], &turned_away.body["delivery"]), (&json!("not_sent"), &Value::Null));
    let sentence = "No delivery was made: the filter turns it away at `score.$gt`.";
    assert_eq!(turned_away.body["explanation"], sentence);
    let checks = turned_away.body["checks"].as_array().expect("checks").iter();
    let checks: Vec<_> = checks.map(|check| (check["check"].as_str().expect("text"), &check["passed"])).collect();
    let names = ["created", "not_deleted", "event_type", "active", "profile_condition", "filters"];
    assert_eq!(checks.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    assert!(checks.iter().all(|(name, passed)| **passed == json!(*name != "filters")), "{checks:?}");
    let delivered = explain(&plain).await.body;
    assert_eq!(delivered["verdict"], "delivered");
    assert_eq!(delivered["delivery"]["attempts"][0]["http_status_code"], 200);
    assert!(delivered["checks"].as_array().expect("checks").iter().all(|check| check["passed"] == true));
    assert_eq!(explain("01a1fe8e-0840-7102-969b-35cac5c78673").await.status, 404);
    let without = server.request("GET", &format!("/api/v1/events/{event_id}/explain/"), None).await;
    assert_eq!((without.status, &without.body["errors"][0]["field"]), (422, &json!("webhook_id")));
}

#[tokio::test]
async fn a_key_for_a_whole_batch_is_refused() {
    let server = Server::start().await;
    let events = json!({"events": [{"event_type": "case.opened", "payload": {}}]});
    let answer = server
        .custom(|client, base| {
            let request = client.post(format!("{base}/api/v1/events/batch/")).bearer_auth(server.key());
            request.header("Idempotency-Key", "k").json(&events)
        })
        .await;
    assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!("Idempotency-Key")));
}

#[tokio::test]
async fn a_key_covers_what_was_asked_and_not_what_was_filled_in() {
    let server = Server::start().await;
    let body = json!({"event_type": "case.opened", "payload": {}, "webhook_url": "https://a.example/",
        "idempotency_key": "k"});
    let first = server.request("POST", "/api/v1/events/", Some(body.clone())).await;
    let tenants = server.get("/api/v1/tenants/").await;
    let path = format!("/api/v1/tenants/{}/", tenants["tenants"][0]["id"].as_str().expect("an id"));
    server.request("PATCH", &path, Some(json!({"default_profile": "casekeeper"}))).await;
    let again = server.request("POST", "/api/v1/events/", Some(body)).await;
    assert_eq!((again.status, &again.body["id"]), (200, &first.body["id"]));
    let event = server.get(&format!("/api/v1/events/{}/", first.body["id"].as_str().expect("an id"))).await;
    assert_eq!(event["profile"], "standard");
}
