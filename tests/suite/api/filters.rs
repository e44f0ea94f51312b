//! `/api/v1/filters/test/`.

use postrider_tests::Server;
use serde_json::{Value, json};

use crate::e2e::deliver::publish;

#[tokio::test]
async fn a_filter_is_tried_on_the_newest_events() {
    let server = Server::start().await;
    publish(&server, json!({"score": 0.2, "client": {"name": "A"}})).await;
    let high = publish(&server, json!({"score": 0.9})).await;
    let body = json!({"filters": {"score": {"$gte": 0.5}}, "event_type": "screening.completed"});
    let tried = server.post("/api/v1/filters/test/", body).await;
    let results = tried["results"].as_array().expect("a list");
    assert_eq!((&results[0]["event_id"], &results[0]["passes"]), (&json!(high), &json!(true)));
    assert_eq!((&results[1]["passes"], &results[1]["failing_place"]), (&json!(false), &json!("score.$gte")));
    let other = server.post("/api/v1/filters/test/", json!({"filters": {}, "event_type": "case.completed"})).await;
    assert_eq!(other["results"], json!([]));
    let all = server.post("/api/v1/filters/test/", json!({"filters": {}, "event_type": "all"})).await;
    assert_eq!(all["results"].as_array().map(Vec::len), Some(2));
    for (body, field) in [
        (json!({}), "filters"),
        (json!({"filters": {"a": {"$no": 1}}}), "filters"),
        (json!({"filters": {}, "event_type": "case.complete"}), "event_type"),
    ] {
        let answer = server.request("POST", "/api/v1/filters/test/", Some(body.clone())).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!(field)), "{body}");
        assert_ne!(answer.body["errors"][0]["message"], Value::Null);
    }
}
