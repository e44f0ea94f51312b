//! What may not be dialled is not dialled, and what is not trusted gets nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use postrider_tests::{Authority, Receiver, Reply, Server, ServerOptions, eventually};
use serde_json::json;
use tokio::net::TcpListener;

use super::deliver::{publish, settled, subscribe};

/// A server as in production, which may reach this machine and trusts `authority`.
async fn guarded(authority: &Authority, settings: &[(&str, &str)]) -> Server {
    let options = ServerOptions { dev: false, ..ServerOptions::default() };
    let ca = options.folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("written");
    let options = options.set("TARGETS_CA_FILE", &ca.display().to_string());
    let options = settings.iter().fold(options, |options, (name, value)| options.set(name, value));
    Server::start_with(options).await
}

async fn failure(server: &Server, url: &str) -> String {
    let answer = server.request("POST", "/api/v1/webhooks/test/", Some(json!({"webhook_url": url}))).await;
    assert_eq!(answer.status, 502, "{}", answer.body);
    answer.body["message"].as_str().expect("text").trim_start_matches("Test webhook delivery failed: ").to_owned()
}

#[tokio::test]
async fn bad_certificates_are_told_apart() {
    let authority = Authority::new();
    let server = guarded(&authority, &[("TARGETS_ALLOW", "127.0.0.0/8")]).await;
    let receiver = |config| Receiver::tls(config, |_, _| Reply::status(200, ""));
    let day = |year| rcgen::date_time_ymd(year, 1, 1);
    let expired = receiver(authority.server_config(|params| {
        (params.not_before, params.not_after) = (day(2001), day(2002));
    }));
    let early = receiver(authority.server_config(|params| {
        (params.not_before, params.not_after) = (day(2901), day(2902));
    }));
    let elsewhere = receiver(authority.server_config(|params| params.subject_alt_names.clear()));
    let unknown = receiver(Authority::new().server_config(|_| ()));
    for (receiver, message) in [
        (expired.await, "TLS certificate expired"),
        (early.await, "TLS certificate is not valid yet"),
        (elsewhere.await, "TLS certificate is for another host"),
        (unknown.await, "TLS certificate is not from a trusted authority"),
    ] {
        assert_eq!(failure(&server, &receiver.url("/")).await, message);
        assert!(receiver.requests().is_empty(), "{message}: nothing was sent");
    }
}

#[tokio::test]
async fn plain_http_and_this_machine_are_refused_in_production() {
    let server = guarded(&Authority::new(), &[]).await;
    for url in ["http://example.com/", "https://127.0.0.1:8443/", "https://localhost/", "https://[::1]/"] {
        let body = json!({"event_type": "case.opened", "webhook_url": url});
        assert_eq!(server.request("POST", "/api/v1/webhooks/", Some(body)).await.status, 422, "{url}");
    }
}

