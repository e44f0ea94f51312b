//! What operators do with whole databases.

use postrider_tests::{Binary, Database, Receiver, Reply, Server, ServerOptions, run_command};
use rstest::rstest;
use serde_json::{Value, json};

use super::deliver::{publish, subscribe};

fn options() -> ServerOptions {
    ServerOptions { binary: Binary::Real, database: Database::Sqlite, ..ServerOptions::default() }
}

fn url(options: &ServerOptions) -> String {
    format!("sqlite://{}", options.database_file().display())
}

/// What people see of a server's data.
async fn seen(server: &Server) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in ["webhooks/", "events/", "deliveries/", "event-types/", "tenants/", "api-keys/"] {
        seen.push(server.get(&format!("/api/v1/{path}")).await);
    }
    for event in seen[1]["events"].as_array().expect("a list").clone() {
        seen.push(server.get(&format!("/api/v1/events/{}/", event["id"].as_str().expect("an id"))).await);
    }
    seen
}

/// A server with something of everything.
async fn filled(receiver: &Receiver) -> Server {
    let server = Server::start_with(options()).await;
    subscribe(&server, &receiver.url("/good"), json!({"headers": {"X-Team": "aml"}})).await;
    subscribe(&server, &receiver.url("/bad"), json!({"retry_schedule": []})).await;
    server.post("/api/v1/event-types/", json!({"name": "our.type", "description": "é"})).await;
    for n in 0..130 {
        publish(&server, json!({"n": n, "text": "é\u{0}\u{2028}", "price": 1.5})).await;
    }
    postrider_tests::eventually("all ended", async || {
        let pending = server.get("/api/v1/deliveries/?status=pending").await;
        pending["deliveries"].as_array().expect("a list").is_empty().then_some(())
    })
    .await;
    server
}

async fn receiver() -> Receiver {
    Receiver::plain(|_, request| Reply::status(if request.head.starts_with("POST /bad") { 500 } else { 200 }, "\u{0}é"))
        .await
}

#[tokio::test]
async fn a_backup_beside_the_running_server_is_whole_and_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let receiver = receiver().await;
    let server = filled(&receiver).await;
    let restored = options();
    let copy = restored.database_file();
    let arguments = ["backup", "--to", copy.to_str().expect("a path")];
    let (code, out, err) = run_command(server.options(), &arguments).await;
    assert_eq!((code, out.contains("checked")), (0, true), "{err}");
    assert_eq!(std::fs::metadata(&copy).expect("a file").permissions().mode() & 0o077, 0);
    let (code, _, err) = run_command(server.options(), &arguments).await;
    assert_eq!((code, err.lines().count()), (1, 1), "nothing is overwritten: {err}");
    let before = seen(&server).await;
    let from_copy = Server::start_with(restored).await;
    assert_eq!(seen(&from_copy).await, before);
}

#[tokio::test]
async fn a_move_to_postgresql_changes_nothing() {
    let receiver = receiver().await;
    let server = filled(&receiver).await;
    let before = seen(&server).await;
    let target = Database::postgres();
    let Database::Postgres(to) = &target else { unreachable!("it is") };
    let (code, _, err) = run_command(server.options(), &["migrate", "--database", to]).await;
    assert_eq!(code, 0, "{err}");
    let from = url(server.options());
    let arguments = ["move", "--from", &from, "--to", to, "--json"];
    let (code, _, err) = run_command(server.options(), &arguments).await;
    assert_eq!((code, err.contains("another process serves")), (1, true), "{err}");
    let source = server.kill().await;
    let (code, out, err) = run_command(&source, &arguments).await;
    assert_eq!(code, 0, "{err}");
    let moved: Value = serde_json::from_str(&out).expect("JSON");
    let count = |name: &str| {
        let mut tables = moved["tables"].as_array().expect("a list").iter();
        tables.find(|table| table["name"] == name).expect("moved")["rows"].as_i64()
    };
    assert_eq!((count("events"), count("deliveries"), count("attempts")), (Some(130), Some(260), Some(260)));

    let moved = Server::start_with(ServerOptions { database: target.clone(), ..options() }).await;
    assert_eq!(seen(&moved).await, before);
    let event_id = publish(&moved, json!({})).await;
    let event = postrider_tests::eventually("both ended", async || {
        let event = moved.get(&format!("/api/v1/events/{event_id}/")).await;
        (event["delivery_counts"]["pending"] == 0).then_some(event)
    })
    .await;
    let attempts = event["deliveries"].as_array().expect("a list").iter().map(|delivery| &delivery["attempts"][0]);
    assert!(attempts.clone().all(|attempt| attempt["log_id"].as_i64() > Some(260)), "numbers go on");
    let (code, _, err) = run_command(&source, &arguments).await;
    assert_eq!((code, err.contains("must be empty")), (1, true), "{err}");
}

