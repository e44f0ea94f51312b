//! `/api/v1/webhooks/test/`.

use postrider_tests::{Receiver, Reply, Server};
use serde_json::{Value, json};

use super::access::UNKNOWN_ID;
use super::assert_answer;
use crate::e2e::deliver::subscribe;

async fn test(server: &Server, body: Value) -> (u16, Value) {
    let answer = server.request("POST", "/api/v1/webhooks/test/", Some(body)).await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn tells_what_came_back() {
    let receiver = Receiver::plain(|_, request| match request.head.split(' ').nth(1) {
        Some("/ok") => Reply::status(200, "ok"),
        Some("/odd") => Reply::status(599, ""),
        Some("/close") => Reply::Close,
        Some("/nonsense") => Reply::RawAndClose(b"SSH-2.0-OpenSSH\r\n".to_vec()),
        _ => Reply::status(404, ""),
    })
    .await;
    let server = Server::start().await;
    for (path, status, message, code) in [
        ("/ok", 200, "Test webhook delivered successfully", json!(200)),
        ("/other", 502, "Test webhook delivery failed: HTTP 404: Not Found", json!(404)),
        ("/odd", 502, "Test webhook delivery failed: HTTP 599", json!(599)),
        ("/close", 502, "Test webhook delivery failed: Connection closed before the response", Value::Null),
        ("/nonsense", 502, "Test webhook delivery failed: The response is not valid HTTP", Value::Null),
    ] {
        let (answered, body) = test(&server, json!({"webhook_url": receiver.url(path)})).await;
        assert_eq!((answered, &body["message"], &body["http_status_code"]), (status, &json!(message), &code), "{path}");
        assert_eq!(body["success"], status == 200);
        assert!(body["log_id"].as_i64().is_some_and(|id| id > 0));
    }
    assert_answer("test_delivered", &test(&server, json!({"webhook_url": receiver.url("/ok")})).await.1);
    let request = receiver.requests().remove(0);
    assert_eq!(request.json()["type"], "test");
    assert_eq!(request.header("webhook-signature"), None, "nobody's secret, no signature");
}

#[tokio::test]
async fn tells_what_kept_it_from_arriving() {
    let server = Server::start().await;
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    let (status, body) = test(&server, json!({"webhook_url": format!("http://127.0.0.1:{port}/")})).await;
    assert_eq!((status, &body["message"]), (502, &json!("Test webhook delivery failed: Connection refused")));
    assert_eq!(body["http_status_code"], Value::Null);
    let (status, body) = test(&server, json!({"webhook_url": "https://nobody.invalid/"})).await;
    let message = "Test webhook delivery failed: DNS lookup failed or address not allowed";
    assert_eq!((status, &body["message"]), (502, &json!(message)));
}

#[tokio::test]
async fn a_hanging_receiver_ends_with_the_timeout() {
    let receiver = Receiver::plain(|_, _| Reply::Hang).await;
    let server = Server::start().await;
    let (id, _) = subscribe(&server, &receiver.url("/"), json!({"timeout_seconds": 1})).await;
    let (status, body) = test(&server, json!({"webhook_id": id})).await;
    assert_eq!((status, &body["message"]), (502, &json!("Test webhook delivery failed: Timed out after 1 s")));
}

#[tokio::test]
async fn uses_the_subscription_that_is_meant() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    let (older, _) = subscribe(&server, &receiver.url("/"), json!({"headers": {"X-Which": "older"}})).await;
    let (newer, _) = subscribe(&server, &receiver.url("/"), json!({"headers": {"X-Which": "newer"}})).await;
    let (status, body) = test(&server, json!({"webhook_id": older})).await;
    assert_eq!((status, &body["webhook_id"]), (200, &json!(older)));
    let (_, body) = test(&server, json!({"webhook_url": receiver.url("/")})).await;
    assert_eq!(body["webhook_id"], json!(newer), "the newest active one with that URL");
    let requests = receiver.requests();
    assert_eq!(requests.iter().map(|r| r.header("x-which")).collect::<Vec<_>>(), [Some("older"), Some("newer")]);
    assert!(requests.iter().all(|request| request.header("webhook-signature").is_some()));
    let stats = server.get(&format!("/api/v1/webhooks/{older}/")).await;
    assert_eq!((&stats["stats"]["total_deliveries"], &stats["last_triggered_at"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn a_url_refused_as_text_makes_no_log() {
    let server = Server::start().await;
    let (status, body) = test(&server, json!({"webhook_url": "https://10.0.0.1/"})).await;
    assert_eq!((status, &body["errors"][0]["field"]), (422, &json!("webhook_url")));
    let (status, _) = test(&server, json!({})).await;
    assert_eq!(status, 422);
    assert_eq!(server.request("GET", "/api/v1/logs/1/", None).await.status, 404);
    let unknown = json!({"webhook_id": UNKNOWN_ID});
    assert_eq!(test(&server, unknown).await.0, 404);
}
