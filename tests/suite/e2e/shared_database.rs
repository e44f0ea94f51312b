//! What else is in the database: other schemas, other roles, other keys.

use postrider_tests::{Binary, Database, Receiver, Reply, Server, ServerOptions, run_command};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::deliver::{publish, settled, subscribe};
use super::trouble::{node_on, url_of};

async fn admin(database: &Database) -> PgConnection {
    PgConnection::connect(url_of(database)).await.expect("a server")
}

/// Two installations in schemas of one database: the lock of one does not hide the dead node of the other.
#[tokio::test]
async fn installations_in_two_schemas_do_not_know_each_other() {
    let database = Database::postgres();
    admin(&database).await.execute("create schema one; create schema two").await.expect("made");
    let node = |schema: &str| node_on(format!("{}?options[search_path]={schema}", url_of(&database)));
    let receiver = Receiver::plain(|n, _| if n == 0 { Reply::Hang } else { Reply::status(200, "") }).await;
    let elsewhere = [Server::start_with(node("two")).await, Server::start_with(node("two")).await];
    let mut dies = Server::start_with(node("one")).await;
    let lives = Server::start_with(node("one")).await;
    subscribe(&dies, &receiver.url("/"), json!({"timeout_seconds": 30})).await;
    let id = publish(&dies, json!({})).await;
    receiver.wait_for(1).await;
    dies.signal("KILL").await;
    dies.wait().await;
    // Its lease would end 45 s after the claim.
    settled(&lives, &id, "delivered").await;
    for server in &elsewhere {
        let list = server.get("/api/v1/events/").await;
        assert_eq!(list["events"], json!([]), "what is next door is not seen");
    }
}

/// One role owns the tables and migrates; another, which owns nothing, serves.
#[tokio::test]
async fn one_role_migrates_and_another_serves() {
    let database = Database::postgres();
    let name = url_of(&database).rsplit_once('/').expect("a path").1;
    let (owner, app) = (format!("owner_{name}"), format!("app_{name}"));
    let roles = format!(
        "create role {owner} login; create role {app} login; revoke create on schema public from public;
         grant usage, create on schema public to {owner}; grant usage on schema public to {app};
         alter default privileges for role {owner} in schema public
             grant select, insert, update, delete on tables to {app}"
    );
    admin(&database).await.execute(AssertSqlSafe(roles)).await.expect("made");
    let as_role = |role: &str| node_on(url_of(&database).replace("postgres@", &format!("{role}@")));

    let (code, _, err) = run_command(&as_role(&app), &["serve", "--dev"]).await;
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");
    assert!(err.contains("permission denied"), "{err}");
    let (code, _, err) = run_command(&as_role(&owner), &["migrate"]).await;
    assert_eq!(code, 0, "{err}");

    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let mut server = Server::start_with(as_role(&app)).await;
    let (webhook, _) = subscribe(&server, &receiver.url("/"), json!({})).await;
    let id = publish(&server, json!({})).await;
    settled(&server, &id, "delivered").await;
    assert_eq!(server.request("DELETE", &format!("/api/v1/webhooks/{webhook}/"), None).await.status, 200);
    let (code, _, err) = run_command(&as_role(&app), &["keys", "list"]).await;
    assert_eq!(code, 0, "{err}");
    server.signal("TERM").await;
    assert!(server.wait().await.success());
    assert!(!server.log().contains("permission denied"), "{}", server.log());
}

fn with_key(database: &Database, letter: char) -> ServerOptions {
    // 32 bytes in base64.
    let key = format!("{}=", letter.to_string().repeat(43));
    let options = ServerOptions { binary: Binary::Real, database: database.clone(), ..ServerOptions::default() };
    options.set("MASTER_KEY", &key).set("LOG", "warn")
}

/// Also while nothing is sealed yet.
#[tokio::test]
async fn a_node_with_another_master_key_does_not_join() {
    for database in [Database::postgres(), Database::Sqlite] {
        let first = with_key(&database, 'A');
        let (code, _, err) = run_command(&first, &["migrate"]).await;
        assert_eq!(code, 0, "{err}");
        let other = ServerOptions { folder: std::sync::Arc::clone(&first.folder), ..with_key(&database, 'Q') };
        let (code, out, err) = run_command(&other, &["serve"]).await;
        assert_eq!((code, out.as_str(), err.lines().count()), (1, "", 1), "{err}");
        assert!(err.contains("POSTRIDER_MASTER_KEY"), "{err}");
        publish(&Server::start_with(first).await, json!({})).await;
    }
}

/// Without a key, `migrate` leaves it to the first that serves.
#[tokio::test]
async fn a_database_that_was_migrated_without_a_key_takes_that_of_the_first_node() {
    let database = Database::postgres();
    let plain = ServerOptions { binary: Binary::Real, database: database.clone(), ..ServerOptions::default() };
    let (code, _, err) = run_command(&plain, &["migrate"]).await;
    assert_eq!(code, 0, "{err}");
    publish(&Server::start_with(with_key(&database, 'A')).await, json!({})).await;
    let (code, _, err) = run_command(&with_key(&database, 'Q'), &["serve"]).await;
    assert!(code == 1 && err.contains("POSTRIDER_MASTER_KEY"), "{err}");
}
