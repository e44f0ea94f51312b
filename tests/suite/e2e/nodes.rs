//! Several nodes on one PostgreSQL, in real time: nobody's clock can be set for all of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use postrider_tests::{Binary, Database, PATIENCE, Receiver, Reply, Server, ServerOptions, eventually};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::deliver::{publish, settled, subscribe};

fn node(database: &Database) -> ServerOptions {
    ServerOptions { binary: Binary::Real, database: database.clone(), ..ServerOptions::default() }
}

async fn nodes(database: &Database) -> [Server; 2] {
    let (one, other) = tokio::join!(Server::start_with(node(database)), Server::start_with(node(database)));
    [one, other]
}

#[tokio::test]
async fn many_start_at_once_on_an_empty_database() {
    let database = Database::postgres();
    let start = || Server::start_with(node(&database));
    let servers = tokio::join!(start(), start(), start(), start(), start());
    for server in [&servers.0, &servers.1, &servers.2, &servers.3, &servers.4] {
        assert_eq!(server.request("GET", "/readyz", None).await.status, 200);
    }
}

#[tokio::test]
async fn a_change_on_one_node_holds_at_once_on_another() {
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let [one, other] = nodes(&Database::postgres()).await;
    let count = async || {
        let body = json!({"event_type": "screening.completed", "payload": {}});
        other.post("/api/v1/events/", body).await["deliveries"].as_i64().expect("a number")
    };
    for _ in 0..20 {
        let (id, _) = subscribe(&one, &receiver.url("/"), json!({})).await;
        assert_eq!(count().await, 1);
        let path = format!("/api/v1/webhooks/{id}/");
        one.request("PATCH", &path, Some(json!({"is_active": false}))).await;
        assert_eq!(count().await, 0);
        one.request("PATCH", &path, Some(json!({"is_active": true}))).await;
        assert_eq!(count().await, 1);
        one.request("DELETE", &path, None).await;
        assert_eq!(count().await, 0);
    }
}

#[tokio::test]
async fn a_rotated_secret_is_not_used_by_any_node() {
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let [one, other] = nodes(&Database::postgres()).await;
    let (id, _) = subscribe(&one, &receiver.url("/"), json!({})).await;
    for n in 0..10 {
        let rotate = format!("/api/v1/webhooks/{id}/rotate-secret/");
        let rotated = one.post(&rotate, json!({"overlap_seconds": 0})).await;
        let secret = rotated["secret_key"].as_str().expect("a secret");
        publish(&other, json!({"n": n})).await;
        let request = receiver.wait_for(n + 1).await.remove(n);
        let mut headers = http::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, request.header(name).expect("sent").parse().expect("plain"));
        }
        let verifier = standardwebhooks::Webhook::new(secret).expect("a secret");
        verifier.verify(&request.body, &headers).expect("signed by the new secret");
    }
}

/// Revokes a key on one node while another is asked with it all the time; how long the other still accepted it.
pub(crate) async fn time_until_a_revoked_key_ends() -> Duration {
    let [one, other] = nodes(&Database::postgres()).await;
    let made = one.post("/api/v1/api-keys/", json!({"name": "k", "scopes": ["read"]})).await;
    let key = made["key"].as_str().expect("a key");
    let asked = async || other.request_as(key, "GET", "/api/v1/webhooks/", None).await.status;
    assert_eq!(asked().await, 200);
    let path = format!("/api/v1/api-keys/{}/", made["id"].as_str().expect("an id"));
    assert_eq!(one.request("DELETE", &path, None).await.status, 200);
    let revoked_at = Instant::now();
    // Asked all the time: being used keeps no key alive.
    while asked().await == 200 {
        assert!(revoked_at.elapsed() < PATIENCE, "the key is accepted for ever");
    }
    assert_eq!(asked().await, 401);
    revoked_at.elapsed()
}

#[tokio::test]
async fn a_revoked_key_ends_on_every_node() {
    time_until_a_revoked_key_ends().await;
}

