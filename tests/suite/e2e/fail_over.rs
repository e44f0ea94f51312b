//! The primary is lost, and a standby takes its place: real servers, streaming replication, real time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_tests::{Cluster, Pair, Proxy, Receiver, Reply, Server, ServerOptions, eventually};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::deliver::{settled, subscribe};
use super::trouble::{node_on, try_publish};

/// Publishes without a pause until told to stop; the ids of what was accepted.
struct Publisher {
    task: JoinHandle<Vec<String>>,
    stop: Arc<Notify>,
}

impl Publisher {
    fn start(server: &Server) -> Self {
        let stop = Arc::new(Notify::new());
        let (client, key) = (server.client().clone(), server.key().to_owned());
        let (url, told) = (format!("{}/api/v1/events/", server.base()), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            let mut accepted = Vec::new();
            let stopped = told.notified();
            tokio::pin!(stopped);
            for number in 0.. {
                let body = json!({"event_type": "screening.completed", "payload": {"n": number}});
                tokio::select! {
                    biased;
                    () = &mut stopped => break,
                    answer = client.post(&url).bearer_auth(&key).json(&body).send() => {
                        let answer = answer.expect("an answer");
                        match answer.status().as_u16() {
                            202 => {
                                let body: serde_json::Value = answer.json().await.expect("JSON");
                                accepted.push(body["id"].as_str().expect("an id").to_owned());
                            }
                            status => assert_eq!(status, 503, "nothing else may be answered"),
                        }
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            accepted
        });
        Self { task, stop }
    }

    async fn accepted(self) -> Vec<String> {
        self.stop.notify_one();
        self.task.await.expect("it ends")
    }
}

async fn ready(server: &Server) -> (u16, String) {
    let answer = server.request("GET", "/readyz", None).await;
    (answer.status, answer.body["detail"].as_str().unwrap_or_default().to_owned())
}

async fn start(url: String, receiver: &Receiver) -> Server {
    let server = Server::start_with(node_on(url)).await;
    subscribe(&server, &receiver.url("/"), json!({"retry_schedule": [1, 1, 1]})).await;
    server
}

/// Everything that was accepted is there and delivered.
async fn nothing_is_missing(server: &Server, accepted: &[String]) {
    assert!(accepted.len() >= 20, "{}", accepted.len());
    for id in accepted {
        settled(server, id, "delivered").await;
    }
}

#[tokio::test]
async fn a_clean_switch_to_another_host_loses_nothing() {
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let mut pair = Pair::new().await;
    let server = start(pair.both(), &receiver).await;
    let publisher = Publisher::start(&server);
    receiver.wait_for(20).await;
    pair.primary.shut_down();
    eventually("it says that it is not ready", || async { (ready(&server).await.0 == 503).then_some(()) }).await;
    pair.promote().await;
    super::trouble::publish_at_last(&server, "after").await;
    let (status, why) = ready(&server).await;
    assert_eq!(status, 200, "{why}");
    nothing_is_missing(&server, &publisher.accepted().await).await;
    assert_eq!(server.log().matches("declared").count(), 0);
}

/// The old primary is back as a reader under its own name, while connections to it stand.
#[tokio::test]
async fn a_primary_that_became_a_reader_is_left() {
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let mut pair = Pair::new().await;
    let server = start(pair.both(), &receiver).await;
    let publisher = Publisher::start(&server);
    receiver.wait_for(20).await;
    pair.make_a_reader().await;
    let why = eventually("it says that it is not ready", || async {
        let (status, why) = ready(&server).await;
        (status == 503).then_some(why)
    })
    .await;
    assert!(why.contains("only reads"), "{why}");
    pair.promote().await;
    super::trouble::publish_at_last(&server, "after").await;
    // What only reads is not read from either: it is of the past.
    let old = "select count(*) from pg_stat_activity where application_name = 'postrider' and datname = $1";
    eventually("no connection to it is left", || async {
        let left = sqlx::query_scalar::<_, i64>(old).bind(&pair.name);
        let mut admin = PgConnection::connect(&format!("{}/postgres", pair.standby.url())).await.expect("a server");
        (left.fetch_one(&mut admin).await.expect("read") == 0).then_some(())
    })
    .await;
    nothing_is_missing(&server, &publisher.accepted().await).await;
}

/// The primary says nothing more, and a standby has its name.
#[tokio::test]
async fn a_primary_that_vanishes_is_noticed() {
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let mut pair = Pair::new().await;
    let proxy = Proxy::to(pair.primary.port()).await;
    let server = start(pair.url(&[("127.0.0.1", proxy.port())]), &receiver).await;
    let publisher = Publisher::start(&server);
    receiver.wait_for(20).await;
    pair.promote().await;
    proxy.lead_to(pair.primary.port());
    super::trouble::publish_at_last(&server, "after").await;
    let ready = eventually("it is ready", || async { Some(ready(&server).await).filter(|(status, _)| *status == 200) });
    ready.await;
    nothing_is_missing(&server, &publisher.accepted().await).await;
}

/// Commits wait for it, and are not promised meanwhile; none of the sessions that wait is replaced by one that would wait too.
#[tokio::test]
async fn a_standby_that_is_away_is_waited_for() {
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let pair = Pair::new().await;
    let server = start(pair.both(), &receiver).await;
    let publisher = Publisher::start(&server);
    receiver.wait_for(20).await;
    pair.standby.shut_down();
    eventually("it says that it is not ready", || async { (ready(&server).await.0 == 503).then_some(()) }).await;
    // Twice as long as a statement is waited for.
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        assert_eq!(try_publish(&server, "waits").await.status, 503);
    }
    let mut admin = PgConnection::connect(&format!("{}/postgres", pair.primary.url())).await.expect("a server");
    let sessions = "select count(*) from pg_stat_activity where application_name = 'postrider'";
    let sessions: i64 = sqlx::query_scalar(sessions).fetch_one(&mut admin).await.expect("read");
    assert!(sessions <= 20, "{sessions}");
    pair.standby.go_on();
    super::trouble::publish_at_last(&server, "waits").await;
    nothing_is_missing(&server, &publisher.accepted().await).await;
}

/// Two nodes over a promotion: each has its number again, and neither takes over from the other.
#[tokio::test]
async fn nodes_keep_their_numbers_over_a_promotion() {
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let mut pair = Pair::new().await;
    let one = start(pair.both(), &receiver).await;
    let other = Server::start_with(ServerOptions { ..node_on(pair.both()) }).await;
    let name = pair.name.clone();
    let registered = "select number || ' ' || incarnation from cluster_nodes order by number";
    let numbers = async |cluster: &Cluster| -> Vec<String> {
        let url = format!("{}/{name}", cluster.url());
        let mut people = PgConnection::connect(&url).await.expect("a server");
        sqlx::query_scalar(AssertSqlSafe(registered)).fetch_all(&mut people).await.expect("read")
    };
    let before = numbers(&pair.primary).await;
    assert_eq!(before.len(), 2);
    pair.primary.shut_down();
    pair.promote().await;
    for server in [&one, &other] {
        eventually("it is registered again", || async {
            (server.log().matches("registered").count() > 1).then_some(())
        })
        .await;
        assert_eq!(try_publish(server, "after").await.status / 100, 2);
    }
    // Longer than anybody is waited for.
    tokio::time::sleep(Duration::from_secs(13)).await;
    assert_eq!(numbers(&pair.primary).await, before);
    for server in [&one, &other] {
        assert!(!server.log().contains("took over"), "{}", server.log());
    }
}

/// With an asynchronous standby the last changes may be lost; what is remembered of them is not taken for what took their place.
#[tokio::test]
async fn what_a_standby_lacks_is_forgotten() {
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let mut pair = Pair::new().await;
    let server = start(pair.both(), &receiver).await;
    pair.wait_for_standbys(false).await;
    pair.standby.shut_down();
    subscribe(&server, &receiver.url("/lost"), json!({})).await;
    let body = super::trouble::publish_at_last(&server, "before").await;
    assert_eq!(body["deliveries"], 2, "it is known");
    pair.primary.crash();
    pair.standby.go_on();
    pair.promote().await;
    // The next change has the version that the lost one had.
    eventually("it can be changed", || async {
        let body =
            json!({"event_type": "screening.completed", "webhook_url": receiver.url("/new"), "filters": {"n": 1}});
        let answer = server.request("POST", "/api/v1/webhooks/", Some(body)).await;
        (answer.status == 201).then_some(())
    })
    .await;
    let body = super::trouble::publish_at_last(&server, "after").await;
    assert_eq!(body["deliveries"], 1, "neither the lost one, nor the new one, which turns it away: {body}");
}
