//! The database of a server under test.

use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file in the server's folder.
    Sqlite,
    /// One of its own on a PostgreSQL server, by its URL.
    Postgres(String),
}

impl Database {
    /// What tests use that do not care: SQLite, or PostgreSQL if `SUITE_DATABASE` says so.
    #[must_use]
    pub fn of_this_run() -> Self {
        match std::env::var("SUITE_DATABASE").as_deref() {
            Ok("postgres") => Self::postgres(),
            _ => Self::Sqlite,
        }
    }

    /// A new database on the server at `TEST_POSTGRES_URL`, which is thrown away after the tests.
    ///
    /// # Panics
    /// If there is no such server.
    #[must_use]
    pub fn postgres() -> Self {
        let server = std::env::var("TEST_POSTGRES_URL");
        Self::on(&server.expect("run the tests through scripts/with-postgres, as `make test` does"))
    }

    /// A new database on a server.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn on(server: &str) -> Self {
        let name = format!("t{:032x}", u128::from_ne_bytes(random()));
        let (url, create) = (format!("{server}/postgres"), format!("create database {name}"));
        // A thread, because the caller may be in a runtime already.
        let made = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&url).await.expect("a server");
                connection.execute(AssertSqlSafe(create)).await.expect("a database");
            });
        });
        made.join().expect("a database");
        Self::Postgres(format!("{server}/{name}"))
    }

    pub(crate) fn url(&self, folder: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite://{}", sqlite_file(folder).display()),
            Self::Postgres(url) => url.clone(),
        }
    }
}

pub(crate) fn sqlite_file(folder: &Path) -> PathBuf {
    folder.join("postrider.db")
}

fn random() -> [u8; 16] {
    use postrider_core::world::{Random, SystemRandom};
    let mut bytes = [0; 16];
    SystemRandom.fill(&mut bytes);
    bytes
}
