//! `/api/v1/logs/`.

use postrider_tests::{Receiver, Reply, Server};
use serde_json::json;

use super::assert_answer;

#[tokio::test]
async fn one_attempt_whole() {
    let receiver = Receiver::plain(|_, _| {
        Reply::Raw(
            b"HTTP/1.1 418 X\r\nContent-Length: 4\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n\x00\xff\xfe\n".to_vec(),
        )
    })
    .await;
    let server = Server::start().await;
    let tested =
        server.request("POST", "/api/v1/webhooks/test/", Some(json!({"webhook_url": receiver.url("/")}))).await;
    let path = format!("/api/v1/logs/{}/", tested.body["log_id"]);
    let log = server.get(&path).await;
    assert_eq!(log["response_headers"]["Set-Cookie"], "a=1, b=2");
    assert_eq!((&log["response_body"], &log["response_body_encoding"]), (&json!("AP/+Cg=="), &json!("base64")));
    assert_answer("log", &log);
    for unknown in ["0", "-1", "999999", "x", "9223372036854775808"] {
        assert_eq!(server.request("GET", &format!("/api/v1/logs/{unknown}/"), None).await.status, 404, "{unknown}");
    }
}

#[tokio::test]
async fn a_body_is_kept_up_to_its_cap() {
    let receiver = Receiver::plain(|_, _| Reply::status(500, &"x".repeat(100_000))).await;
    let server = Server::start().await;
    let tested =
        server.request("POST", "/api/v1/webhooks/test/", Some(json!({"webhook_url": receiver.url("/")}))).await;
    let log = server.get(&format!("/api/v1/logs/{}/", tested.body["log_id"])).await;
    assert_eq!(log["response_body"].as_str().map(str::len), Some(16 * 1024));
}
