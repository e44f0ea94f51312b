//! Databases that earlier versions left, served by this one. `tests/fixtures/kept/` has them.

use std::path::Path;

use postrider_tests::{Binary, Database, Server, ServerOptions, run_command};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

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
    Server::start_with(options(restored(file).await)).await
}

/// A database as it was kept.
async fn restored(file: &str) -> Database {
    let database = Database::postgres();
    let Database::Postgres(url) = &database else { unreachable!("it is") };
    let mut connection = PgConnection::connect(url).await.expect("a server");
    let dump = std::fs::read_to_string(Path::new(KEPT).join(file)).expect("kept");
    connection.execute(AssertSqlSafe(dump)).await.expect("restored");
    database
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

/// The rows of a table, one column after the other, as one text.
type Rows = Vec<(String, String)>;

/// Everything that 0.1 had in SQLite, in the columns that it knew.
async fn sqlite_rows(file: &Path, columns: Option<&[(String, Vec<String>)]>) -> (Vec<(String, Vec<String>)>, Rows) {
    let mut db = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.expect("opens");
    let columns = match columns {
        Some(columns) => columns.to_vec(),
        None => {
            let tables = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' and name not like '\\_%' escape '\\' order by name";
            let mut all = Vec::new();
            for table in sqlx::query_scalar::<_, String>(tables).fetch_all(&mut db).await.expect("read") {
                let columns = format!("select name from pragma_table_info('{table}') order by cid");
                let columns = sqlx::query_scalar(AssertSqlSafe(columns)).fetch_all(&mut db).await.expect("read");
                all.push((table, columns));
            }
            all
        }
    };
    let mut rows = Rows::new();
    for (table, columns) in &columns {
        let quoted: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
        let sql = format!(
            "select coalesce(group_concat(line, char(10)), '') from (select {} as line from {table} order by 1)",
            quoted.join(" || ' ' || ")
        );
        rows.push((table.clone(), sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut db).await.expect("read")));
    }
    (columns, rows)
}

#[tokio::test]
async fn a_migration_changes_nothing_that_was_there() {
    let options = options(Database::Sqlite);
    let file = options.database_file();
    std::fs::copy(Path::new(KEPT).join("0.1.sqlite"), &file).expect("copied");
    let (columns, before) = sqlite_rows(&file, None).await;
    assert!(columns.len() > 15 && before.iter().any(|(_, rows)| rows.lines().count() > 20), "{columns:?}");
    let (code, _, err) = run_command(&options, &["migrate"]).await;
    assert_eq!(code, 0, "{err}");
    let (_, after) = sqlite_rows(&file, Some(&columns)).await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
}

#[tokio::test]
async fn the_same_on_postgresql() {
    let database = restored("0.1.pg.sql").await;
    let Database::Postgres(url) = &database else { unreachable!("it is") };
    let mut db = PgConnection::connect(url).await.expect("a server");
    let columns = "select table_name::text, string_agg(quote_ident(column_name), ', ' order by ordinal_position)
         from information_schema.columns where table_schema = 'public' and table_name not like '\\_%' group by 1 order by 1";
    let columns: Vec<(String, String)> = sqlx::query_as(columns).fetch_all(&mut db).await.expect("read");
    let mut read = async || {
        let mut rows = Rows::new();
        for (table, columns) in &columns {
            let now =
                if table == "nodes" && rows_exist(&mut db, "cluster_nodes").await { "cluster_nodes" } else { table };
            let sql = format!(
                "select coalesce(string_agg(t::text, E'\n' order by t::text), '') from (select {columns} from {now}) t"
            );
            rows.push((table.clone(), sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut db).await.expect("read")));
        }
        rows
    };
    let before = read().await;
    assert!(before.iter().any(|(_, rows)| rows.lines().count() > 20), "{columns:?}");
    let (code, _, err) = run_command(&options(database.clone()), &["migrate"]).await;
    assert_eq!(code, 0, "{err}");
    let after = read().await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
}

