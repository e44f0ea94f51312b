//! An answer means on disk; trouble with the disk means no answer, and passes.

use postrider_tests::{Receiver, Server, ServerOptions, SmallDisk, eventually};
use serde_json::json;

use super::deliver::{publish, subscribe};

#[tokio::test]
async fn fifty_publishes_one_after_another_are_synced_fifty_times() {
    let options = ServerOptions::default();
    let trace = options.folder.path().join("trace");
    // `-D`: the server itself is the child that is ended with this test, and the tracer ends with it.
    let under = ["strace", "-D", "-f", "-qq", "-e", "trace=fdatasync", "-o"].map(str::to_owned).to_vec();
    let under = under.into_iter().chain([trace.display().to_string()]).collect();
    let server = Server::start_with(ServerOptions { under, ..options }).await;
    let synced = || std::fs::read_to_string(&trace).unwrap_or_default().matches("fdatasync(").count();
    let before = synced();
    for n in 0..50 {
        publish(&server, json!({"n": n})).await;
    }
    let after = synced();
    assert!(after - before >= 50, "{} syncs for 50 answers", after - before);
}

#[tokio::test]
async fn a_locked_database_is_a_503_that_passes() {
    let receiver = Receiver::content().await;
    let server = Server::start().await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    let lock = Lock::take(server.options()).await;
    let body = json!({"event_type": "screening.completed", "payload": {"n": 1}});
    let answer = server.request("POST", "/api/v1/events/", Some(body.clone())).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.headers.contains_key("retry-after"));
    lock.release().await;
    eventually("events are accepted again", || async {
        let answer = server.request("POST", "/api/v1/events/", Some(body.clone())).await;
        (answer.status == 202).then_some(())
    })
    .await;
    receiver.wait_for(1).await;
    let events = server.get("/api/v1/events/").await;
    assert_eq!(events["events"].as_array().map(Vec::len), Some(1), "what was refused was not taken");
}

#[tokio::test]
async fn what_was_looked_at_is_written_down_or_not_shown() {
    let server = Server::start().await;
    let event = publish(&server, json!({"n": 1})).await;
    let path = format!("/api/v1/events/{event}/");
    let lock = Lock::take(server.options()).await;
    let answer = server.request("GET", &path, None).await;
    assert_eq!((answer.status, answer.body.get("payload")), (503, None), "{}", answer.body);
    lock.release().await;
    assert_eq!(server.request("GET", &path, None).await.status, 200);
    let entries = server.get("/api/v1/audit/?action=event.viewed").await;
    assert_eq!(entries["audit"].as_array().map(Vec::len), Some(1), "{entries}");
}

/// A change is made before it is written down who made it: then only the log can tell.
#[tokio::test]
async fn a_change_that_cannot_be_written_down_stands_and_is_in_the_log() {
    let server = Server::start().await;
    let mut database = database_of(server.options()).await;
    let refuse = "create trigger none before insert on audit begin select raise(abort, 'none'); end";
    sqlx::query(refuse).execute(&mut database).await.expect("a trigger");
    let body = json!({"event_type": "case.opened", "webhook_url": "https://a.example/"});
    let id = server.post("/api/v1/webhooks/", body).await["id"].as_str().expect("an id").to_owned();
    assert_eq!(server.get("/api/v1/webhooks/").await["webhooks"][0]["id"], id.as_str());
    let log = server.log();
    let told = log.lines().find(|line| line.contains("what was done is not in the audit log")).expect("a line");
    assert!(told.contains("ERROR") && told.contains("webhook.created") && told.contains(&id), "{told}");
    let event = publish(&server, json!({"n": 1})).await;
    let answer = server.request("GET", &format!("/api/v1/events/{event}/"), None).await;
    assert_eq!((answer.status, answer.body.get("payload")), (500, None), "what was looked at: {}", answer.body);
}

async fn database_of(options: &ServerOptions) -> sqlx::SqliteConnection {
    let url = format!("sqlite://{}", options.database_file().display());
    <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.expect("opens")
}

/// Another process that holds the database's write lock.
struct Lock(sqlx::SqliteConnection);

impl Lock {
    async fn take(options: &ServerOptions) -> Self {
        let mut connection = database_of(options).await;
        sqlx::query("begin immediate").execute(&mut connection).await.expect("locked");
        Self(connection)
    }

    async fn release(mut self) {
        sqlx::query("rollback").execute(&mut self.0).await.expect("released");
    }
}

#[tokio::test]
async fn a_full_disk_is_a_503_that_passes() {
    let options = ServerOptions::default();
    let Some(disk) = SmallDisk::mount(options.folder.path(), 6).await else {
        eprintln!("skipped: only root can mount a small disk");
        return;
    };
    let server = Server::start_with(options).await;
    let body = |n: usize| json!({"event_type": "case.opened", "payload": {"n": n, "fill": "x".repeat(100_000)}});
    let mut accepted = 0;
    let refused = loop {
        let answer = server.request("POST", "/api/v1/events/", Some(body(accepted))).await;
        match answer.status {
            202 => accepted += 1,
            _ => break answer,
        }
        assert!(accepted < 1000, "the disk is small");
    };
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(server.request("GET", "/api/v1/webhooks/", None).await.status, 200, "reading goes on");
    disk.resize(64).await;
    eventually("events are accepted again", || async {
        (server.request("POST", "/api/v1/events/", Some(body(accepted))).await.status == 202).then_some(())
    })
    .await;
    let server = Server::start_with(server.kill().await).await;
    let mut found = 0;
    let mut path = "/api/v1/events/?limit=250".to_owned();
    loop {
        let page = server.get(&path).await;
        found += page["events"].as_array().map_or(0, Vec::len);
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/events/?limit=250&cursor={cursor}");
    }
    assert_eq!(found, accepted + 1, "each that was accepted, and no other");
    drop(server);
    disk.unmount().await;
}
