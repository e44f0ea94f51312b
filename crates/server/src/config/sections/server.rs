//! What the process is, where it listens, and which wire formats it knows.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use postrider_core::profile::Profiles;

use super::Section;
use crate::config::error::ConfigError;
use crate::config::setting::{Kind, Setting};
use crate::config::sources::Sources;
use crate::config::values;
use crate::profiles;

const LISTEN: Setting = Setting::new(
    "listen",
    "an address such as 127.0.0.1:8080 or localhost:8080",
    "The address and port of the API and the console.",
)
.flag("--listen")
.default("127.0.0.1:8080");

const PUBLIC_URL: Setting = Setting::new(
    "public_url",
    "a URL such as https://webhooks.example.com",
    "Where browsers find the installation. Links that sign in begin with it, and only pages of this origin may change \
     anything in the console.",
)
.otherwise("the host that the request names, over HTTPS")
.example("https://webhooks.example.com");

const ROLE: Setting = Setting::new(
    "role",
    "all, api or dispatch",
    "What this node does, of several on one PostgreSQL: `all`; `api` accepts requests and leaves sending to others; \
     `dispatch` sends, and answers only `/healthz` and `/readyz`.",
)
.flag("--role")
.default("all");

const DEV: Setting = Setting::new(
    "dev",
    "true or false",
    "For development: permits `http://` and this machine as targets, needs no master key, shows `/metrics` to everybody, \
     prints an API key when the database is new, and has a receiver at `/dev/receiver`.",
)
.flag("--dev")
.kind(Kind::Flag)
.default("false");

const PROFILES_DIR: Setting = Setting::new(
    "profiles_dir",
    "a folder of wire formats",
    "A folder of more wire formats, `*.toml`; each is checked at the start. See [docs/formats](formats/README.md).",
)
.example("/etc/postrider/profiles");

pub(in crate::config) const SECTION: Section =
    Section { title: "Server", settings: &[&LISTEN, &PUBLIC_URL, &ROLE, &DEV, &PROFILES_DIR] };

/// What the process is and where it listens.
#[derive(Clone, Debug)]
pub(crate) struct ServerSettings {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// Where browsers find the installation, without a slash at the end.
    pub(crate) public_url: Option<String>,
    /// Which part of the work it does.
    pub(crate) role: Role,
    /// For development.
    pub(crate) dev: bool,
    /// The wire formats.
    pub(crate) profiles: Arc<Profiles>,
}

/// Which part of the work a node does. Nodes of all parts together serve one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything.
    All,
    /// Accepts requests, and leaves sending to others.
    Api,
    /// Sends, and accepts no requests but those for its health.
    Dispatch,
}

impl Role {
    fn named(name: &str) -> Option<Self> {
        match name {
            "all" => Some(Self::All),
            "api" => Some(Self::Api),
            "dispatch" => Some(Self::Dispatch),
            _ => None,
        }
    }

    pub(crate) fn serves_api(self) -> bool {
        self != Self::Dispatch
    }

    pub(crate) fn dispatches(self) -> bool {
        self != Self::Api
    }
}

pub(in crate::config) fn read(sources: &Sources) -> Result<ServerSettings, ConfigError> {
    let profiles = sources.read_with(&PROFILES_DIR, |folder| profiles::read(Path::new(folder)))?;
    Ok(ServerSettings {
        listen: sources.require(&LISTEN, values::address)?,
        public_url: sources.read(&PUBLIC_URL, values::origin)?,
        role: sources.require(&ROLE, Role::named)?,
        dev: sources.require(&DEV, values::flag)?,
        profiles: Arc::new(profiles.unwrap_or_else(Profiles::published)),
    })
}