#[tokio::test]
async fn one_takes_requests_and_another_sends() {
    let database = Database::postgres();
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let api = Server::start_with(node(&database).set("ROLE", "api")).await;
    subscribe(&api, &receiver.url("/"), json!({})).await;
    let waiting = publish(&api, json!({})).await;
    let event = api.get(&format!("/api/v1/events/{waiting}/")).await;
    assert_eq!(event["deliveries"][0]["status"], "pending", "nobody sends yet");
    let dispatch = Server::start_with(node(&database).set("ROLE", "dispatch")).await;
    settled(&api, &waiting, "delivered").await;
    let next = publish(&api, json!({})).await;
    settled(&api, &next, "delivered").await;
    assert_eq!(dispatch.request("GET", "/readyz", None).await.status, 200);
    assert_eq!(dispatch.request("GET", "/api/v1/webhooks/", None).await.status, 404);
    let tested = api.post("/api/v1/webhooks/test/", json!({"webhook_url": receiver.url("/test")})).await;
    assert_eq!(tested["success"], true, "every role can test");
}

#[tokio::test]
async fn sqlite_has_one_process_that_does_all() {
    let options = ServerOptions { database: Database::Sqlite, ..ServerOptions::default() };
    let (code, _, err) = postrider_tests::run_command(&options, &["serve", "--dev", "--role", "api"]).await;
    assert_eq!((code, err.contains("--role"), err.lines().count()), (1, true, 1), "{err}");
}

#[tokio::test]
async fn what_a_killed_node_had_in_flight_goes_out_within_ten_seconds() {
    let receiver = Receiver::plain(|n, _| if n == 0 { Reply::Hang } else { Reply::status(200, "") }).await;
    let [one, other] = nodes(&Database::postgres()).await;
    subscribe(&one, &receiver.url("/"), json!({"timeout_seconds": 30})).await;
    let event_id = publish(&one, json!({})).await;
    receiver.wait_for(1).await;
    let start = Instant::now();
    one.kill().await;
    settled(&other, &event_id, "delivered").await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// Rows that a node has leased, as if it were sending them; they are due in a year.
const LEASED: &str =
    "insert into deliveries (tenant_id, id, event_id, target_kind, target_id, profile, lane, state, due_at,
         lease_until, claim, node, strikes, tries, attempts, created_at, opened_at)
     select d.tenant_id, gen_random_uuid(), d.event_id, d.target_kind, gen_random_uuid(), d.profile, d.lane, 0,
         d.due_at + 31536000000000, d.due_at + 31536000000000, 1, $1, 1, 0, 0, d.created_at, d.opened_at
     from (select * from deliveries limit 1) d cross join generate_series(1, $2)";

/// Kills a node that has leased so many rows, one of which somebody else holds, and watches the other take over.
pub(crate) async fn take_over(rows: i64) {
    use sqlx::{Connection, Row};
    let receiver = Receiver::plain(|n, _| if n == 0 { Reply::status(200, "") } else { Reply::Hang }).await;
    let database = Database::postgres();
    let Database::Postgres(url) = &database else { unreachable!("it is") };
    let survivor = Server::start_with(node(&database)).await;
    let mut people = sqlx::PgConnection::connect(url).await.expect("a server");
    let registered = "select number, incarnation::text from cluster_nodes order by started_at";
    let mine = sqlx::query(registered).fetch_one(&mut people).await.expect("registered").get::<String, _>(1);
    let doomed = Server::start_with(node(&database)).await;
    let others = sqlx::query(registered).fetch_all(&mut people).await.expect("registered");
    let number = others.iter().find(|row| row.get::<String, _>(1) != mine).expect("two").get::<i64, _>(0);
    subscribe(&survivor, &receiver.url("/"), json!({"timeout_seconds": 30})).await;
    let first = publish(&survivor, json!({})).await;
    settled(&survivor, &first, "delivered").await;
    publish(&survivor, json!({"hangs": true})).await;
    receiver.wait_for(2).await;
    sqlx::query(LEASED).bind(number).bind(rows).execute(&mut people).await.expect("leased");
    let mut lock = people.begin().await.expect("a transaction");
    let locked = "select id from deliveries where node = $1 and lease_until > 0 limit 1 for update";
    sqlx::query(locked).bind(number).fetch_one(&mut *lock).await.expect("locked");
    doomed.kill().await;

    let left = async || {
        let mut watcher = sqlx::PgConnection::connect(url).await.expect("a server");
        let left = "select count(*) from deliveries where state = 0 and lease_until > 0 and node = $1";
        sqlx::query_scalar::<_, i64>(left).bind(number).fetch_one(&mut watcher).await.expect("read")
    };
    eventually("all are free but the one that somebody holds", async || (left().await == 1).then_some(())).await;
    lock.rollback().await.expect("let go of");
    eventually("it is tried again", async || (left().await == 0).then_some(())).await;
    let still = eventually("the number comes free", || async {
        let mut connection = sqlx::PgConnection::connect(url).await.expect("a server");
        let rows = sqlx::query(registered).fetch_all(&mut connection).await.expect("read");
        (rows.len() == 1).then(|| rows[0].get::<String, _>(1))
    })
    .await;
    assert_eq!(still, mine, "the survivor kept its session");
    assert_eq!(receiver.requests().len(), 2, "what the survivor has in flight is not sent again");
}

