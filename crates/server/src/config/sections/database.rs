//! Which database.

use postrider_store::{DATABASE_URL_FORM, DatabaseUrl, Durability};

use super::Section;
use crate::config::error::ConfigError;
use crate::config::setting::Setting;
use crate::config::sources::Sources;

const URL: Setting = Setting::new(
    "database_url",
    DATABASE_URL_FORM,
    "Where the data is. A `postgres://` URL takes the parameters `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, \
     `application_name`, `options` and `target_session_attrs` of libpq; an unknown one stops the start. Of several hosts, \
     divided by commas, the one that can be written to is used, whichever that is after a fail-over. In a user name or password, `/` is \
     written %2F, `?` %3F, `#` %23, `%` %25 and `@` %40; or leave the password out and set `PGPASSWORD`, which takes it \
     as it is.",
)
.flag("--database")
.default("sqlite://postrider.db")
.secret();

const DURABILITY: Setting = Setting::new(
    "database.durability",
    "checked or trusted",
    "How it is known that PostgreSQL keeps what it commits: `checked` refuses a server that has `fsync` or `full_page_writes` \
     off; `trusted` does not look at them, for managed services whose storage is durable though they say off. \
     `synchronous_commit` must be on either way.",
)
.default("checked");

pub(in crate::config) const SECTION: Section = Section { title: "Database", settings: &[&URL, &DURABILITY] };

/// The database.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseSettings {
    /// Where it is. Shows no password.
    pub(crate) url: DatabaseUrl,
    /// Whether PostgreSQL has to say that it keeps what it commits.
    pub(crate) durability: Durability,
}

pub(in crate::config) fn read(sources: &Sources) -> Result<DatabaseSettings, ConfigError> {
    let url = sources.read_with(&URL, DatabaseUrl::parse)?.expect("the setting has a default");
    let durability = sources.require(&DURABILITY, |name| match name {
        "checked" => Some(Durability::Checked),
        "trusted" => Some(Durability::Trusted),
        _ => None,
    })?;
    Ok(DatabaseSettings { url, durability })
}
