//! What holds for every request.

use postrider_tests::Server;
use serde_json::json;

use super::assert_answer;

#[tokio::test]
async fn problems_look_alike() {
    let server = Server::start().await;
    assert_answer("problem_not_found", &server.request("GET", "/api/v1/nothing/", None).await.body);
    assert_answer("problem_unauthorized", &server.request_as("wrong", "GET", "/api/v1/webhooks/", None).await.body);
    let wrong_method = server.request("PUT", "/api/v1/webhooks/", None).await;
    assert_eq!(wrong_method.status, 405);
    assert!(wrong_method.headers.contains_key("allow"));
    assert_answer("problem_method", &wrong_method.body);
    let plain = server.custom(|client, base| {
        client.post(format!("{base}/api/v1/webhooks/")).bearer_auth(server.key()).body("event_type=x")
    });
    let plain = plain.await;
    assert_eq!(plain.status, 415);
    assert_answer("problem_media_type", &plain.body);
    let anonymous = server.custom(|client, base| client.get(format!("{base}/api/v1/webhooks/"))).await;
    assert_eq!((anonymous.status, &anonymous.headers["www-authenticate"]), (401, &"Bearer".parse().expect("plain")));
}

#[tokio::test]
async fn a_path_that_is_no_text_names_nothing() {
    let server = Server::start().await;
    for path in ["/api/v1/webhooks/%FF/", "/api/v1/events/%FF/", "/api/v1/logs/%ff/"] {
        let answer = server.request("GET", path, None).await;
        assert_eq!((answer.status, &answer.body["title"]), (404, &json!("Not found")), "{path}");
    }
}

#[tokio::test]
async fn parameters_are_judged_and_a_plus_may_be_a_space() {
    let server = Server::start().await;
    for (query, status) in [
        ("since=2026-01-01T00:00:00+00:00", 200),
        ("since=2026-01-01T00:00:00%2B00:00", 200),
        ("since=yesterday", 422),
        ("event_type=a%00b", 422),
        ("limit=251", 422),
        ("nonsense=1", 422),
    ] {
        let answer = server.request("GET", &format!("/api/v1/deliveries/?{query}"), None).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_large_body_is_read_and_refused() {
    let server = Server::start().await;
    for (length, status) in [(1024 * 1024 - 100, 422), (1024 * 1024 + 1, 413), (7 * 1024 * 1024, 413)] {
        let body = format!(r#"{{"event_type": "nope", "payload": {{"a": "{}"}}}}"#, "x".repeat(length - 43));
        let answer = server
            .custom(|client, base| {
                let request = client.post(format!("{base}/api/v1/events/")).bearer_auth(server.key());
                request.header("content-type", "application/json").body(body)
            })
            .await;
        assert_eq!(answer.status, status, "{length}");
    }
}

#[tokio::test]
async fn every_answer_has_its_request_id() {
    let server = Server::start().await;
    for path in ["/healthz", "/api/v1/webhooks/", "/nothing"] {
        let answer = server.request("GET", path, None).await;
        assert!(answer.headers.contains_key("x-request-id"), "{path}");
    }
    let named =
        server.custom(|client, base| client.get(format!("{base}/nothing")).header("X-Request-Id", "mine-1")).await;
    assert_eq!(
        (&named.headers["x-request-id"], &named.body["request_id"]),
        (&"mine-1".parse().expect("plain"), &json!("mine-1"))
    );
    let unfit = server.custom(|client, base| client.get(format!("{base}/nothing")).header("X-Request-Id", "a b")).await;
    assert_ne!(unfit.headers["x-request-id"], "a b");
}

#[tokio::test]
async fn with_and_without_a_trailing_slash() {
    let server = Server::start().await;
    for path in ["/api/v1/webhooks", "/api/v1/webhooks/", "/api/v1/events?limit=1", "/api/v1/events/?limit=1"] {
        assert_eq!(server.request("GET", path, None).await.status, 200, "{path}");
    }
}
