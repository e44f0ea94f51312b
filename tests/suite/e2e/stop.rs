//! Stopped by a signal.

use std::sync::Arc;
use std::time::Duration;

use postrider_tests::{Cluster, Database, Proxy, Receiver, Reply, Server, Way, eventually};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::Notify;

use super::deliver::{publish, settled, subscribe};
use super::trouble::{node_on, url_of};

#[tokio::test]
async fn finishes_what_is_in_flight() {
    let told = Arc::new(Notify::new());
    let when = Arc::clone(&told);
    let receiver = Receiver::plain(move |_, _| Reply::status(200, "late").when(&when)).await;
    let mut server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let event_id = publish(&server, json!({})).await;
    receiver.wait_for(1).await;
    server.signal("TERM").await;
    eventually("it is not ready any more", || async {
        let ready = server.try_request(server.key(), "GET", "/readyz", None).await;
        ready.ok().filter(|ready| ready.status == 503).map(drop)
    })
    .await;
    let refused = server.request("POST", "/api/v1/events/", Some(json!({}))).await;
    assert_eq!((refused.status, refused.headers.contains_key("retry-after")), (503, true));
    told.notify_one();
    assert!(server.wait().await.success());
    let server = Server::start_with(server.options().clone()).await;
    let event = settled(&server, &event_id, "delivered").await;
    assert_eq!(event["deliveries"][0]["attempts"][0]["response_body"], "late");
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn gives_back_what_does_not_finish_within_fifteen_seconds() {
    let receiver = Receiver::plain(|n, _| if n == 0 { Reply::Hang } else { Reply::status(200, "") }).await;
    let mut server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({"timeout_seconds": 30})).await;
    let event_id = publish(&server, json!({})).await;
    receiver.wait_for(1).await;
    let start = std::time::Instant::now();
    server.signal("TERM").await;
    assert!(server.wait().await.success());
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    let server = Server::start_with(server.options().clone()).await;
    settled(&server, &event_id, "delivered").await;
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let receiver = Receiver::plain(|_, _| Reply::Hang).await;
    let mut server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    publish(&server, json!({})).await;
    receiver.wait_for(1).await;
    server.signal("TERM").await;
    eventually("it drains", || async { server.log().contains("draining").then_some(()) }).await;
    let start = std::time::Instant::now();
    server.signal("INT").await;
    assert!(!server.wait().await.success());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// Whatever the database does; also a change goes on whose client hung up.
#[tokio::test]
async fn ends_within_fifteen_seconds_though_the_database_says_nothing() {
    let cluster = Cluster::start("");
    let proxy = Proxy::to(cluster.port()).await;
    let url = url_of(&Database::on(&cluster.url())).replace(&cluster.port().to_string(), &proxy.port().to_string());
    let receiver = Receiver::plain(|_, _| Reply::Hang).await;
    let mut server = Server::start_with(node_on(url)).await;
    subscribe(&server, &receiver.url("/"), json!({"timeout_seconds": 30})).await;
    publish(&server, json!({})).await;
    receiver.wait_for(1).await;
    proxy.set(Way::Silent);
    let (client, base, key) = (server.client().clone(), server.base().to_owned(), server.key().to_owned());
    let hung_up = tokio::spawn(async move {
        let body = json!({"event_type": "case.opened", "webhook_url": "http://127.0.0.1:9999/"});
        client.post(format!("{base}/api/v1/webhooks/")).bearer_auth(key).json(&body).send().await
    });
    tokio::task::yield_now().await;
    let start = std::time::Instant::now();
    server.signal("TERM").await;
    hung_up.abort();
    assert!(server.wait().await.success(), "{}", server.log());
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_change_whose_client_hung_up_is_finished_first() {
    let database = Database::postgres();
    let mut server = Server::start_with(node_on(url_of(&database).to_owned())).await;
    let mut people = PgConnection::connect(url_of(&database)).await.expect("a server");
    people.execute("begin; select * from tenants for update").await.expect("locked");
    let (client, base, key) = (server.client().clone(), server.base().to_owned(), server.key().to_owned());
    let hung_up = tokio::spawn(async move {
        let body = json!({"event_type": "case.opened", "webhook_url": "http://127.0.0.1:9999/"});
        client.post(format!("{base}/api/v1/webhooks/")).bearer_auth(key).json(&body).send().await
    });
    somebody_waits(url_of(&database)).await;
    hung_up.abort();
    server.signal("TERM").await;
    eventually("it drains", || async { server.log().contains("draining").then_some(()) }).await;
    people.execute("rollback").await.expect("unlocked");
    assert!(server.wait().await.success(), "{}", server.log());
    let made = sqlx::query_scalar::<_, i64>("select count(*) from subscriptions").fetch_one(&mut people).await;
    assert_eq!(made.expect("read"), 1);
}

/// Also while it waits for the database.
#[tokio::test]
async fn a_signal_ends_a_start_too() {
    let database = Database::postgres();
    let options = node_on(url_of(&database).to_owned());
    let mut people = PgConnection::connect(url_of(&database)).await.expect("a server");
    drop(Server::start_with(options.clone()).await);
    people.execute("begin; lock table installation in access exclusive mode").await.expect("locked");
    let mut child = options.command(&["serve", "--dev"]).spawn().expect("it starts");
    somebody_waits(url_of(&database)).await;
    let pid = child.id().expect("it runs").to_string();
    let sent = tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.expect("it runs");
    assert!(sent.success());
    let start = std::time::Instant::now();
    assert_eq!(child.wait().await.expect("it ends").code(), Some(1));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// Until somebody waits for a lock in the database.
async fn somebody_waits(url: &str) {
    let waits = "select l.pid from pg_locks l join pg_stat_activity a using (pid)
         where not l.granted and a.datname = current_database()";
    eventually("somebody waits for a lock", || async {
        let mut look = PgConnection::connect(url).await.expect("a server");
        look.fetch_optional(waits).await.expect("read").map(drop)
    })
    .await;
}
