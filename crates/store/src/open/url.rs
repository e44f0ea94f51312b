//! Which database: its URL, judged before anything connects.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use postrider_core::spelling::did_you_mean;
use sqlx::postgres::PgSslMode;

use super::hosts::{self, PostgresUrl};

/// How the URL of a database must look, for people.
pub const DATABASE_URL_FORM: &str = "sqlite://PATH or postgres://USER:PASSWORD@HOST:PORT[,HOST:PORT]/DATABASE";

/// The parameters that a `postgres://` URL may have: those of libpq that are understood, and the driver's own
/// `statement-cache-capacity`. `options[NAME]` sets a setting of the server and is known too.
const PARAMETERS: [&str; 19] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "target_session_attrs",
    "user",
];

/// Of those of libpq, the ones by which a server can be written to.
const SESSION_ATTRIBUTES: [&str; 3] = ["any", "primary", "read-write"];

const SSL_MODES: &str = "disable, allow, prefer, require, verify-ca or verify-full";

/// The URL of a database that a store can be opened on. Shows no password.
#[derive(Clone)]
pub struct DatabaseUrl(pub(crate) Target);

#[derive(Clone)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    Postgres(Box<PostgresUrl>),
}

/// Why a URL names no database; completes "the URL …". Repeats nothing that stands between `://` and the last `@`,
/// and no value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DatabaseUrlError(pub(super) Cow<'static, str>);

impl From<&'static str> for DatabaseUrlError {
    fn from(message: &'static str) -> Self {
        Self(message.into())
    }
}

impl DatabaseUrl {
    /// Reads `sqlite://PATH` or `postgres://…`. What a `postgres://` URL leaves out comes from libpq's environment
    /// variables (`PGPASSWORD`, `PGSSLMODE` and the like) and its password file.
    ///
    /// # Errors
    /// [`DatabaseUrlError`] says what is wrong and how to write it, without repeating a password.
    pub fn parse(url: &str) -> Result<Self, DatabaseUrlError> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            return sqlite_path(path).map(|path| Self(Target::Sqlite(path)));
        }
        let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) else {
            return Err(DatabaseUrlError(format!("must be {DATABASE_URL_FORM}").into()));
        };
        check_user_info(rest)?;
        check_parameters(rest)?;
        check_environment(|name| std::env::var(name).ok())?;
        Ok(Self(Target::Postgres(Box::new(hosts::parse(rest)?))))
    }

    /// Whether many processes can serve this database together.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.0, Target::Postgres(_))
    }
}

fn sqlite_path(path: &str) -> Result<PathBuf, DatabaseUrlError> {
    if path.is_empty() {
        return Err("must name a file, such as sqlite://postrider.db or sqlite:///var/lib/postrider.db".into());
    }
    if path.contains(['?', ':']) {
        return Err("must be sqlite://PATH, where the path has no `?` and no `:`".into());
    }
    Ok(path.into())
}

/// Refuses a user name or password with characters that would end it early: the rest of a password would be taken for
/// a host, a path or a parameter, and shown as such.
fn check_user_info(rest: &str) -> Result<(), DatabaseUrlError> {
    if rest.chars().any(char::is_control) {
        return Err("must not contain control characters".into());
    }
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if rest[authority_end..].contains('@') {
        return Err("has an `@` behind a `/`, `?` or `#`: percent-encode the user name and the password (`/` is %2F, \
                    `?` is %3F, `#` is %23, `%` is %25, `@` is %40), or leave the password out and set PGPASSWORD"
            .into());
    }
    if rest.contains('#') {
        return Err("must not contain `#`; in a name or password, write it as %23".into());
    }
    let user_info = rest[..authority_end].rsplit_once('@').map_or("", |(user_info, _)| user_info);
    if has_stray_percent(user_info) {
        return Err("has a `%` in the user name or password that begins no percent-encoding; write it as %25".into());
    }
    Ok(())
}

