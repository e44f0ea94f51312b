//! Which database.

use postrider_store::{DATABASE_URL_FORM, DatabaseUrl};

use super::Section;
use crate::config::error::ConfigError;
use crate::config::setting::Setting;
use crate::config::sources::Sources;

const URL: Setting = Setting::new(
    "database_url",
    DATABASE_URL_FORM,
    "Where the data is. A `postgres://` URL takes the parameters `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, \
     `application_name` and `options` of libpq; an unknown one stops the start. In a user name or password, `/` is \
     written %2F, `?` %3F, `#` %23, `%` %25 and `@` %40; or leave the password out and set `PGPASSWORD`, which takes it \
     as it is.",
)
.flag("--database")
.default("sqlite://postrider.db")
.secret();

pub(in crate::config) const SECTION: Section = Section { title: "Database", settings: &[&URL] };

/// The database.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseSettings {
    /// Where it is. Shows no password.
    pub(crate) url: DatabaseUrl,
}

pub(in crate::config) fn read(sources: &Sources) -> Result<DatabaseSettings, ConfigError> {
    let url = sources.read_with(&URL, DatabaseUrl::parse)?.expect("the setting has a default");
    Ok(DatabaseSettings { url })
}