#[tokio::test]
async fn a_denied_address_is_not_dialled_though_it_was_permitted_when_it_was_given() {
    let authority = Authority::new();
    let receiver = Receiver::tls(authority.server_config(|_| ()), |_, _| Reply::status(200, "")).await;
    let server = guarded(&authority, &[("TARGETS_ALLOW", "127.0.0.0/8")]).await;
    subscribe(&server, &receiver.url("/"), json!({"retry_schedule": []})).await;
    let options = server.kill().await.set("TARGETS_DENY", "127.0.0.0/8");
    let server = Server::start_with(options).await;
    let event_id = publish(&server, json!({})).await;
    let event = settled(&server, &event_id, "failed").await;
    let attempt = &event["deliveries"][0]["attempts"][0];
    assert_eq!(attempt["outcome"], "address_error");
    assert_eq!(attempt["message"], "DNS lookup failed or address not allowed");
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_dialled() {
    let authority = Authority::new();
    let receiver = Receiver::tls(authority.server_config(|_| ()), |_, _| Reply::status(200, "")).await;
    let url = receiver.url("/").replace("127.0.0.1", "localhost");
    let server = Server::start().await;
    let (id, _) = subscribe(&server, &url, json!({"retry_schedule": []})).await;
    let options = server.kill().await.set("TARGETS_DENY", "127.0.0.0/8,::1");
    let server = Server::start_with(options).await;
    let answer = server.request("POST", "/api/v1/webhooks/test/", Some(json!({"webhook_id": id}))).await;
    let message = "Test webhook delivery failed: DNS lookup failed or address not allowed";
    assert_eq!((answer.status, &answer.body["message"]), (502, &json!(message)));
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn no_proxy_is_used() {
    let proxy = Receiver::content().await;
    let receiver = Receiver::content().await;
    let options = ServerOptions::default();
    let options = ServerOptions { under: vec!["env".into(), format!("HTTP_PROXY={}", proxy.url(""))], ..options };
    let server = Server::start_with(options).await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    publish(&server, json!({})).await;
    receiver.wait_for(1).await;
    assert!(proxy.requests().is_empty());
}

/// The URLs that the policy refuses, from the corpus that it is tested with.
fn refused_urls() -> Vec<String> {
    let corpus = include_str!("../../../crates/core/corpus/urls.txt").lines();
    let lines = corpus.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let refused = lines.filter_map(|line| line.split_once(' ').filter(|(verdict, _)| *verdict != "ok"));
    refused.map(|(_, url)| serde_json::from_str(url).expect("a JSON string")).collect()
}

#[tokio::test]
async fn what_the_policy_refuses_is_refused_wherever_a_url_is_given() {
    let server = guarded(&Authority::new(), &[]).await;
    let (id, _) = subscribe(&server, "https://a.example/", json!({})).await;
    let update = format!("/api/v1/webhooks/{id}/");
    let urls = refused_urls();
    assert!(urls.len() > 150, "{}", urls.len());
    for url in &urls {
        let calls = [
            ("POST", "/api/v1/webhooks/", json!({"event_type": "case.opened", "webhook_url": url})),
            ("PATCH", update.as_str(), json!({"webhook_url": url})),
            ("POST", "/api/v1/webhooks/test/", json!({"webhook_url": url})),
            ("POST", "/api/v1/events/", json!({"event_type": "case.opened", "payload": {}, "webhook_url": url})),
            ("POST", "/api/v1/callbacks/", json!({"resource_id": "r-1", "webhook_url": url})),
        ];
        for (method, path, body) in calls {
            let answer = server.request(method, path, Some(body)).await;
            assert_eq!(answer.status, 422, "{method} {path} {url:?}: {}", answer.body);
            assert_eq!(answer.body["errors"][0]["field"], "webhook_url", "{method} {path} {url:?}: {}", answer.body);
        }
    }
    assert_eq!(server.get(&update).await["webhook_url"], "https://a.example/");
    assert_eq!(server.get("/api/v1/events/").await["events"], json!([]));
}

/// A port of this machine, under all its addresses, and how often somebody connected to it.
async fn counted_port() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("[::]:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, connections)
}

#[tokio::test]
async fn what_is_denied_is_not_even_connected_to() {
    let (port, connections) = counted_port().await;
    let options = ServerOptions { dev: false, ..ServerOptions::default() };
    let server = Server::start_with(options.set("TARGETS_ALLOW", "127.0.0.0/8,::1")).await;
    let urls = ["127.0.0.1", "127.1.2.3", "[::1]"].map(|host| format!("https://{host}:{port}/"));
    for url in &urls {
        subscribe(&server, url, json!({"retry_schedule": []})).await;
        server.post("/api/v1/callbacks/", json!({"resource_id": "r-1", "webhook_url": url})).await;
    }
    let one_off = json!({"event_type": "case.opened", "payload": {}, "webhook_url": urls[0]});
    let answer = server.request("POST", "/api/v1/webhooks/test/", Some(json!({"webhook_url": urls[0]}))).await;
    assert!(answer.status == 502 && connections.load(Ordering::SeqCst) == 1, "one that is permitted is counted");
    let options = server.kill().await.set("TARGETS_DENY", "127.0.0.0/8,::1");
    // Given while it was permitted, sent when it is not any more.
    let server = Server::start_with(options).await;
    let subscribed = publish(&server, json!({"id": "r-1"})).await;
    let deliveries = eventually("all were tried", || async {
        let event = server.get(&format!("/api/v1/events/{subscribed}/")).await;
        let deliveries = event["deliveries"].as_array().expect("a list").clone();
        deliveries.iter().all(|delivery| !delivery["attempts"][0].is_null()).then_some(deliveries)
    })
    .await;
    assert_eq!(deliveries.len(), urls.len() * 2, "to subscriptions and callbacks");
    for delivery in deliveries {
        assert_eq!(delivery["attempts"][0]["outcome"], "address_error", "{delivery}");
    }
    assert_eq!(server.request("POST", "/api/v1/events/", Some(one_off)).await.status, 422);
    for url in &urls {
        assert_eq!(
            server.request("POST", "/api/v1/webhooks/test/", Some(json!({"webhook_url": url}))).await.status,
            422
        );
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