/// Whether a `%` is not followed by two hexadecimal digits.
pub(super) fn has_stray_percent(text: &str) -> bool {
    text.split('%').skip(1).any(|after| {
        let digits = after.as_bytes();
        digits.len() < 2 || !digits[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

/// Refuses parameters that the driver would pass over in silence or read differently: a misspelt `sslmode` must not
/// become an unencrypted connection.
fn check_parameters(rest: &str) -> Result<(), DatabaseUrlError> {
    let Some((_, query)) = rest.split_once('?') else { return Ok(()) };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is_setting = name.starts_with("options[") && name.ends_with(']');
        if !is_setting && !PARAMETERS.contains(&name) {
            let hint = did_you_mean(name, PARAMETERS.into_iter());
            return Err(DatabaseUrlError(format!("has an unknown parameter `{}`{hint}", printable(name)).into()));
        }
        if value.contains('+') || has_stray_percent(value) {
            let message = format!("has a `+` or `%` in `{name}` that is not percent-encoded; write %2B or %25");
            return Err(DatabaseUrlError(message.into()));
        }
        let form = match name {
            "sslmode" | "ssl-mode" if PgSslMode::from_str(value).is_err() => SSL_MODES,
            "port" if !value.split(',').all(is_port) => "a port from 1 to 65535, or one for each host",
            "target_session_attrs" if !SESSION_ATTRIBUTES.contains(&value) => {
                "read-write, primary or any: events are written, so a server that can be written to is looked for"
            }
            "statement-cache-capacity" if value.parse::<usize>().is_err() => "a whole number",
            "hostaddr" if value.parse::<IpAddr>().is_err() => "an IP address",
            _ => continue,
        };
        return Err(DatabaseUrlError(format!("has a parameter `{name}` that is not {form}").into()));
    }
    Ok(())
}

/// The same for what the driver reads from the environment.
fn check_environment(read: impl Fn(&str) -> Option<String>) -> Result<(), DatabaseUrlError> {
    let is_bad = |name: &str, is_good: fn(&str) -> bool| read(name).is_some_and(|value| !is_good(&value));
    if is_bad("PGSSLMODE", |mode| PgSslMode::from_str(mode).is_ok()) {
        return Err(DatabaseUrlError(format!("is completed by PGSSLMODE, which must be {SSL_MODES}").into()));
    }
    if is_bad("PGPORT", is_port) {
        return Err("is completed by PGPORT, which must be a port from 1 to 65535".into());
    }
    Ok(())
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A stranger's text for one line: not too long, no control characters.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Target::Postgres(url) => fmt::Display::fmt(url, f),
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

    fn refusal(url: &str) -> String {
        DatabaseUrl::parse(url).expect_err(url).to_string()
    }

    #[test]
    fn both_databases_are_known_and_others_refused() {
        let shared = |url| DatabaseUrl::parse(url).ok().map(|url| url.is_shared());
        assert_eq!(shared("sqlite://postrider.db"), Some(false));
        assert_eq!(shared("postgres://a:b@c/d"), Some(true));
        assert_eq!(shared("postgresql://a@c:1/d?sslmode=verify-full&options[search_path]=x"), Some(true));
        assert_eq!(shared("postgres:///d?host=/run/postgresql&user=a"), Some(true));
        for url in ["", "sqlite://", "sqlite://a?b", "sqlite://:memory:", "mysql://a", "postgres://a:b:c:d/", "/a/b"] {
            assert_eq!(shared(url), None, "{url}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        for url in ["postgres://a:sentinel@c:1/d", "postgres://a:sent%2F%40inel@c:1/d", "postgres://a:s@ent@c:1/d"] {
            let url = DatabaseUrl::parse(url).expect("a URL");
            assert_eq!((url.to_string(), format!("{url:?}")), ("postgres://c:1/d".into(), "postgres://c:1/d".into()));
        }
    }

    #[test]
    fn a_password_that_must_be_percent_encoded_is_told_so_and_not_shown() {
        for password in
            ["12/sentinel", "a/sentinel", "?sentinel", "#sentinel", "sentinel%", "sentinel%2", "%zzsentinel"]
        {
            let told = refusal(&format!("postgres://user:{password}@host:5432/name"));
            assert!(told.contains("%2") && !told.contains("sentinel"), "{password}: {told}");
        }
        let told = refusal("postgres://user:sentinel\n@host/name");
        assert!(told.contains("control") && !told.contains("sentinel"), "{told}");
    }

    /// As `openssl rand -base64 32` makes them.
    fn passwords() -> Vec<String> {
        use base64::Engine;
        use postrider_core::world::{Random, SystemRandom};
        let password = |()| {
            let mut bytes = [0; 32];
            SystemRandom.fill(&mut bytes);
            base64::prelude::BASE64_STANDARD.encode(bytes)
        };
        std::iter::repeat_n((), 200).map(password).collect()
    }

    #[test]
    fn no_part_of_a_random_password_is_ever_shown() {
        for password in passwords() {
            let shown = match DatabaseUrl::parse(&format!("postgres://user:{password}@host:5432/name")) {
                Ok(url) => format!("{url} {url:?}"),
                Err(error) => error.to_string(),
            };
            let parts = password.split(['/', '+', '=']).filter(|part| part.len() > 3);
            for part in parts {
                assert!(!shown.contains(part), "{password}: {shown}");
            }
            assert!(!password.contains('/') || shown.contains("%2F"), "{password}: {shown}");
            let encoded = password.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
            let url = DatabaseUrl::parse(&format!("postgres://user:{encoded}@host:5432/name")).expect("encoded");
            assert_eq!(url.to_string(), "postgres://host:5432/name");
        }
    }

    #[test]
    fn a_parameter_that_is_unknown_or_bad_is_named_without_its_value() {
        for (parameters, expected) in [
            ("sslmod=sentinel", "`sslmod`; did you mean sslmode?"),
            ("SSLMODE=sentinel", "`SSLMODE`; did you mean"),
            ("connect_timeout=sentinel", "`connect_timeout`"),
            ("sslmode=sentinel", "`sslmode` that is not disable, allow"),
            ("application_name=x&port=sentinel", "`port` that is not a port"),
            ("hostaddr=sentinel", "`hostaddr` that is not an IP"),
            ("password=sentinel+", "`password`"),
            ("statement-cache-capacity=sentinel", "`statement-cache-capacity` that is not a whole number"),
        ] {
            let told = refusal(&format!("postgres://user@host/name?{parameters}"));
            assert!(told.contains(expected) && !told.contains("sentinel"), "{parameters}: {told}");
        }
    }

    #[test]
    fn a_misspelt_ssl_mode_of_the_environment_is_no_mode() {
        let with = |name: &'static str, value: &'static str| {
            check_environment(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert!(with("PGSSLMODE", "verify-full").is_ok() && with("PGPORT", "5432").is_ok());
        assert!(with("PGSSLMODE", "verifyfull").is_err_and(|error| error.to_string().contains("PGSSLMODE")));
        assert!(with("PGPORT", "0").is_err_and(|error| error.to_string().contains("PGPORT")));
    }
}
