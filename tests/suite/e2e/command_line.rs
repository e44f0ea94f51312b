//! The command line, as its users type it.

use std::process::Stdio;

use postrider_tests::{Binary, Browser, Server, ServerOptions, run_command};
use serde_json::{Value, json};

fn real() -> ServerOptions {
    ServerOptions { binary: Binary::Real, ..ServerOptions::default() }
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_beside_a_running_server() {
    let server = Server::start_with(real()).await;
    let options = server.options();
    let create = ["keys", "create", "--name", "ci", "--scopes", "publish,read", "--expires-in", "90d", "--json"];
    let (code, out, err) = run_command(options, &create).await;
    assert_eq!(code, 0, "{err}");
    let made: Value = serde_json::from_str(&out).expect("JSON");
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    assert_eq!(server.request_as(key, "GET", "/api/v1/webhooks/", None).await.status, 200);

    let (_, out, _) = run_command(options, &["keys", "list", "--json"]).await;
    assert!(out.contains(id) && !out.contains(key), "{out}");
    let (_, out, _) = run_command(options, &["keys", "list"]).await;
    assert!(out.contains(id) && out.contains("read, publish") && !out.contains(key), "{out}");

    let (code, out, _) = run_command(options, &["keys", "revoke", id]).await;
    assert_eq!((code, out), (0, format!("Revoked {id}.\n")));
    postrider_tests::eventually("the key is refused", || async {
        (server.request_as(key, "GET", "/api/v1/webhooks/", None).await.status == 401).then_some(())
    })
    .await;
    let (code, _, err) = run_command(options, &["keys", "revoke", id]).await;
    assert_eq!(code, 1);
    assert!(err.contains("no such key"), "{err}");
}

#[tokio::test]
async fn users_are_added_listed_and_removed_beside_a_running_server() {
    let server = Server::start_with(real()).await;
    let options = server.options();
    let add = ["users", "add", "--name", "anna", "--role", "operator-admin", "--json"];
    let (code, out, err) = run_command(options, &add).await;
    assert_eq!(code, 0, "{err}");
    let made: Value = serde_json::from_str(&out).expect("JSON");
    let (name, password) = ("anna", made["password"].as_str().expect("a password"));
    let mut browser = Browser::new(&server);
    assert_eq!(browser.sign_in(json!({"name": name, "password": password})).await.status, 201);
    let (_, out, _) = run_command(options, &["users", "list", "--json"]).await;
    assert!(out.contains(name) && !out.contains(password) && !out.contains("argon2"), "{out}");
    let (code, _, err) = run_command(options, &add).await;
    assert!(code == 1 && err.contains("there is a user `anna`"), "{err}");

    let (code, out, err) = run_command(options, &["users", "set-password", name]).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(browser.call("GET", "/api/v1/session/", None).await.status, 401, "signed out by the new password");
    assert_eq!(browser.sign_in(json!({"name": name, "password": out.trim()})).await.status, 201);
    let (code, out, _) = run_command(options, &["users", "remove", name]).await;
    assert_eq!((code, out.as_str()), (0, "Removed anna.\n"));
    assert_eq!(browser.call("GET", "/api/v1/session/", None).await.status, 401);
    let (code, _, err) = run_command(options, &["users", "remove", name]).await;
    assert!(code == 1 && err.contains("no such user"), "{err}");
}

#[tokio::test]
async fn exit_codes_tell_wrong_usage_from_failure() {
    let options = real();
    for (arguments, code) in [
        (vec!["--help"], 0),
        (vec!["serve", "--help"], 0),
        (vec!["keys", "create", "--help"], 0),
        (vec!["migrate"], 0),
        (vec!["fly"], 2),
        (vec!["serve", "--listen", "nowhere"], 1),
        (vec!["keys", "create", "--name", "x"], 2),
        (vec!["keys", "create", "--name", "x", "--scopes", "fly"], 2),
        (vec!["keys", "create", "--name", " ", "--scopes", "read"], 2),
        (vec!["keys", "create", "--name", "x", "--scopes", "read, publish", "--expires-in", "0d"], 2),
        (vec!["keys", "list", "--tenant", "nobody"], 1),
        (vec!["users", "add", "--name", "x"], 2),
        (vec!["users", "add", "--name", "x", "--role", "root"], 2),
        (vec!["users", "add", "--name", "x y", "--role", "operator"], 2),
        (vec!["users", "add", "--name", "x", "--role", "operator", "--tenant", "default"], 1),
        (vec!["serve"], 1),
    ] {
        let (got, _, err) = run_command(&options, &arguments).await;
        assert_eq!(got, code, "{arguments:?}: {err}");
    }
    let (_, help, _) = run_command(&options, &["serve", "--help"]).await;
    assert!(help.contains("Example:"), "{help}");
}

#[tokio::test]
async fn a_bad_setting_stops_the_start_with_one_line_that_names_it() {
    for (name, value) in [("TARGETS_ALLOW", "everything"), ("MASTER_KEY", "short"), ("NONSENSE", "1")] {
        let options = real().set(name, value);
        let (code, out, err) = run_command(&options, &["serve"]).await;
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.lines().count() == 1 && err.contains(&format!("POSTRIDER_{name}")), "{err}");
    }
    let (_, _, err) = run_command(&real(), &["serve"]).await;
    assert!(err.contains("POSTRIDER_MASTER_KEY") && err.lines().count() == 1, "{err}");
}