async fn rows_exist(db: &mut PgConnection, table: &str) -> bool {
    let sql = "select to_regclass($1) is not null";
    sqlx::query_scalar(sql).bind(table).fetch_one(db).await.expect("read")
}

/// Programs of 0.1 would go on with a schema that they do not know.
#[tokio::test]
async fn a_database_that_0_1_serves_is_not_migrated() {
    let database = restored("0.1.pg.sql").await;
    let Database::Postgres(url) = &database else { unreachable!("it is") };
    let mut old = PgConnection::connect(url).await.expect("a server");
    old.execute("insert into nodes (number, incarnation, started_at) values (7, gen_random_uuid(), 1)")
        .await
        .expect("registered");
    old.execute("select pg_advisory_lock(1348424260, 7)").await.expect("locked");
    for command in [&["migrate"][..], &["serve", "--dev"]] {
        let (code, _, err) = run_command(&options(database.clone()), command).await;
        assert_eq!((code, err.lines().count()), (1, 1), "{err}");
        assert!(err.contains("stop all of them first, then migrate, then start"), "{err}");
    }
    assert!(rows_exist(&mut old, "nodes").await && !rows_exist(&mut old, "subscription_versions").await);
    old.execute("select pg_advisory_unlock(1348424260, 7)").await.expect("stopped");
    let (code, _, err) = run_command(&options(database.clone()), &["migrate"]).await;
    assert_eq!(code, 0, "{err}");
    // What 0.1 does at its start.
    let register = "insert into nodes (number, incarnation, started_at) values (8, gen_random_uuid(), 1)";
    assert!(old.execute(register).await.is_err(), "it ends at its start");
}

/// Nor is any by a command that does something else.
#[tokio::test]
async fn only_serve_and_migrate_migrate() {
    let sqlite = options(Database::Sqlite);
    std::fs::copy(Path::new(KEPT).join("0.1.sqlite"), sqlite.database_file()).expect("copied");
    for options in [sqlite, options(restored("0.1.pg.sql").await)] {
        for command in
            [&["keys", "list"][..], &["users", "list"], &["keys", "create", "--name", "a", "--scopes", "read"]]
        {
            let (code, _, err) = run_command(&options, command).await;
            assert_eq!((code, err.lines().count()), (1, 1), "{command:?}: {err}");
            assert!(err.contains("`postrider migrate`"), "{command:?}: {err}");
        }
    }
}

#[tokio::test]
async fn a_file_that_is_served_is_not_migrated() {
    let options = options(Database::Sqlite);
    let file = options.database_file();
    std::fs::copy(Path::new(KEPT).join("0.1.sqlite"), &file).expect("copied");
    let lock = std::fs::File::create(file.with_extension("db.lock")).expect("made");
    lock.try_lock().expect("as a server has it");
    let (code, _, err) = run_command(&options, &["migrate"]).await;
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");
    assert!(err.contains("another process serves"), "{err}");
    drop(lock);
    let (code, _, err) = run_command(&options, &["migrate"]).await;
    assert_eq!(code, 0, "{err}");
}

/// As long as they leave older programs what these need.
#[tokio::test]
async fn a_file_may_know_newer_migrations() {
    let server = Server::start_with(options(Database::Sqlite)).await;
    let options = server.options().clone();
    drop(server);
    let file = format!("sqlite://{}", options.database_file().display());
    let mut newer = SqliteConnection::connect(&file).await.expect("opens");
    let migrated = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'of a newer program', true, x'', 1)";
    newer.execute(migrated).await.expect("written");
    let (code, _, err) = run_command(&options, &["migrate"]).await;
    assert_eq!(code, 0, "{err}");
    drop(Server::start_with(options.clone()).await);
    newer.execute("update installation set least_version = 99001002").await.expect("written");
    for command in [&["serve", "--dev"][..], &["keys", "list"], &["migrate"]] {
        let (code, _, err) = run_command(&options, command).await;
        assert_eq!((code, err.lines().count()), (1, 1), "{command:?}: {err}");
        assert!(err.contains("may be served by Postrider 99.1.2 or newer only"), "{command:?}: {err}");
    }
}