#[tokio::test]
async fn a_take_over_of_many_rows_holds_up_nobody() {
    take_over(20_000).await;
}

/// The value of a metric, zero if there is none; without labels, the sum of all.
async fn metric(server: &Server, name: &str) -> f64 {
    let page = server.request("GET", "/metrics", None).await.text;
    let values = page
        .lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

/// Publishes as fast as it can until it is told to stop.
fn flood(server: &Server) -> Vec<tokio::task::JoinHandle<()>> {
    let publish = |_| {
        let (base, key) = (server.base().to_owned(), server.key().to_owned());
        tokio::spawn(async move {
            let client = reqwest::Client::builder().no_proxy().build().expect("a client");
            let event = json!({"event_type": "case.opened", "payload": {}});
            let events = json!({"events": vec![event; 50]});
            loop {
                let request = client.post(format!("{base}/api/v1/events/batch/")).bearer_auth(&key).json(&events);
                if let Err(error) = request.send().await {
                    panic!("{error}");
                }
            }
        })
    };
    (0..8).map(publish).collect()
}

/// What was begun before an answer may still arrive so long after it.
const ON_ITS_WAY: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_webhook_is_switched_off_whole_and_without_a_deadlock() {
    let busy = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&busy);
    let receiver = Receiver::plain(move |_, request| {
        counted.fetch_add(usize::from(request.head.starts_with("POST /busy")), Ordering::SeqCst);
        Reply::status(200, "")
    })
    .await;
    let [one, other] = nodes(&Database::postgres()).await;
    let settings = json!({"event_type": "case.opened", "retry_schedule": [1, 1]});
    let (id, _) = subscribe(&one, &receiver.url("/busy"), settings).await;
    subscribe(&one, &receiver.url("/well"), json!({"event_type": "case.opened"})).await;
    let publishers = flood(&one);
    receiver.wait_for(100).await;
    let (path, pending) =
        (format!("/api/v1/webhooks/{id}/"), format!("/api/v1/deliveries/?webhook_id={id}&status=pending"));
    for turn in 0..20 {
        let switched = one.request("PATCH", &path, Some(json!({"is_active": false}))).await;
        assert_eq!(switched.status, 200, "{turn}: {}", switched.body);
        let answered = Instant::now();
        // What was being accepted meanwhile is discarded when its turn comes: at once.
        eventually("nothing is left", || async {
            let left = one.get(&pending).await;
            left["deliveries"].as_array().expect("a list").is_empty().then_some(())
        })
        .await;
        if turn % 4 == 0 {
            tokio::time::sleep(ON_ITS_WAY.saturating_sub(answered.elapsed())).await;
            let so_far = busy.load(Ordering::SeqCst);
            tokio::time::sleep(ON_ITS_WAY).await;
            assert_eq!(busy.load(Ordering::SeqCst), so_far, "nothing of it is sent after the answer");
        }
        assert_eq!(one.request("PATCH", &path, Some(json!({"is_active": true}))).await.status, 200);
    }
    publishers.iter().for_each(tokio::task::JoinHandle::abort);
    for server in [&one, &other] {
        assert_eq!(metric(server, "postrider_store_errors_total{kind=\"contended\"}").await, 0.0, "no deadlock");
    }
}

