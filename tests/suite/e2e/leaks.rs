//! What is secret, and what is personal, shows nowhere: each is made recognizable and looked for wherever people look.

use postrider_api::calls;
use postrider_tests::{Binary, Browser, Database, Receiver, Reply, Server, ServerOptions, eventually};
use rstest::rstest;
use serde_json::{Value, json};

use super::deliver::{publish, settled, subscribe};

const HEADER: &str = "Bearer sentinel-header-value";
const PERSON: &str = "sentinel-person";
const PASSWORD: &str = "sentinel-password";
const MASTER_KEY: &str = "c2VudGluZWwtbWFzdGVyLWtleS0wMTIzNDU2Nzg5MDE=";

/// A server that logs everything, and what of it nobody may see.
struct Watched {
    server: Server,
    secrets: Vec<String>,
    /// May look, but not at payloads.
    looker: String,
}

async fn watched(database: Database) -> (Watched, Receiver) {
    let receiver = Receiver::plain(|n, request| match n % 3 {
        0 => Reply::status(200, &String::from_utf8_lossy(&request.body)),
        1 => Reply::status(500, &String::from_utf8_lossy(&request.body)),
        _ => Reply::Close,
    })
    .await;
    let database = match database {
        Database::Postgres(url) => Database::Postgres(url.replace("postgres@", &format!("postgres:{PASSWORD}@"))),
        Database::Sqlite => Database::Sqlite,
    };
    let options = ServerOptions { database, binary: Binary::Faulty, ..ServerOptions::default() };
    let server = Server::start_with(options.set("LOG", "trace").set("MASTER_KEY", MASTER_KEY)).await;
    let tenants = server.get("/api/v1/tenants/").await;
    let tenant = tenants["tenants"][0]["id"].as_str().expect("an id");
    let change = json!({"redacted_paths": ["person.name"]});
    server.request("PATCH", &format!("/api/v1/tenants/{tenant}/"), Some(change)).await;
    let (webhook, first) =
        subscribe(&server, &receiver.url("/"), json!({"headers": {"Authorization": HEADER}, "retry_schedule": []}))
            .await;
    let rotated = server.post(&format!("/api/v1/webhooks/{webhook}/rotate-secret/"), json!({})).await;
    let shared = server.post("/api/v1/callback-secret/rotate/", json!({"profile": "standard"})).await;
    let made = server.post("/api/v1/api-keys/", json!({"name": "looker", "scopes": ["read"]})).await;
    let looker = text_of(&made["key"]);
    let password = "sentinel-of-a-password";
    let user = json!({"name": "anna", "password": password, "role": "operator-admin"});
    server.post("/api/v1/users/", user).await;
    let link = json!({"tenant_id": tenant, "role": "tenant-viewer"});
    let link = text_of(&server.post("/api/v1/portal-links/", link).await["url"]);
    let portal_token = link.rsplit('/').next().expect("a token").to_owned();
    let mut browser = Browser::new(&server);
    browser.sign_in(json!({"name": "anna", "password": password})).await;
    browser.call("POST", "/api/v1/webhooks/", Some(json!({}))).await;
    let mut visitor = Browser::new(&server);
    visitor.sign_in(json!({"portal_token": portal_token})).await;
    let page = visitor.call("GET", &format!("/portal/{portal_token}"), None).await;
    assert_eq!(page.status, 200);
    let ids = [&browser.cookie, &visitor.cookie].map(|cookie| cookie.split_once('=').expect("a cookie").1.to_owned());
    let people = [password.to_owned(), portal_token].into_iter().chain(ids);
    let people: Vec<String> = people.collect();
    let whole = [first, text_of(&rotated["secret_key"]), text_of(&shared["secret_key"])];
    let secrets = whole.iter().map(|secret| secret.trim_start_matches("whsec_").to_owned());
    let others = [server.key(), &looker, MASTER_KEY, PASSWORD, HEADER].map(str::to_owned);
    let secrets = secrets.chain(others).chain(people).collect();
    (Watched { server, secrets, looker }, receiver)
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

impl Watched {
    /// Publishes, fails, panics, is asked wrongly; everything that happens. What was said to who asked wrongly.
    async fn live(&self) -> String {
        let mut told = String::new();
        publish(&self.server, json!({"person": {"name": PERSON}, "fail_point": "panic"})).await;
        eventually("it panics", || async { self.server.log().contains("panicked").then_some(()) }).await;
        let person = json!({"person": {"name": PERSON}, "id": "r-1"});
        let event = publish(&self.server, person.clone()).await;
        settled(&self.server, &event, "delivered").await;
        for _ in 0..2 {
            let event = publish(&self.server, person.clone()).await;
            settled(&self.server, &event, "failed").await;
        }
        let wrong = [
            json!({"event_type": "screening.completed", "payload": PERSON}),
            json!({"event_type": PERSON, "payload": person}),
            json!({"event_type": "screening.completed", "payload": person, "idempotency_key": 5}),
            json!({"event_type": "screening.completed", "webhook_url": "nonsense", "headers": {"Host": HEADER}}),
            json!({"event_type": "screening.completed", "webhook_url": "http://127.0.0.1:1/", "headers": {"X-A": format!("{HEADER}\n")}}),
        ];
        for body in wrong {
            for path in ["/api/v1/events/", "/api/v1/webhooks/", "/api/v1/webhooks/test/"] {
                told.push_str(&self.server.request("POST", path, Some(body.clone())).await.body.to_string());
            }
        }
        for secret in &self.secrets {
            let answer = self.server.request_as(&format!("{secret}x"), "GET", "/api/v1/events/", None).await;
            assert_eq!(answer.status, 401);
            told.push_str(&answer.body.to_string());
        }
        told
    }

    /// What a caller sees in every call that names nothing, or an event, delivery or attempt.
    async fn seen_by(&self, key: &str) -> String {
        let event = self.server.get("/api/v1/deliveries/").await["deliveries"][0].clone();
        let whole = self.server.get(&format!("/api/v1/deliveries/{}/", event["id"].as_str().expect("an id"))).await;
        let mut seen = String::new();
        for call in calls().into_iter().filter(|call| call.method == "GET" && !call.path.starts_with("/docs")) {
            let id = match call.path.split('/').nth(3) {
                Some("events") => whole["event_id"].as_str().unwrap_or_default().to_owned(),
                Some("deliveries") => whole["id"].as_str().unwrap_or_default().to_owned(),
                Some("webhooks") => whole["webhook_id"].as_str().unwrap_or_default().to_owned(),
                Some("logs") => whole["attempts"][0]["log_id"].to_string(),
                _ => "standard".to_owned(),
            };
            let path = call.path.replace("{id}", &id).replace("{log_id}", &id).replace("{name}", &id);
            let query = if path.ends_with("/explain") {
                format!("?webhook_id={}", whole["webhook_id"].as_str().unwrap_or_default())
            } else {
                String::new()
            };
            let url = format!("{path}{query}");
            let answer = self.server.custom(|client, base| client.get(format!("{base}{url}")).bearer_auth(key)).await;
            seen.push_str(&format!("{url}: {}\n", answer.body));
            let text = reqwest::Client::builder().no_proxy().build().expect("a client");
            let text =
                text.get(format!("{}{url}", self.server.base())).bearer_auth(key).send().await.expect("an answer");
            seen.push_str(&text.text().await.expect("text"));
        }
        seen
    }

    fn assert_none_in(&self, place: &str, text: &str) {
        for secret in &self.secrets {
            let at = text.find(secret.as_str());
            assert!(
                at.is_none(),
                "{secret} in {place}: {:?}",
                at.map(|at| text[at.saturating_sub(200)..].chars().take(400).collect::<String>())
            );
        }
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgres(Database::postgres())]
#[tokio::test]
async fn nothing_secret_shows(#[case] database: Database) {
    let (watched, _receiver) = watched(database).await;
    let told = watched.live().await;
    let seen_by_admin = watched.seen_by(watched.server.key()).await;
    assert!(seen_by_admin.contains(PERSON), "who may see payloads does");
    watched.assert_none_in("what an admin sees", &seen_by_admin);
    let (seen, log) = (watched.seen_by(&watched.looker).await, watched.server.log());
    watched.assert_none_in("what is said to who asks wrongly", &told);
    assert!(log.contains("TRACE") && seen.contains("postrider_"), "everything is told, and metrics are seen");
    for (place, text) in [("what a reader sees", &seen), ("the log", &log)] {
        watched.assert_none_in(place, text);
        assert!(!text.contains(PERSON), "a person in {place}: {:?}", text.lines().find(|line| line.contains(PERSON)));
    }
    let dump = dump(watched.server.options()).await;
    assert!(dump.contains("screening.completed"), "it is a dump");
    watched.assert_none_in("the database", &dump);
    // Bytes are shown as digits in a dump of PostgreSQL.
    let digits = |secret: &String| secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(watched.secrets.iter().all(|secret| !dump.contains(&digits(secret))), "in the bytes of the database");
}

/// All that is in a database, as text.
async fn dump(options: &ServerOptions) -> String {
    match &options.database {
        Database::Sqlite => {
            let files = std::fs::read_dir(options.folder.path()).expect("a folder");
            let paths = files.map(|file| file.expect("a file").path());
            let database = paths.filter(|path| path.to_string_lossy().contains("postrider.db"));
            database.map(|path| String::from_utf8_lossy(&std::fs::read(path).expect("read")).into_owned()).collect()
        }
        Database::Postgres(url) => {
            use sqlx::{AssertSqlSafe, Connection};
            let mut connection = sqlx::PgConnection::connect(url).await.expect("a server");
            let tables = "select tablename::text from pg_tables where schemaname = 'public'";
            let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.expect("tables");
            let mut dump = String::new();
            for table in tables {
                let rows = AssertSqlSafe(format!("select t::text from {table} t"));
                let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&mut connection).await.expect("rows");
                dump.extend(rows);
            }
            dump
        }
    }
}
