//! Passwords of PostgreSQL, whatever characters they have, on the two ways that the documents show.

use postrider_core::world::{Random, SystemRandom};
use postrider_tests::{Binary, Database, ServerOptions, run_command};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// What `openssl rand -base64 32` makes consists of these, and an equals sign at the end.
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A text of so many random characters of base64.
fn random(length: usize) -> String {
    let mut bytes = vec![0; length];
    SystemRandom.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(BASE64[usize::from(byte % 64)])).collect()
}

/// A role that needs a password, and a database of its own.
struct Owner {
    name: String,
    admin: PgConnection,
    /// The URL of the database, without user and password.
    database: String,
}

impl Owner {
    async fn new() -> Self {
        let Database::Postgres(url) = Database::postgres() else { unreachable!("it is PostgreSQL") };
        let mut admin = PgConnection::connect(&url).await.expect("a server");
        let database = url.split_once('@').expect("a user").1.to_owned();
        let name = format!("owner_{}", database.rsplit('/').next().expect("a name"));
        let group = "do $$ begin create role needs_password; exception when others then null; end $$";
        admin.execute(group).await.expect("a group");
        let owner = format!("create role {name} login in role needs_password");
        admin.execute(AssertSqlSafe(owner)).await.expect("a role");
        let given = format!("alter database {} owner to {name}", database.rsplit('/').next().expect("a name"));
        admin.execute(AssertSqlSafe(given)).await.expect("it owns the database");
        Self { name, admin, database }
    }

    async fn set_password(&mut self, password: &str) {
        let change = format!("alter role {} password '{password}'", self.name);
        self.admin.execute(AssertSqlSafe(change)).await.expect("a password");
    }

    /// Options of a program that has a URL with such a password, or none.
    fn with_url(&self, password: Option<&str>) -> ServerOptions {
        let password = password.map_or_else(String::new, |password| format!(":{password}"));
        let url = format!("postgres://{}{password}@{}", self.name, self.database);
        ServerOptions { binary: Binary::Real, database: Database::Postgres(url), ..ServerOptions::default() }
    }

    /// The same as the compose file has it: the password in a variable of its own.
    fn as_compose_file(&self, password: &str) -> ServerOptions {
        ServerOptions { under: vec!["env".to_owned(), format!("PGPASSWORD={password}")], ..self.with_url(None) }
    }
}

/// Logs in with so many random passwords on each way; nothing that is printed has one.
pub(crate) async fn log_in(passwords: usize) {
    let mut owner = Owner::new().await;
    owner.set_password("first").await;
    let (code, _, err) = run_command(&owner.as_compose_file("first"), &["migrate"]).await;
    assert_eq!(code, 0, "{err}");
    for _ in 0..passwords {
        let password = format!("{}=", random(43));
        owner.set_password(&password).await;
        let (code, _, err) = run_command(&owner.as_compose_file(&password), &["keys", "list"]).await;
        assert_eq!(code, 0, "{err}");
        let encoded = password.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
        let (code, _, err) = run_command(&owner.with_url(Some(&encoded)), &["keys", "list"]).await;
        assert_eq!(code, 0, "{err}");
        let with_slash = format!("1/{password}");
        let (code, out, err) = run_command(&owner.with_url(Some(&with_slash)), &["keys", "list"]).await;
        assert!(code == 1 && err.contains("%2F") && err.lines().count() == 1, "{code} {err}");
        assert!(!format!("{out}{err}").contains(&password), "{err}");
    }
}

#[tokio::test]
async fn any_password_logs_in_and_none_is_printed() {
    log_in(10).await;
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_printed() {
    let mut owner = Owner::new().await;
    owner.set_password("right").await;
    let (code, out, err) = run_command(&owner.as_compose_file("sentinel"), &["keys", "list"]).await;
    assert!(code == 1 && err.contains("password authentication failed"), "{code} {err}");
    assert!(!format!("{out}{err}").contains("sentinel"), "{err}");
}

#[tokio::test]
async fn the_command_line_repeats_no_secret_that_it_refuses() {
    let options = ServerOptions { binary: Binary::Real, ..ServerOptions::default() };
    let bad = "postgres://user:1/sentinel@host/name";
    let bench = ["bench", "--url", "http://127.0.0.1:1", "--key", "sentinel key"];
    for (arguments, expected) in [
        (&["move", "--from", bad, "--to", bad][..], 2),
        (&["move", "--from", "sqlite://a.db", "--to", bad][..], 2),
        (&["keys", "list", "--database", bad][..], 1),
        (&["serve", "--database", "mysql://user:sentinel@host/name"][..], 1),
        (&bench[..], 2),
    ] {
        let (code, out, err) = run_command(&options, arguments).await;
        assert_eq!(code, expected, "{arguments:?}: {err}");
        assert!(!format!("{out}{err}").contains("sentinel"), "{arguments:?}: {err}");
    }
}
