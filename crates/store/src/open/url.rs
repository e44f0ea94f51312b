//! Which database.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// How the URL of a database must look, for people.
pub const DATABASE_URL_FORM: &str = "sqlite://PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE";

/// The URL of a database that a store can be opened on. Shows no password.
#[derive(Clone)]
pub struct DatabaseUrl(pub(crate) Target);

#[derive(Clone)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl DatabaseUrl {
    /// Reads `sqlite://PATH` or `postgres://…`, whose parameters are those of libpq: `sslmode`,
    /// `sslrootcert` and the like. `None` if it is neither.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url).ok()?;
            return Some(Self(Target::Postgres(Box::new(options))));
        }
        let path = url.strip_prefix("sqlite://").filter(|path| !path.is_empty() && !path.contains(['?', ':']))?;
        Some(Self(Target::Sqlite(path.into())))
    }

    /// Whether many processes can serve this database together.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.0, Target::Postgres(_))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Target::Postgres(options) => {
                let database = options.get_database().unwrap_or_else(|| options.get_username());
                write!(f, "postgres://{}:{}/{database}", options.get_host(), options.get_port())
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_are_known_and_others_refused() {
        let shared = |url| DatabaseUrl::parse(url).map(|url| url.is_shared());
        assert_eq!(shared("sqlite://postrider.db"), Some(false));
        assert_eq!(shared("postgres://a:b@c/d"), Some(true));
        assert_eq!(shared("postgresql://a@c:1/d?sslmode=verify-full"), Some(true));
        for url in ["", "sqlite://", "sqlite://a?b", "sqlite://:memory:", "mysql://a", "postgres://a:b:c:d/", "/a/b"] {
            assert_eq!(shared(url), None, "{url}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let url = DatabaseUrl::parse("postgres://a:sentinel@c:1/d").expect("a URL");
        assert_eq!((url.to_string(), format!("{url:?}")), ("postgres://c:1/d".into(), "postgres://c:1/d".into()));
    }
}
