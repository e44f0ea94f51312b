//! When the database is away. Real time: a server that is gone keeps no clock.

use std::time::{Duration, Instant};

use postrider_tests::{
    Answer, Authority, Binary, Cluster, Database, Proxy, Receiver, Reply, Server, ServerOptions, Way, eventually,
};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinHandle;

use super::deliver::{publish, settled, subscribe};

pub(crate) fn node_on(url: String) -> ServerOptions {
    ServerOptions { binary: Binary::Real, database: Database::Postgres(url), ..ServerOptions::default() }
}

pub(crate) fn url_of(database: &Database) -> &str {
    let Database::Postgres(url) = database else { panic!("not PostgreSQL") };
    url
}

/// The URL of a database by another way.
fn by(proxy: &Proxy, cluster: &Cluster, database: &Database) -> String {
    url_of(database).replace(&format!(":{}", cluster.port()), &format!(":{}", proxy.port()))
}

pub(crate) async fn try_publish(server: &Server, key: &str) -> Answer {
    let body = json!({"event_type": "screening.completed", "payload": {}, "idempotency_key": key});
    server.request("POST", "/api/v1/events/", Some(body)).await
}

/// Publishes until it is accepted; meanwhile nothing but 503 is answered.
pub(crate) async fn publish_at_last(server: &Server, key: &str) -> Value {
    eventually("it is accepted", || async {
        let answer = try_publish(server, key).await;
        if answer.status == 503 {
            assert!(answer.headers.contains_key("retry-after"));
            return None;
        }
        assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.body);
        Some(answer.body)
    })
    .await
}

#[tokio::test]
async fn a_crash_of_the_database_loses_nothing() {
    let cluster = Cluster::start("");
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let server = Server::start_with(node_on(url_of(&Database::on(&cluster.url())).to_owned())).await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let mut accepted = vec![publish(&server, json!({})).await];
    for round in 0..3 {
        cluster.crash();
        let refused = try_publish(&server, &format!("down-{round}")).await;
        assert_eq!((refused.status, refused.headers.contains_key("retry-after")), (503, true));
        cluster.go_on();
        let start = Instant::now();
        let body = publish_at_last(&server, &format!("up-{round}")).await;
        let id = body["id"].as_str().expect("an id").to_owned();
        settled(&server, &id, "delivered").await;
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        accepted.push(id);
    }
    for id in &accepted {
        settled(&server, id, "delivered").await;
    }
}

#[tokio::test]
async fn all_connections_are_terminated() {
    let cluster = Cluster::start("");
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let database = Database::on(&cluster.url());
    let server = Server::start_with(node_on(url_of(&database).to_owned())).await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let mut people = PgConnection::connect(url_of(&database)).await.expect("a server");
    for round in 0..5 {
        publish_at_last(&server, &format!("before-{round}")).await;
        let terminate = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'postrider'";
        people.execute(terminate).await.expect("terminated");
        let body = publish_at_last(&server, &format!("after-{round}")).await;
        settled(&server, body["id"].as_str().expect("an id"), "delivered").await;
    }
    let list = server.get("/api/v1/events/?limit=250").await;
    assert_eq!(list["events"].as_array().map(Vec::len), Some(10));
}

#[tokio::test]
async fn a_locked_table_is_waited_for_and_no_longer() {
    let cluster = Cluster::start("");
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let database = Database::on(&cluster.url());
    let server = Server::start_with(node_on(url_of(&database).to_owned())).await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let mut people = PgConnection::connect(url_of(&database)).await.expect("a server");
    people.execute("begin; lock table events in access exclusive mode").await.expect("locked");
    let publishers: Vec<_> = (0..20).map(|n| publish_apart(&server, &format!("locked-{n}"))).collect();
    for publisher in publishers {
        assert_eq!(publisher.await.expect("an answer"), (503, true));
    }
    people.execute("rollback").await.expect("unlocked");
    let body = publish_at_last(&server, "after").await;
    settled(&server, body["id"].as_str().expect("an id"), "delivered").await;
}

/// A publish that goes on while the test does something else; its status and whether it says when to
/// come again.
fn publish_apart(server: &Server, key: &str) -> JoinHandle<(u16, bool)> {
    let body = json!({"event_type": "screening.completed", "payload": {}, "idempotency_key": key});
    let request =
        server.client().post(format!("{}/api/v1/events/", server.base())).bearer_auth(server.key()).json(&body);
    tokio::spawn(async move {
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.headers().contains_key("retry-after"))
    })
}

#[tokio::test]
async fn a_commit_whose_answer_is_cut_off_is_not_promised_and_not_lost() {
    let cluster = Cluster::start("");
    let database = Database::on(&cluster.url());
    let proxy = Proxy::to(cluster.port()).await;
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let server = Server::start_with(node_on(by(&proxy, &cluster, &database))).await;
    subscribe(&server, &receiver.url("/"), json!({"timeout_seconds": 1})).await;
    let people = sqlx::PgPool::connect(url_of(&database)).await.expect("a server");
    // What the server asks the database before it accepts is still known from this.
    publish_at_last(&server, "before").await;
    proxy.set(Way::Unanswered);
    let refused = publish_apart(&server, "cut");
    let committed = "select count(*) from events where idempotency_key = 'cut'";
    eventually("it is committed", || async {
        let count = sqlx::query_scalar::<_, i64>(committed).fetch_one(&people).await.expect("read");
        (count == 1).then_some(())
    })
    .await;
    proxy.set(Way::Cut);
    assert_eq!(refused.await.expect("an answer"), (503, true), "nobody knows");
    proxy.set(Way::Open);
    let again = publish_at_last(&server, "cut").await;
    assert_eq!(again["duplicate"], true);
    settled(&server, again["id"].as_str().expect("an id"), "delivered").await;
}

