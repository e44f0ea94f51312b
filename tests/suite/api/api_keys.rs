//! `/api/v1/api-keys/`, and what keys permit.

use std::time::Duration;

use postrider_tests::{Server, eventually};
use rstest::rstest;
use serde_json::json;

use super::assert_answer;

#[tokio::test]
async fn create_list_revoke() {
    let server = Server::start().await;
    let body = json!({"name": "ci", "scopes": ["publish", "read"], "expires_at": "2999-01-01T00:00:00Z"});
    let made = server.request("POST", "/api/v1/api-keys/", Some(body)).await;
    assert_eq!(made.status, 201);
    assert_answer("api_key_created", &made.body);
    assert_answer("api_key_list", &server.get("/api/v1/api-keys/").await);
    let key = made.body["key"].as_str().expect("a key").to_owned();
    assert_eq!(server.request_as(&key, "GET", "/api/v1/webhooks/", None).await.status, 200);
    let path = format!("/api/v1/api-keys/{}/", made.body["id"].as_str().expect("an id"));
    assert_eq!(server.request("DELETE", &path, None).await.status, 200);
    assert_eq!(server.request_as(&key, "GET", "/api/v1/webhooks/", None).await.status, 401, "at once");
    assert_eq!(server.request("DELETE", &path, None).await.status, 404);
}

#[tokio::test]
async fn a_key_ends_when_it_expires() {
    let mut server = Server::start().await;
    let in_an_hour = "2999-01-01T00:00:00Z";
    let body = json!({"name": "k", "scopes": ["read"], "expires_at": in_an_hour});
    let key = server.post("/api/v1/api-keys/", body).await["key"].as_str().expect("a key").to_owned();
    assert_eq!(server.request_as(&key, "GET", "/api/v1/webhooks/", None).await.status, 200);
    server.travel(Duration::from_secs(974 * 366 * 86_400)).await;
    eventually("the key ended", || async {
        (server.request_as(&key, "GET", "/api/v1/webhooks/", None).await.status == 401).then_some(())
    })
    .await;
    let past = json!({"name": "k", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"});
    assert_eq!(server.request("POST", "/api/v1/api-keys/", Some(past)).await.status, 422);
}

#[rstest]
#[case("read", &[("GET", "/api/v1/webhooks/")], &[("POST", "/api/v1/webhooks/"), ("POST", "/api/v1/events/"), ("GET", "/api/v1/tenants/")])]
#[case("publish", &[], &[("GET", "/api/v1/webhooks/"), ("POST", "/api/v1/webhooks/"), ("POST", "/api/v1/webhooks/test/")])]
#[case("manage", &[("GET", "/api/v1/webhooks/"), ("GET", "/api/v1/api-keys/")], &[("POST", "/api/v1/events/"), ("POST", "/api/v1/tenants/")])]
#[case("admin", &[("GET", "/api/v1/webhooks/"), ("GET", "/api/v1/tenants/")], &[])]
#[tokio::test]
async fn scopes_permit_what_they_say(
    #[case] scope: &str,
    #[case] permitted: &[(&str, &str)],
    #[case] refused: &[(&str, &str)],
) {
    let server = Server::start().await;
    let body = json!({"name": "k", "scopes": [scope]});
    let key = server.post("/api/v1/api-keys/", body).await["key"].as_str().expect("a key").to_owned();
    for (method, path) in permitted {
        assert_eq!(server.request_as(&key, method, path, None).await.status, 200, "{scope} {method} {path}");
    }
    for (method, path) in refused {
        assert_eq!(server.request_as(&key, method, path, None).await.status, 403, "{scope} {method} {path}");
    }
    let stronger =
        server.request_as(&key, "POST", "/api/v1/api-keys/", Some(json!({"name": "s", "scopes": ["admin"]}))).await;
    assert_eq!(stronger.status, if scope == "admin" { 201 } else { 403 });
}

#[tokio::test]
async fn it_is_known_when_a_key_was_last_used() {
    let mut server = Server::start().await;
    let made = server.post("/api/v1/api-keys/", json!({"name": "k", "scopes": ["read"]})).await;
    assert_eq!(made["last_used_at"], json!(null));
    let key = made["key"].as_str().expect("a key").to_owned();
    let noted = async |server: &Server| {
        assert_eq!(server.request_as(&key, "GET", "/api/v1/webhooks/", None).await.status, 200);
        let keys = server.get("/api/v1/api-keys/").await;
        let this = keys["api_keys"].as_array().expect("a list").iter().find(|key| key["id"] == made["id"]).cloned();
        this.expect("listed")["last_used_at"].as_str().expect("a time").to_owned()
    };
    let first = noted(&server).await;
    assert_eq!(noted(&server).await, first, "not each use is written down");
    server.travel(Duration::from_secs(120)).await;
    eventually("the later use is noted", || async { (noted(&server).await > first).then_some(()) }).await;
}

#[tokio::test]
async fn who_gives_many_keys_that_nobody_has_must_wait_and_the_others_need_not() {
    let mut server = Server::start().await;
    let other = server.post("/api/v1/api-keys/", json!({"name": "k", "scopes": ["read"]})).await;
    let other = other["key"].as_str().expect("a key").to_owned();
    let mut tried = 0;
    let refused = loop {
        let answer = server.request_as(&format!("wrong-{tried}"), "GET", "/api/v1/webhooks/", None).await;
        if answer.status != 401 {
            break answer;
        }
        tried += 1;
    };
    assert!(tried >= 50, "{tried}");
    assert_eq!((refused.status, refused.headers.contains_key("retry-after")), (429, true));
    assert_eq!(server.request("GET", "/api/v1/webhooks/", None).await.status, 200, "a key that was valid before");
    server.travel(Duration::from_secs(60)).await;
    eventually("a key that was not seen yet is looked up again", || async {
        (server.request_as(&other, "GET", "/api/v1/webhooks/", None).await.status == 200).then_some(())
    })
    .await;
}
