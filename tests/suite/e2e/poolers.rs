//! Through `PgBouncer`.

use postrider_tests::{Database, Pooler, Receiver, Reply, Server, eventually, run_command};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};

use super::deliver::{publish, settled, subscribe};
use super::trouble::{node_on, try_publish, url_of};

/// Beside its defaults.
const SESSION: &str = "pool_mode = session\nmax_client_conn = 200\ndefault_pool_size = 60\n\
                       ignore_startup_parameters = extra_float_digits";

/// A pooler with these settings, a database behind it, and its URL through the pooler.
async fn through(settings: &str) -> (Pooler, Database, String) {
    let server = std::env::var("TEST_POSTGRES_URL").expect("run the tests through scripts/with-postgres");
    let pooler = Pooler::before(&server, settings).await;
    let database = Database::postgres();
    let (_, name) = url_of(&database).rsplit_once('/').expect("a path");
    let url = format!("postgres://postgres@127.0.0.1:{}/{name}", pooler.port());
    (pooler, database, url)
}

#[tokio::test]
async fn two_nodes_work_where_sessions_are_theirs() {
    let (_pooler, database, url) = through(SESSION).await;
    let receiver = Receiver::plain(|n, _| if n == 0 { Reply::Hang } else { Reply::status(200, "") }).await;
    let mut one = Server::start_with(node_on(url.clone())).await;
    let other = Server::start_with(node_on(format!("{url}?options[application_name]=other"))).await;
    subscribe(&one, &receiver.url("/"), json!({"timeout_seconds": 30})).await;
    let held = publish(&one, json!({})).await;
    receiver.wait_for(1).await;
    let id = publish(&other, json!({})).await;
    settled(&one, &id, "delivered").await;
    one.signal("KILL").await;
    one.wait().await;
    settled(&other, &held, "delivered").await;

    // Its settings hold: a table that is locked is waited for, and no longer than that.
    let mut people = PgConnection::connect(url_of(&database)).await.expect("a server");
    people.execute("begin; lock table events in access exclusive mode").await.expect("locked");
    assert_eq!(try_publish(&other, "locked").await.status, 503);
    let waits = "select count(*) from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())";
    eventually("nobody waits any more", || async {
        let mut look = PgConnection::connect(url_of(&database)).await.expect("a server");
        (sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut look).await.expect("read") == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_pooler_needs_no_settings_of_ours() {
    let (_pooler, _database, url) = through("pool_mode = session\ndefault_pool_size = 60").await;
    let server = Server::start_with(node_on(url)).await;
    publish(&server, json!({})).await;
}

#[tokio::test]
async fn sessions_that_are_everybodys_are_refused() {
    for mode in ["transaction", "statement"] {
        let (_pooler, _database, url) = through(&SESSION.replace("session", mode)).await;
        for command in [&["serve", "--dev"][..], &["migrate"], &["keys", "list"]] {
            let (code, _, err) = run_command(&node_on(url.clone()), command).await;
            assert_eq!((code, err.lines().count()), (1, 1), "{mode} {command:?}: {err}");
            assert!(err.contains("`pool_mode = session`"), "{mode} {command:?}: {err}");
        }
    }
}