#[tokio::test]
async fn a_node_cut_off_and_healed_doubles_only_what_it_held() {
    let cluster = Cluster::start("");
    let database = Database::on(&cluster.url());
    let proxy = Proxy::to(cluster.port()).await;
    let receiver = Receiver::plain(|n, _| if n == 0 { Reply::Hang } else { Reply::status(200, "") }).await;
    let cut = Server::start_with(node_on(by(&proxy, &cluster, &database))).await;
    let well = Server::start_with(node_on(url_of(&database).to_owned())).await;
    let options = json!({"timeout_seconds": 20, "retry_schedule": []});
    let (id, _) = subscribe(&cut, &receiver.url("/"), options).await;
    let mut expected = vec![publish(&cut, json!({})).await];
    receiver.wait_for(1).await;
    expected.push(publish(&cut, json!({})).await);
    settled(&cut, &expected[1], "delivered").await;
    proxy.set(Way::Cut);
    let event = settled(&well, &expected[0], "delivered").await;
    assert_eq!(event["deliveries"][0]["attempts"].as_array().map(Vec::len), Some(1), "taken over");
    proxy.set(Way::Open);
    let healed = publish_at_last(&cut, "healed").await;
    expected.push(healed["id"].as_str().expect("an id").to_owned());
    for id in &expected {
        settled(&well, id, "delivered").await;
    }
    eventually("the late attempt is kept", || async {
        let event = well.get(&format!("/api/v1/events/{}/", expected[0])).await;
        (event["deliveries"][0]["attempts"].as_array().map(Vec::len) == Some(2)).then_some(())
    })
    .await;
    let sent = receiver.requests();
    let times = |id: &str| sent.iter().filter(|request| request.header("webhook-id") == Some(id)).count();
    assert_eq!(expected.iter().map(|id| times(id)).collect::<Vec<_>>(), [2, 1, 1]);
    let stats = well.get(&format!("/api/v1/webhooks/{id}/")).await["stats"].clone();
    assert_eq!(stats, json!({"total_deliveries": 3, "successful_deliveries": 3, "failed_deliveries": 0}));
}

#[tokio::test]
async fn a_server_that_would_lose_commits_is_refused() {
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        let cluster = Cluster::start(&format!("-c {setting}=off"));
        let options = node_on(url_of(&Database::on(&cluster.url())).to_owned());
        let (code, out, err) = postrider_tests::run_command(&options, &["serve", "--dev"]).await;
        assert_eq!((code, out.as_str(), err.lines().count()), (1, "", 1), "{err}");
        assert!(err.contains(&format!("`{setting}` is off")), "{err}");
        // Whoever runs it may vouch for its storage, and for nothing else.
        let trusting = options.set("DATABASE_DURABILITY", "trusted");
        if setting == "synchronous_commit" {
            let (code, _, err) = postrider_tests::run_command(&trusting, &["serve", "--dev"]).await;
            assert!(code == 1 && err.contains("`synchronous_commit` is off"), "{err}");
        } else {
            publish(&Server::start_with(trusting).await, json!({})).await;
        }
    }
}

#[tokio::test]
async fn a_private_authority_vouches_for_the_database() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.server_pem();
    let settings = "-c ssl=on -c ssl_cert_file={folder}/server.pem -c ssl_key_file={folder}/server.key";
    let cluster = Cluster::start_with(settings, &[("server.pem", &certificate), ("server.key", &key)]);
    let database = Database::on(&cluster.url());
    let options = |authority: &Authority, name: &str| {
        let options = node_on(String::new());
        let root = options.folder.path().join(name);
        std::fs::write(&root, authority.pem()).expect("written");
        let url = format!("{}?sslmode=verify-full&sslrootcert={}", url_of(&database), root.display());
        ServerOptions { database: Database::Postgres(url), ..options }
    };
    let server = Server::start_with(options(&authority, "root.pem")).await;
    publish(&server, json!({})).await;
    let mut people = PgConnection::connect(url_of(&database)).await.expect("a server");
    let plain = "select count(*) from pg_stat_ssl s join pg_stat_activity a using (pid)
         where a.application_name = 'postrider' and not s.ssl";
    assert_eq!(sqlx::query_scalar::<_, i64>(plain).fetch_one(&mut people).await.expect("read"), 0);
    let (code, _, err) = postrider_tests::run_command(&options(&stranger, "stranger.pem"), &["serve", "--dev"]).await;
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");
}

#[tokio::test]
async fn no_password_is_shown() {
    let options = node_on("postgres://nobody:sentinel@127.0.0.1:1/none".to_owned());
    let (code, out, err) = postrider_tests::run_command(&options, &["serve", "--dev"]).await;
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");
    assert!(!out.contains("sentinel") && !err.contains("sentinel") && err.contains("127.0.0.1:1/none"), "{err}");
}