/// A node that cannot register at once after it lost its session is still the one that it was.
#[tokio::test]
async fn a_session_that_is_hard_to_open_again_keeps_its_number() {
    use sqlx::{Connection, Executor, Row};

    let database = Database::postgres();
    let Database::Postgres(url) = &database else { panic!("it is one") };
    let server = Server::start_with(node(&database)).await;
    let mut people = sqlx::PgConnection::connect(url).await.expect("a server");
    let registered = "select incarnation::text from cluster_nodes";
    let before = sqlx::query(registered).fetch_one(&mut people).await.expect("registered").get::<String, _>(0);
    people.execute("alter table cluster_nodes rename to elsewhere").await.expect("renamed");
    let end_session = "select pg_terminate_backend(a.pid) from pg_stat_activity a join pg_locks l on l.pid = a.pid
         where l.locktype = 'advisory' and a.datname = current_database()";
    people.execute(end_session).await.expect("ended");
    eventually("it tries in vain", || async { server.log().contains("no session yet").then_some(()) }).await;
    people.execute("alter table elsewhere rename to cluster_nodes").await.expect("renamed");
    eventually("it is registered", || async { (server.log().matches("registered").count() > 1).then_some(()) }).await;
    let after = sqlx::query(registered).fetch_all(&mut people).await.expect("registered");
    let after: Vec<String> = after.iter().map(|row| row.get(0)).collect();
    assert_eq!(after, [before]);
}

/// Publishes to whichever node answers until told to stop; the ids of what was accepted.
async fn publish_meanwhile(bases: Arc<std::sync::Mutex<Vec<String>>>, key: String, stop: Arc<Notify>) -> Vec<String> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().expect("a client");
    let mut accepted = Vec::new();
    let mut n = 0;
    let stopped = stop.notified();
    tokio::pin!(stopped);
    loop {
        n += 1;
        let body =
            json!({"event_type": "screening.completed", "payload": {"n": n}, "idempotency_key": format!("k{n}")});
        for turn in n.. {
            let base = {
                let bases = bases.lock().expect("unpoisoned");
                bases[turn % bases.len()].clone()
            };
            let request = client.post(format!("{base}/api/v1/events/")).bearer_auth(&key).json(&body);
            let Ok(response) = request.send().await else { continue };
            if response.status().is_success() {
                let body: Value = response.json().await.expect("JSON");
                accepted.push(body["id"].as_str().expect("an id").to_owned());
                break;
            }
            assert_eq!(response.status(), 503, "nothing else may be answered");
        }
        tokio::select! {
            biased;
            () = &mut stopped => return accepted,
            () = tokio::task::yield_now() => {}
        }
    }
}

#[tokio::test]
async fn what_one_node_changes_of_a_tenant_the_other_knows_when_it_is_asked() {
    let [one, other] = nodes(&Database::postgres()).await;
    // Both remember the tenant from now on.
    publish(&one, json!({})).await;
    publish(&other, json!({})).await;
    one.post("/api/v1/event-types/", json!({"name": "our.own"})).await;
    let event = json!({"event_type": "our.own", "payload": {}});
    assert_eq!(other.request("POST", "/api/v1/events/", Some(event.clone())).await.status, 202);
    let batch = other.post("/api/v1/events/batch/", json!({"events": [event]})).await;
    assert!(batch["results"][0]["id"].is_string(), "{batch}");

    let tenant = one.get("/api/v1/tenants/").await["tenants"][0]["id"].as_str().expect("an id").to_owned();
    let change = json!({"default_profile": "casekeeper"});
    one.request("PATCH", &format!("/api/v1/tenants/{tenant}/"), Some(change)).await;
    let callback = json!({"resource_id": "r", "webhook_url": "https://a.example/"});
    assert_eq!(other.post("/api/v1/callbacks/", callback).await["profile"], "casekeeper");
    let event = json!({"event_type": "our.own", "payload": {}, "resource_id": "r"});
    assert_eq!(one.post("/api/v1/events/", event).await["deliveries"], 1, "also the first callback of all");
}

#[tokio::test]
async fn a_rolling_restart_loses_and_doubles_nothing() {
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let database = Database::postgres();
    let [mut one, mut other] = nodes(&database).await;
    subscribe(&one, &receiver.url("/"), json!({})).await;
    let bases = Arc::new(std::sync::Mutex::new(vec![one.base().to_owned(), other.base().to_owned()]));
    let stop = Arc::new(Notify::new());
    let publisher = tokio::spawn(publish_meanwhile(Arc::clone(&bases), one.key().to_owned(), Arc::clone(&stop)));
    for turn in 0..2 {
        receiver.wait_for(10 * (turn + 1)).await;
        let restarted = if turn == 0 { &mut one } else { &mut other };
        restarted.signal("TERM").await;
        assert!(restarted.wait().await.success());
        *restarted = Server::start_with(node(&database)).await;
        restarted.base().clone_into(&mut bases.lock().expect("unpoisoned")[turn]);
    }
    stop.notify_one();
    let accepted = publisher.await.expect("it ends");
    assert!(accepted.len() >= 20, "{}", accepted.len());
    for id in &accepted {
        settled(&one, id, "delivered").await;
    }
    let mut sent: HashMap<String, usize> = HashMap::new();
    for request in receiver.requests() {
        *sent.entry(request.header("webhook-id").expect("sent").to_owned()).or_default() += 1;
    }
    assert!(accepted.iter().all(|id| sent.get(id) == Some(&1)), "each once");
    assert_eq!(sent.len(), accepted.len());
}

