//! Databases that earlier versions left, served by this one. `tests/fixtures/kept/` has them.

use std::path::Path;

use postrider_tests::{Binary, Database, Server, ServerOptions, run_command};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/kept");

/// What sealed the secrets of kept databases.
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn options(database: Database) -> ServerOptions {
    // However long ago it was kept.
    let options = ServerOptions { binary: Binary::Real, database, ..ServerOptions::default() };
    let keep = ["RETENTION_PAYLOADS", "RETENTION_DELIVERIES", "RETENTION_STATISTICS"];
    keep.into_iter().fold(options.set("MASTER_KEY", MASTER_KEY), |options, name| options.set(name, "36500d"))
}

async fn on_sqlite(file: &str) -> Server {
    let options = options(Database::Sqlite);
    std::fs::copy(Path::new(KEPT).join(file), options.database_file()).expect("copied");
    Server::start_with(options).await
}

async fn on_postgres(file: &str) -> Server {
    let database = Database::postgres();
    let Database::Postgres(url) = &database else { unreachable!("it is") };
    let mut connection = PgConnection::connect(url).await.expect("a server");
    let dump = std::fs::read_to_string(Path::new(KEPT).join(file)).expect("kept");
    connection.execute(AssertSqlSafe(dump)).await.expect("restored");
    Server::start_with(options(database)).await
}

fn count(list: &Value) -> usize {
    list.as_array().expect("a list").len()
}

/// What version 0.1 left can be read, its secrets opened, and what waited goes on.
async fn has_everything_of_0_1(server: &Server) {
    let webhooks = server.get("/api/v1/webhooks/").await;
    assert_eq!(count(&webhooks["webhooks"]), 15, "without the deleted one");
    let events = server.get("/api/v1/events/?limit=250").await;
    assert_eq!(count(&events["events"]), 21);
    for event in events["events"].as_array().expect("a list") {
        let event = server.get(&format!("/api/v1/events/{}/", event["id"].as_str().expect("an id"))).await;
        assert!(event["payload"].is_object(), "{event}");
    }
    let tenants = server.get("/api/v1/tenants/").await;
    assert_eq!(count(&tenants["tenants"]), 2, "without the deleted one: {tenants}");
    assert_eq!(count(&server.get("/api/v1/replays/").await["replays"]), 4);
    assert_eq!(count(&server.get("/api/v1/callbacks/").await["callbacks"]), 1);
    assert_eq!(count(&server.get("/api/v1/users/").await["users"]), 5);
    let delivered = server.get("/api/v1/deliveries/?status=delivered&limit=250").await;
    let id = delivered["deliveries"][0]["id"].as_str().expect("an id");
    let request = server.get(&format!("/api/v1/deliveries/{id}/request/")).await;
    assert!(request["headers"].is_object() || request["headers"].is_array(), "{request}");
    let repeated = serde_json::json!({"event_type": "screening.completed", "idempotency_key": "key-3",
        "payload": {"id": "scr-3", "score": 0.3, "country": "NZ"}});
    assert_eq!(server.post("/api/v1/events/", repeated).await["duplicate"], true, "its keys are known");
}

#[tokio::test]
async fn what_0_1_left_on_sqlite_is_served() {
    has_everything_of_0_1(&on_sqlite("0.1.sqlite").await).await;
}

#[tokio::test]
async fn what_0_1_left_on_postgresql_is_served() {
    has_everything_of_0_1(&on_postgres("0.1.pg.sql").await).await;
}

#[tokio::test]
async fn what_0_1_left_on_sqlite_is_moved_to_postgresql() {
    let from = options(Database::Sqlite);
    std::fs::copy(Path::new(KEPT).join("0.1.sqlite"), from.database_file()).expect("copied");
    let database = Database::postgres();
    let Database::Postgres(to) = &database else { unreachable!("it is") };
    let url = format!("sqlite://{}", from.database_file().display());
    let (code, _, err) = run_command(&from, &["move", "--from", &url, "--to", to]).await;
    assert_eq!(code, 0, "{err}");
    has_everything_of_0_1(&Server::start_with(options(database)).await).await;
}
