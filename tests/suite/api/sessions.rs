//! `/api/v1/session/`, `/api/v1/users/` and `/api/v1/portal-links/`: people instead of keys.

use std::time::Duration;

use postrider_tests::{Browser, Server, ServerOptions, eventually};
use reqwest::header::{RETRY_AFTER, SET_COOKIE};
use serde_json::{Value, json};

use super::access::UNKNOWN_ID;
use super::tenants::other_tenant;

const HOUR: Duration = Duration::from_secs(3600);
const WEBHOOKS: &str = "/api/v1/webhooks/";

fn new_webhook() -> Option<Value> {
    Some(json!({"event_type": "screening.completed", "webhook_url": "https://a.example/"}))
}

/// The status once it is another than it was: time travels beside the requests.
async fn ends(browser: &Browser<'_>) {
    eventually("the session ends", || async {
        (browser.call("GET", "/api/v1/session/", None).await.status == 401).then_some(())
    })
    .await;
}

/// The day and the hour of the server.
async fn now(server: &Server) -> String {
    let made = server.post("/api/v1/api-keys/", json!({"name": "now", "scopes": ["read"]})).await;
    made["created_at"].as_str().expect("a time")[..13].to_owned()
}

#[tokio::test]
async fn whoever_signs_in_is_known_until_they_sign_out() {
    let server = Server::start().await;
    let browser = Browser::of(&server, "anna", "operator-admin", None).await;
    let session = browser.call("GET", "/api/v1/session/", None).await;
    assert_eq!(
        (session.status, &session.body["name"], &session.body["role"]),
        (200, &json!("anna"), &json!("operator-admin"))
    );
    assert_eq!(browser.call("GET", WEBHOOKS, None).await.status, 200);
    assert_eq!(browser.call("POST", WEBHOOKS, new_webhook()).await.status, 201);
    let out = browser.call("DELETE", "/api/v1/session/", None).await;
    assert_eq!(out.status, 200);
    let cookies = out.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    assert!(cookies.into_iter().all(|cookie| cookie.contains("Max-Age=0")), "the browser forgets it, too");
    assert_eq!(browser.call("GET", WEBHOOKS, None).await.status, 401, "the server has forgotten it");
    let actions = server.get("/api/v1/audit/").await;
    let actions: Vec<(&Value, &Value)> = actions["audit"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| (&entry["action"], &entry["actor_name"]))
        .collect();
    for action in ["session.begun", "webhook.created", "session.ended"] {
        assert!(actions.contains(&(&json!(action), &json!("anna"))), "{action} in {actions:?}");
    }
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_look_alike() {
    let server = Server::start().await;
    let anna = Browser::of(&server, "anna", "operator", None).await;
    let mut stranger = Browser::new(&server);
    let mut answers = Vec::new();
    for name in ["anna", "nobody"] {
        let answer = stranger.sign_in(json!({"name": name, "password": "wrong wrong wrong"})).await;
        assert!(answer.status == 401 && answer.headers.get(SET_COOKIE).is_none(), "{}", answer.body);
        answers.push(answer.body["detail"].clone());
    }
    assert_eq!(answers[0], answers[1]);
    // A session that was there before is not the one afterwards: nobody can have planted it.
    let mut planted = Browser::new(&server);
    planted.cookie = anna.cookie.clone();
    planted.sign_in(json!({"name": "anna", "password": "correct horse battery"})).await;
    assert_ne!(planted.cookie, anna.cookie);
    assert_eq!(anna.call("GET", WEBHOOKS, None).await.status, 401, "the old id is nobody's");
}

#[tokio::test]
async fn the_cookie_is_for_this_host_and_for_no_script() {
    for (dev, expected) in [
        (true, ["postrider=", "HttpOnly", "SameSite=Lax", "Path=/"].as_slice()),
        (false, &["__Host-postrider=", "HttpOnly", "SameSite=Lax", "Secure", "Path=/"]),
    ] {
        let server = Server::start_with(ServerOptions { dev, ..ServerOptions::default() }).await;
        let user = json!({"name": "anna", "password": "correct horse battery", "role": "operator"});
        server.post("/api/v1/users/", user.clone()).await;
        let body = Some(json!({"name": "anna", "password": "correct horse battery"}));
        // Whoever ends TLS in front of it leaves the host as it is.
        let origin = server.base().replace("http://", if dev { "http://" } else { "https://" });
        let headers = [("Origin", origin.as_str())];
        let answer = Browser::new(&server).call_with("POST", "/api/v1/session/", body, &headers).await;
        let cookie = answer.headers[SET_COOKIE].to_str().expect("text").to_owned();
        let parts: Vec<&str> = cookie.split("; ").collect();
        assert!(parts[0].starts_with(expected[0]), "{cookie}");
        assert!(expected[1..].iter().all(|part| parts.contains(part)), "{cookie}");
        assert_eq!(parts.len(), expected.len(), "no domain, no lifetime: {cookie}");
    }
}

#[tokio::test]
async fn a_change_needs_the_token_and_our_own_page() {
    let server = Server::start().await;
    let browser = Browser::of(&server, "anna", "operator-admin", None).await;
    let (token, ours) = (browser.token.as_str(), server.base());
    let refused: [&[(&str, &str)]; 5] = [
        &[("Origin", ours)],
        &[("Origin", ours), ("X-CSRF-Token", "wrong")],
        &[("Origin", "https://evil.example"), ("X-CSRF-Token", token)],
        &[("Origin", "null"), ("X-CSRF-Token", token)],
        &[("Sec-Fetch-Site", "cross-site"), ("X-CSRF-Token", token)],
    ];
    for headers in refused {
        let answer = browser.call_with("POST", WEBHOOKS, new_webhook(), headers).await;
        assert_eq!((answer.status, &answer.body["title"]), (403, &json!("CSRF check failed")), "{headers:?}");
    }
    assert_eq!(browser.call_with("POST", WEBHOOKS, new_webhook(), &[("X-CSRF-Token", token)]).await.status, 201);
    assert_eq!(browser.call_with("GET", WEBHOOKS, None, &[]).await.status, 200, "to look needs none");
    let sign_in = Some(json!({"name": "anna", "password": "correct horse battery"}));
    let elsewhere = [("Origin", "https://evil.example")];
    assert_eq!(Browser::new(&server).call_with("POST", "/api/v1/session/", sign_in, &elsewhere).await.status, 403);
    // A key is sent by no browser by itself.
    let by_key = browser.call_with("POST", WEBHOOKS, new_webhook(), &[("X-API-Key", server.key())]).await;
    assert_eq!(by_key.status, 201);
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_or_a_week_old() {
    let mut server = Server::start().await;
    let user = json!({"name": "anna", "password": "correct horse battery", "role": "operator"});
    server.post("/api/v1/users/", user).await;
    let sign_in = json!({"name": "anna", "password": "correct horse battery"});
    let mut browser = Browser::new(&server);
    browser.sign_in(sign_in.clone()).await;
    let (cookie, token) = (browser.cookie, browser.token);
    server.travel(8 * HOUR).await;
    let browser = Browser { cookie, token, ..Browser::new(&server) };
    ends(&browser).await;
    let mut browser = Browser::new(&server);
    browser.sign_in(sign_in).await;
    let (cookie, token) = (browser.cookie, browser.token);
    for _ in 0..23 {
        let before = now(&server).await;
        server.travel(7 * HOUR).await;
        eventually("time has passed", || async { (now(&server).await != before).then_some(()) }).await;
        let browser = Browser { cookie: cookie.clone(), token: token.clone(), ..Browser::new(&server) };
        assert_eq!(browser.call("GET", "/api/v1/session/", None).await.status, 200, "they were there");
    }
    server.travel(7 * HOUR).await;
    ends(&Browser { cookie, token, ..Browser::new(&server) }).await;
}

#[tokio::test]
async fn a_new_password_and_a_removal_end_what_was_begun() {
    let server = Server::start().await;
    let browser = Browser::of(&server, "anna", "operator", None).await;
    let id = server.get("/api/v1/users/").await["users"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/users/{id}/");
    let change = json!({"password": "another one entirely"});
    assert_eq!(server.request("PATCH", &path, Some(change)).await.status, 200);
    ends(&browser).await;
    let mut browser = Browser::new(&server);
    assert_eq!(browser.sign_in(json!({"name": "anna", "password": "correct horse battery"})).await.status, 401);
    assert_eq!(browser.sign_in(json!({"name": "anna", "password": "another one entirely"})).await.status, 201);
    assert_eq!(server.request("DELETE", &path, None).await.status, 200);
    ends(&browser).await;
    assert_eq!(server.request("DELETE", &path, None).await.status, 404);
}

#[tokio::test]
async fn a_role_permits_what_it_says() {
    let server = Server::start().await;
    let (other, _) = other_tenant(&server, "other", &["read"]).await;
    let tenants = server.get("/api/v1/tenants/").await;
    let own = tenants["tenants"].as_array().expect("tenants").iter().find(|tenant| tenant["name"] == "default");
    let own = own.expect("there")["id"].as_str().expect("an id").to_owned();
    let change = json!({"redacted_paths": ["client"]});
    assert_eq!(server.request("PATCH", &format!("/api/v1/tenants/{own}/"), Some(change)).await.status, 200);
    let event = json!({"event_type": "screening.completed", "payload": {"client": "Ada"}});
    let event = server.post("/api/v1/events/", event).await["id"].as_str().expect("an id").to_owned();
    // Looks, changes, sees what is hidden, goes to other tenants, makes users.
    for (role, [changes, sees, goes, rules]) in [
        ("operator-admin", [true, true, true, true]),
        ("operator", [true, false, true, false]),
        ("tenant-admin", [true, true, false, false]),
        ("tenant-viewer", [false, false, false, false]),
    ] {
        let home = role.starts_with("tenant").then_some(own.as_str());
        let browser = Browser::of(&server, role, role, home).await;
        let status = async |method: &str, path: &str, body| browser.call(method, path, body).await.status;
        assert_eq!(status("GET", WEBHOOKS, None).await, 200, "{role}");
        let allowed = |may: bool, then: u16| if may { then } else { 403 };
        assert_eq!(status("POST", WEBHOOKS, new_webhook()).await, allowed(changes, 201), "{role}");
        let seen = browser.call("GET", &format!("/api/v1/events/{event}/"), None).await;
        assert_eq!(seen.body["payload"]["client"] == "Ada", sees, "{role}: {}", seen.body);
        let there = browser.call_with("GET", WEBHOOKS, None, &[("X-Tenant-Id", &other)]).await;
        assert_eq!(there.status, allowed(goes, 200), "{role}");
        assert_eq!(status("GET", "/api/v1/users/", None).await, allowed(rules, 200), "{role}");
        assert_eq!(status("GET", "/api/v1/tenants/", None).await, allowed(goes, 200), "{role}");
        let new = Some(json!({"name": role}));
        assert_eq!(status("POST", "/api/v1/tenants/", new).await, allowed(rules, 201), "{role}");
    }
}

#[tokio::test]
async fn users_are_as_their_roles_ask() {
    let server = Server::start().await;
    let (tenant, _) = other_tenant(&server, "acme", &["read"]).await;
    let password = "correct horse battery";
    for (body, field) in [
        (json!({"password": password, "role": "operator"}), "name"),
        (json!({"name": "a b", "password": password, "role": "operator"}), "name"),
        (json!({"name": "a", "password": "short", "role": "operator"}), "password"),
        (json!({"name": "a", "password": password, "role": "root"}), "role"),
        (json!({"name": "a", "password": password, "role": "operator", "tenant_id": tenant}), "tenant_id"),
        (json!({"name": "a", "password": password, "role": "tenant-viewer"}), "tenant_id"),
        (json!({"name": "a", "password": password, "role": "tenant-viewer", "tenant_id": UNKNOWN_ID}), "tenant_id"),
    ] {
        let answer = server.request("POST", "/api/v1/users/", Some(body.clone())).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!(field)), "{body}");
    }
    let body = json!({"name": "tom", "password": password, "role": "tenant-viewer", "tenant_id": tenant});
    let made = server.request("POST", "/api/v1/users/", Some(body.clone())).await;
    assert_eq!(made.status, 201);
    assert!(!made.body.to_string().contains("argon2") && !made.body.to_string().contains(password));
    assert_eq!(server.request("POST", "/api/v1/users/", Some(body)).await.status, 409);
    assert_eq!(server.get(&format!("/api/v1/users/?tenant_id={tenant}")).await["users"], json!([made.body]));
}

#[tokio::test]
async fn a_portal_link_signs_in_once() {
    let server = Server::start().await;
    let (tenant, _) = other_tenant(&server, "acme", &["read"]).await;
    let link = |role: &str| json!({"tenant_id": tenant, "role": role, "expires_in": 60});
    let refused = server.request("POST", "/api/v1/portal-links/", Some(link("operator"))).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    let made = server.post("/api/v1/portal-links/", link("tenant-viewer")).await;
    let url = made["url"].as_str().expect("a URL");
    let token = url.strip_prefix(&format!("{}/portal/", server.base())).expect("it leads here").to_owned();
    let mut browser = Browser::new(&server);
    assert_eq!(browser.sign_in(json!({"portal_token": token})).await.status, 201);
    let session = browser.call("GET", "/api/v1/session/", None).await.body;
    assert_eq!((&session["tenant_id"], &session["name"]), (&json!(tenant), &Value::Null));
    assert_eq!(browser.call("GET", WEBHOOKS, None).await.status, 200);
    assert_eq!(browser.call("POST", WEBHOOKS, new_webhook()).await.status, 403, "a viewer changes nothing");
    assert_eq!(Browser::new(&server).sign_in(json!({"portal_token": token})).await.status, 401, "it is used up");
    let seen = server.custom(|client, base| {
        client.get(format!("{base}/api/v1/audit/")).bearer_auth(server.key()).header("X-Tenant-Id", &tenant)
    });
    let audit = seen.await.body;
    assert_eq!(audit["audit"][0]["actor"], "portal_link", "{audit}");
    let revoked = format!("/api/v1/portal-links/{}/", made["id"].as_str().expect("an id"));
    assert_eq!(server.request("DELETE", &revoked, None).await.status, 200);
    ends(&browser).await;
    assert_eq!(server.request("DELETE", &revoked, None).await.status, 404);
    let again = server.post("/api/v1/portal-links/", link("tenant-admin")).await;
    let token = again["url"].as_str().and_then(|url| url.rsplit('/').next()).expect("a token").to_owned();
    let mut browser = Browser::new(&server);
    assert_eq!(browser.sign_in(json!({"portal_token": token})).await.status, 201);
    assert_eq!(server.request("DELETE", &format!("/api/v1/tenants/{tenant}/"), None).await.status, 200);
    ends(&browser).await;
}

#[tokio::test]
async fn who_tries_too_often_must_wait() {
    let server = Server::start().await;
    let mut browser = Browser::new(&server);
    let body = json!({"name": "anna", "password": "wrong wrong wrong"});
    for _ in 0..20 {
        assert_eq!(browser.sign_in(body.clone()).await.status, 401);
    }
    let answer = eventually("it is too often", async || {
        let answer = browser.call("POST", "/api/v1/session/", Some(body.clone())).await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    assert!(answer.headers.get(RETRY_AFTER).is_some());
}