#[tokio::test]
async fn a_move_that_cannot_be_is_told_plainly() {
    let options = options();
    let missing = url(&options);
    let cases = [
        (vec!["move", "--from", &missing, "--to", "postgres://a@127.0.0.1:1/b"], 1, "there is no database"),
        (
            vec!["move", "--from", "postgres://a@127.0.0.1:1/b", "--to", &missing],
            1,
            "goes from sqlite:// to postgres://",
        ),
        (vec!["move", "--from", "mysql://a", "--to", &missing], 2, "must be sqlite://PATH"),
        (vec!["backup", "--to", "/nowhere/copy.db"], 1, "there is no database"),
    ];
    for (arguments, expected, message) in cases {
        let (code, _, err) = run_command(&options, &arguments).await;
        assert_eq!((code, err.contains(message)), (expected, true), "{arguments:?}: {err}");
    }
}

#[rstest]
#[case::sqlite(|| Database::Sqlite)]
#[case::postgresql(Database::postgres)]
#[tokio::test]
async fn the_master_key_is_rotated_while_it_serves(#[case] database: fn() -> Database) {
    const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NEW: &str = "HwABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4=";
    let receiver = Receiver::content().await;
    let with = |options: &ServerOptions, key: &str, previous: &str| {
        let settings =
            vec![("MASTER_KEY".to_owned(), key.to_owned()), ("MASTER_KEY_PREVIOUS".to_owned(), previous.to_owned())];
        ServerOptions {
            settings: settings.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            ..options.clone()
        }
    };
    let options = ServerOptions { database: database(), ..options() };
    let server = Server::start_with(with(&options, OLD, NEW)).await;
    let (_, secret) = subscribe(&server, &receiver.url("/"), json!({})).await;
    server.post("/api/v1/callback-secret/rotate/", json!({"profile": "standard"})).await;
    let arguments = ["rotate-master-key", "--json"];
    let (code, _, err) = run_command(&with(&options, NEW, ""), &arguments).await;
    assert_eq!((code, err.contains("POSTRIDER_MASTER_KEY_PREVIOUS")), (1, true), "{err}");
    let (code, out, err) = run_command(&with(&options, NEW, OLD), &arguments).await;
    assert_eq!((code, out.trim()), (0, "{\"sealed_anew\":2}"), "{err}");
    publish(&server, json!({})).await;
    let request = receiver.wait_for(1).await.remove(0);
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, request.header(name).expect("sent").parse().expect("plain"));
    }
    let verifier = standardwebhooks::Webhook::new(&secret).expect("a secret");
    verifier.verify(&request.body, &headers).expect("signed with the same secret");
    let audit = server.get("/api/v1/audit/?action=master_key.rotated").await;
    assert_eq!(audit["audit"][0]["actor"], "command_line");
    server.kill().await;
    let server = Server::start_with(with(&options, NEW, "")).await;
    publish(&server, json!({})).await;
    receiver.wait_for(2).await;
    server.kill().await;
    let (code, _, err) = run_command(&with(&options, OLD, ""), &["serve", "--listen", "127.0.0.1:0"]).await;
    let why = err.lines().last().expect("a reason");
    let refused = "postrider: POSTRIDER_MASTER_KEY: a stored secret was sealed with another master key";
    assert!(code == 1 && why.starts_with(refused), "nothing of the old key is left: {err}");
}
