//! Keys that come from outside: what seals secrets, and the first API key.

use postrider_core::api_key::MIN_KEY_LENGTH;
use postrider_core::vault::MasterKey;

use super::Section;
use crate::config::error::ConfigError;
use crate::config::setting::Setting;
use crate::config::sources::Sources;
use crate::hidden::Hidden;

const KEY_FORM: &str = "32 bytes in base64, such as `openssl rand -base64 32` makes";

const MASTER_KEY: Setting = Setting::new(
    "master_key",
    KEY_FORM,
    "Encrypts secrets at rest. The start is refused if it does not open what is in the database. Keep a copy: without \
     it no secret can be read.",
)
.otherwise("required, except under `dev`")
.example("/etc/postrider/master.key")
.secret();

const MASTER_KEY_PREVIOUS: Setting = Setting::new(
    "master_key_previous",
    KEY_FORM,
    "The master key before the current one, while it is replaced: still opens what it sealed.",
)
.example("/etc/postrider/master-previous.key")
.secret();

const BOOTSTRAP_API_KEY: Setting = Setting::new(
    "bootstrap_api_key",
    "a string of at least 32 characters",
    "Makes sure that this API key exists, with all scopes, in the tenant `default`. For containers and tests.",
)
.example("/etc/postrider/bootstrap.key")
.secret();

pub(in crate::config) const SECTION: Section =
    Section { title: "Keys", settings: &[&MASTER_KEY, &MASTER_KEY_PREVIOUS, &BOOTSTRAP_API_KEY] };

/// Keys that come from outside.
#[derive(Clone, Debug)]
pub(crate) struct KeySettings {
    /// Seals secrets.
    pub(crate) master: Option<MasterKey>,
    /// Opens what it sealed before.
    pub(crate) master_previous: Option<MasterKey>,
    /// A key that is to exist with all scopes.
    pub(crate) bootstrap: Option<Hidden>,
}

pub(in crate::config) fn read(sources: &Sources) -> Result<KeySettings, ConfigError> {
    Ok(KeySettings {
        master: sources.read(&MASTER_KEY, MasterKey::parse)?,
        master_previous: sources.read(&MASTER_KEY_PREVIOUS, MasterKey::parse)?,
        bootstrap: sources.read(&BOOTSTRAP_API_KEY, long_enough)?,
    })
}

fn long_enough(key: &str) -> Option<Hidden> {
    (key.chars().count() >= MIN_KEY_LENGTH).then(|| Hidden(key.to_owned()))
}