#[tokio::test]
async fn it_starts_beside_a_kubernetes_service_of_its_name() {
    let options = real()
        .set("SERVICE_HOST", "10.96.0.17")
        .set("SERVICE_PORT", "8080")
        .set("SERVICE_PORT_HTTP", "8080")
        .set("PORT", "tcp://10.96.0.17:8080")
        .set("PORT_8080_TCP", "tcp://10.96.0.17:8080")
        .set("PORT_8080_TCP_PROTO", "tcp")
        .set("PORT_8080_TCP_PORT", "8080")
        .set("PORT_8080_TCP_ADDR", "10.96.0.17")
        .set("METRICS_PORT_53_UDP", "udp://10.96.0.18:53");
    let server = Server::start_with(options).await;
    assert_eq!(server.request("GET", "/readyz", None).await.status, 200);
    let (code, _, err) = run_command(&real().set("PORT", "8080"), &["serve", "--dev"]).await;
    assert!(code == 1 && err.contains("POSTRIDER_PORT: is not a known setting"), "{err}");
}

#[tokio::test]
async fn the_master_key_may_stand_in_a_file() {
    let options = ServerOptions { dev: false, ..real() };
    let path = options.folder.path().join("master.key");
    std::fs::write(&path, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").expect("written");
    let options = options.set("MASTER_KEY_FILE", &path.display().to_string());
    let (code, _, err) = run_command(&options, &["migrate"]).await;
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run_command(&options, &["serve", "--listen", "256.0.0.1:1"]).await;
    assert!(code == 1 && err.starts_with("postrider: --listen: must be an address"), "the key is taken: {err}");
}

#[tokio::test]
async fn a_mistake_in_a_file_is_told_with_its_line() {
    let options = real();
    let path = options.folder.path().join("postrider.toml");
    for (text, expected) in [
        (
            "dev = true\n\nlistne = \"127.0.0.1:1\"\n",
            "postrider.toml:3: listne: is not a known setting; did you mean listen?",
        ),
        ("[retention]\npayloads = 30d\n", "postrider.toml:2: retention.payloads: is no TOML"),
        ("[limits]\n\nwebhooks = 0\n", "postrider.toml:3: limits.webhooks: must be a whole number of at least 1"),
    ] {
        std::fs::write(&path, text).expect("written");
        let (code, _, err) = run_command(&options, &["serve"]).await;
        assert!(code == 1 && err.contains(expected) && err.lines().count() == 1, "{expected} in {err}");
    }
}

#[tokio::test]
async fn one_process_serves_a_database() {
    let server = Server::start_with(real()).await;
    let (code, _, err) = run_command(server.options(), &["serve", "--dev", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("another process serves"), "{err}");
}

#[tokio::test]
async fn another_master_key_is_told_plainly() {
    let server = Server::start_with(ServerOptions { dev: false, ..real() }).await;
    let body = serde_json::json!({"event_type": "case.opened", "webhook_url": "https://a.example/"});
    server.post("/api/v1/webhooks/", body).await;
    let other = "HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";
    let options = server.kill().await.set("MASTER_KEY", other);
    let (code, out, err) = run_command(&options, &["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!((code, out.as_str(), err.lines().count()), (1, "", 1), "{err}");
    assert!(err.contains("POSTRIDER_MASTER_KEY: ") && err.contains("another master key"), "{err}");
    let options = options.set("MASTER_KEY_PREVIOUS", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let server = Server::start_with(options).await;
    assert_eq!(server.request("GET", "/api/v1/webhooks/", None).await.status, 200);
}

#[tokio::test]
async fn the_demo_shows_that_all_is_well() {
    let (code, out, err) = run_command(&real(), &["demo"]).await;
    assert_eq!(code, 0, "{out}{err}");
    for shown in [
        "X-Workflow-Event-Type",
        "X-Webhook-Signature",
        "\"key\": \"verification.completed\"",
        "The process is complete",
        "✔ genuine",
        "every signature there is was verified",
        "retries_exhausted",
        "How to look at it by API",
    ] {
        assert!(out.contains(shown), "{shown} in\n{out}");
    }
    let after = |line: &str| line.split_once('+')?.1.split_once("s  HTTP 200: OK")?.0.trim().parse::<f64>().ok();
    assert!(out.lines().filter_map(after).any(|seconds| seconds >= 5.0), "the second try after five seconds in\n{out}");
    assert!(!out.contains('\u{1b}'), "no colours in a pipe");
}

#[tokio::test]
async fn a_mistyped_path_makes_no_database() {
    let options = real();
    let (code, _, err) = run_command(&options, &["keys", "list"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("there is no database at sqlite://") && !options.database_file().exists(), "{err}");
    let (code, _, err) = run_command(&options, &["migrate"]).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(run_command(&options, &["keys", "list"]).await.0, 0);
}

#[tokio::test]
async fn the_database_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start_with(real()).await;
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", server.options().database_file().display());
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o077, 0, "{path}");
    }
}

#[tokio::test]
async fn a_reader_that_went_away_is_no_failure() {
    let options = real();
    run_command(&options, &["migrate"]).await;
    let mut command = options.command(&["keys", "list"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().await.expect("it ends");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr)), (Some(0), "".into()));
}