#[tokio::test]
async fn a_node_that_was_stopped_past_its_lease_overwrites_nothing() {
    let receiver = Receiver::plain(|n, _| if n == 0 { Reply::Hang } else { Reply::status(200, "") }).await;
    let [one, other] = nodes(&Database::postgres()).await;
    let (id, _) = subscribe(&one, &receiver.url("/"), json!({"timeout_seconds": 3, "retry_schedule": []})).await;
    let event_id = publish(&one, json!({})).await;
    receiver.wait_for(1).await;
    one.signal("STOP").await;
    // The lease ends 18 s after the claim.
    settled(&other, &event_id, "delivered").await;
    one.signal("CONT").await;
    let event = eventually("the late attempt is kept", || async {
        let event = other.get(&format!("/api/v1/events/{event_id}/")).await;
        (event["deliveries"][0]["attempts"].as_array().expect("attempts").len() == 2).then_some(event)
    })
    .await;
    assert_eq!(event["deliveries"][0]["status"], "delivered");
    let stats = other.get(&format!("/api/v1/webhooks/{id}/")).await["stats"].clone();
    assert_eq!(stats, json!({"total_deliveries": 1, "successful_deliveries": 1, "failed_deliveries": 0}));
    assert_eq!(receiver.requests().len(), 2);
}

/// Beside a newer program, unless that used what older ones would break: then they end, and say why.
#[tokio::test]
async fn an_older_program_runs_beside_a_newer() {
    use sqlx::Connection;
    let database = Database::postgres();
    let receiver = Receiver::plain(|n, _| if n == 0 { Reply::Hang } else { Reply::status(200, "") }).await;
    let mut first = Server::start_with(node(&database)).await;
    subscribe(&first, &receiver.url("/"), json!({"timeout_seconds": 30})).await;
    let Database::Postgres(url) = &database else { unreachable!("it is") };
    let mut newer = sqlx::PgConnection::connect(url).await.expect("a server");
    let migrated = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'of a newer program', true, '', 1)";
    sqlx::query(migrated).execute(&mut newer).await.expect("written");
    let mut second = Server::start_with(node(&database)).await;
    let held = publish(&first, json!({})).await;
    receiver.wait_for(1).await;
    publish(&second, json!({})).await;

    let used = "update installation set least_version = greatest(least_version, 99001002)";
    sqlx::query(used).execute(&mut newer).await.expect("written");
    for server in [&mut first, &mut second] {
        assert_eq!(server.wait().await.code(), Some(1));
        let told = server.log();
        assert_eq!(told.matches("may be served by Postrider 99.1.2 or newer only").count(), 1, "{told}");
    }
    let given_back = "select lease_until from deliveries where event_id = $1::uuid and state = 0";
    let lease: i64 = sqlx::query_scalar(given_back).bind(&held).fetch_one(&mut newer).await.expect("pending");
    assert_eq!(lease, 0, "its claim was given back");
    for command in [&["serve", "--dev"][..], &["keys", "list"], &["migrate"]] {
        let (code, out, err) = postrider_tests::run_command(&node(&database), command).await;
        assert_eq!((code, out.as_str(), err.lines().count()), (1, "", 1), "{err}");
        assert!(err.contains("99.1.2 or newer only"), "{err}");
    }
}

#[tokio::test]
async fn after_a_quiet_real_moment_it_accepts_and_records_as_before() {
    let receiver = Receiver::plain(|_, _| Reply::status(200, "")).await;
    let server = Server::start_with(node(&Database::postgres())).await;
    subscribe(&server, &receiver.url("/"), json!({})).await;
    for _ in 0..2 {
        let event_id = publish(&server, json!({})).await;
        settled(&server, &event_id, "delivered").await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
}
