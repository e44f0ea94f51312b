//! Settings: flags over environment over a TOML file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use postrider_api::{Limits, RequestLimit};
use postrider_core::address::AddressPolicy;
use postrider_core::api_key::MIN_KEY_LENGTH;
use postrider_core::lanes::LaneLimits;
use postrider_core::profile::Profiles;
use postrider_core::target_url::UrlPolicy;
use postrider_core::time::parse_duration;
use postrider_core::vault::MasterKey;
use postrider_store::{DATABASE_URL_FORM, DatabaseUrl, Retention};

use crate::cli::ServeOptions;
use crate::profiles;

/// Every setting, by its path in the file. In the environment it is `POSTRIDER_` and the path in
/// capitals, dots as underscores.
const KNOWN: [&str; 25] = [
    "traces.endpoint",
    "listen",
    "metrics_listen",
    "public_url",
    "role",
    "database_url",
    "dev",
    "bootstrap_api_key",
    "master_key",
    "master_key_previous",
    "targets.allow",
    "targets.deny",
    "targets.ca_file",
    "targets.patience",
    "targets.in_flight",
    "webhooks.deactivate_after",
    "retention.payloads",
    "retention.deliveries",
    "retention.statistics",
    "limits.requests",
    "limits.webhooks",
    "limits.pending",
    "profiles_dir",
    "log",
    "log_format",
];

/// For development, attempts are lines too.
pub(crate) const DEV_LOG: &str = "info,postrider_dispatcher::deliver=debug";

const PREFIX: &str = "POSTRIDER_";

/// The file that is read if it is there and no other is named.
const DEFAULT_FILE: &str = "postrider.toml";

/// How lines are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// A setting that cannot be used; one line that names it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {message}")]
pub struct ConfigError {
    name: String,
    message: String,
}

impl ConfigError {
    fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name: name.into(), message: message.into() }
    }
}

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where browsers find the installation, without a slash at the end.
    pub public_url: Option<String>,
    /// Where to show metrics to everybody.
    pub metrics_listen: Option<SocketAddr>,
    /// The database.
    pub database_url: DatabaseUrl,
    /// Which part of the work it does.
    pub role: Role,
    /// For development.
    pub dev: bool,
    /// A key that is to exist with all scopes; hidden by its type's `Debug`.
    pub bootstrap_api_key: Option<Hidden>,
    /// Seals secrets.
    pub master_key: Option<MasterKey>,
    /// Opens what it sealed before.
    pub master_key_previous: Option<MasterKey>,
    /// What may be a target.
    pub url_policy: UrlPolicy,
    /// PEM of authorities trusted beside the system's.
    pub targets_ca: Option<Vec<u8>>,
    /// How many requests may be under way to one endpoint.
    pub in_flight: usize,
    /// How long deliveries wait for a dead endpoint beyond their schedule.
    pub patience: Duration,
    /// How long a webhook may fail until it is deactivated; `None` for ever.
    pub deactivate_after: Option<Duration>,
    /// How long ended deliveries are kept.
    pub retention: Retention,
    /// What a key and a tenant may use up.
    pub limits: Limits,
    /// The wire formats.
    pub profiles: Arc<Profiles>,
    /// A collector of traces, by OTLP over HTTP.
    pub(crate) traces_endpoint: Option<String>,
    /// What is logged.
    pub(crate) log: String,
    /// How.
    pub(crate) log_format: LogFormat,
}

/// Which part of the work a node does. Nodes of all parts together serve one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    All,
    /// Takes requests, and leaves sending to others.
    Api,
    /// Sends, and takes no requests but those for its health.
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

/// Text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Settings {
    /// Reads the settings of this process.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting that is unknown or cannot be used.
    pub(crate) fn load(options: &ServeOptions) -> Result<Self, ConfigError> {
        let readable =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self::from_sources(options, std::env::vars_os().filter_map(readable))
    }

    /// The wire formats alone, for commands that need nothing else.
    pub(crate) fn profiles_of_environment() -> Result<Arc<Profiles>, ConfigError> {
        Self::load(&ServeOptions::default()).map(|settings| settings.profiles)
    }

    /// What `options` say and nothing else: no file, no environment.
    pub(crate) fn only(options: &ServeOptions) -> Result<Self, ConfigError> {
        let mut raw = Raw::default();
        raw.add_flags(options);
        raw.check()
    }

    /// What the text of a file says, and nothing else.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting that is unknown or cannot be used.
    pub fn from_text(text: &str) -> Result<Self, ConfigError> {
        Raw::from_text("the text", text)?.check()
    }

    fn from_sources(
        options: &ServeOptions,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut raw = Raw::from_file(options.store.config.as_deref())?;
        raw.add_environment(environment)?;
        raw.add_flags(options);
        raw.check()
    }
}

/// Settings as text, with where each came from.
#[derive(Debug, Default)]
struct Raw(BTreeMap<&'static str, (String, String)>);

impl Raw {
    fn from_file(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.map_or_else(|| PathBuf::from(DEFAULT_FILE), Path::to_path_buf);
        if named.is_none() && !path.exists() {
            return Ok(Self::default());
        }
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|error| ConfigError::new(&name, error.to_string()))?;
        Self::from_text(&name, &text)
    }

    fn from_text(name: &str, text: &str) -> Result<Self, ConfigError> {
        let wrong = |message: String| ConfigError::new(name, message);
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.message().to_owned()))?;
        let mut raw = Self::default();
        raw.add_table("", &table).map_err(|error| wrong(error.to_string()))?;
        Ok(raw)
    }

    fn add_table(&mut self, prefix: &str, table: &toml::Table) -> Result<(), ConfigError> {
        for (key, value) in table {
            let path = format!("{prefix}{key}");
            if let toml::Value::Table(inner) = value {
                self.add_table(&format!("{path}."), inner)?;
                continue;
            }
            let known = KNOWN.into_iter().find(|known| *known == path);
            let known = known.ok_or_else(|| ConfigError::new(&path, "is not a known setting"))?;
            self.0.insert(known, (path, plain_text(value)));
        }
        Ok(())
    }

    fn add_environment(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<(), ConfigError> {
        for (name, value) in variables {
            let Some(path) = name.strip_prefix(PREFIX) else { continue };
            let known = KNOWN.into_iter().find(|known| known.to_uppercase().replace('.', "_") == path);
            let known = known.ok_or_else(|| ConfigError::new(&name, "is not a known setting"))?;
            self.0.insert(known, (name, value));
        }
        Ok(())
    }

    fn add_flags(&mut self, options: &ServeOptions) {
        self.set_flag("listen", options.listen.clone());
        self.set_flag("database_url", options.store.database.clone());
        self.set_flag("role", options.role.clone());
        self.set_flag("dev", options.dev.then(|| "true".to_owned()));
    }

    fn set_flag(&mut self, setting: &'static str, value: Option<String>) {
        if let Some(value) = value {
            let flag = if setting == "database_url" { "database" } else { setting };
            self.0.insert(setting, (format!("--{flag}"), value));
        }
    }

    /// Reads one setting; `what` says how it must look.
    fn read<T>(
        &self,
        setting: &str,
        what: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((source, value)) = self.0.get(setting) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| ConfigError::new(source, format!("must be {what}")))
    }

    fn read_profiles(&self) -> Result<Profiles, ConfigError> {
        let Some((source, folder)) = self.0.get("profiles_dir") else { return Ok(Profiles::published()) };
        profiles::read(Path::new(folder)).map_err(|mistake| ConfigError::new(source, mistake))
    }

    fn check(&self) -> Result<Settings, ConfigError> {
        let day = Duration::from_secs(24 * 60 * 60);
        let dev = self.read("dev", "true or false", read_flag)?.unwrap_or(false);
        let key = "32 bytes in base64, such as `openssl rand -base64 32` makes";
        let duration = "a duration such as 45s, 12h or 30d";
        let nets = "addresses or CIDRs, separated by commas, such as 10.0.0.0/8";
        let long_enough = |key: &str| (key.chars().count() >= MIN_KEY_LENGTH).then(|| Hidden(key.to_owned()));
        let addresses = AddressPolicy {
            loopback: dev,
            allow: self.read("targets.allow", nets, read_nets)?.unwrap_or_default(),
            deny: self.read("targets.deny", nets, read_nets)?.unwrap_or_default(),
        };
        let role = self.read("role", "all, api or dispatch", Role::named)?.unwrap_or(Role::All);
        let ca_file =
            self.read("targets.ca_file", "a file that can be read, with certificates in PEM form", read_pem)?;
        Ok(Settings {
            listen: self
                .read("listen", "an address such as 127.0.0.1:8080 or localhost:8080", read_address)?
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            public_url: self.read("public_url", "a URL such as https://webhooks.example.com", read_origin)?,
            metrics_listen: self.read("metrics_listen", "an address such as 127.0.0.1:9090", read_address)?,
            database_url: self
                .read("database_url", DATABASE_URL_FORM, DatabaseUrl::parse)?
                .unwrap_or_else(default_database),
            role,
            dev,
            bootstrap_api_key: self.read(
                "bootstrap_api_key",
                &format!("a string of at least {MIN_KEY_LENGTH} characters"),
                long_enough,
            )?,
            master_key: self.read("master_key", key, MasterKey::parse)?,
            master_key_previous: self.read("master_key_previous", key, MasterKey::parse)?,
            url_policy: UrlPolicy { dev, addresses },
            targets_ca: ca_file,
            in_flight: self
                .read("targets.in_flight", "a whole number from 1 to 2048", read_in_flight)?
                .unwrap_or(LaneLimits::default().per_lane),
            patience: self.read("targets.patience", duration, parse_duration)?.unwrap_or(day),
            deactivate_after: self
                .read("webhooks.deactivate_after", "a duration such as 5d, or never", read_patience)?
                .unwrap_or(Some(day * 5)),
            retention: Retention {
                payloads: self.read("retention.payloads", duration, parse_duration)?.unwrap_or(day * 30),
                deliveries: self.read("retention.deliveries", duration, parse_duration)?.unwrap_or(day * 30),
                statistics: self.read("retention.statistics", duration, parse_duration)?.unwrap_or(day * 90),
            },
            limits: Limits {
                requests: self.read("limits.requests", "such as 100/s or 6000/m", RequestLimit::parse)?,
                webhooks: self.read("limits.webhooks", "a whole number of at least 1", read_count)?,
                pending: self.read("limits.pending", "a whole number of at least 1", read_count)?,
            },
            profiles: Arc::new(self.read_profiles()?),
            traces_endpoint: self.read("traces.endpoint", "a URL such as http://127.0.0.1:4318", read_http)?,
            log: self
                .read("log", "a filter such as info or postrider=debug", read_filter)?
                .unwrap_or_else(|| if dev { DEV_LOG } else { "info" }.to_owned()),
            log_format: self.read("log_format", "text or json", read_format)?.unwrap_or(LogFormat::Text),
        })
    }
}

/// A duration, or none at all.
fn read_patience(text: &str) -> Option<Option<Duration>> {
    if text == "never" { Some(None) } else { parse_duration(text).filter(|time| !time.is_zero()).map(Some) }
}

fn read_count(text: &str) -> Option<u64> {
    text.parse().ok().filter(|count| *count > 0)
}

fn read_in_flight(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| (1..=LaneLimits::default().total).contains(count))
}

fn default_database() -> DatabaseUrl {
    DatabaseUrl::parse("sqlite://postrider.db").expect("the form is right")
}

fn plain_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(plain_text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// `ADDRESS:PORT`; `localhost` is this machine.
fn read_address(text: &str) -> Option<SocketAddr> {
    let port = text.strip_prefix("localhost:");
    port.map_or_else(|| text.parse().ok(), |port| Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))))
}

fn read_http(text: &str) -> Option<String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    (!rest.is_empty() && !rest.contains([' ', '?', '#'])).then(|| text.to_owned())
}

/// Scheme, host and port, and nothing behind.
fn read_origin(text: &str) -> Option<String> {
    let origin = text.strip_suffix('/').unwrap_or(text);
    let is_bare = origin.split_once("://").is_some_and(|(_, host)| !host.contains('/'));
    read_http(origin).filter(|_| is_bare)
}

fn read_pem(path: &str) -> Option<Vec<u8>> {
    let marks_certificate = b"-----BEGIN CERTIFICATE-----";
    std::fs::read(path).ok().filter(|pem| pem.windows(marks_certificate.len()).any(|part| part == marks_certificate))
}

fn read_flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" | "" => Some(false),
        _ => None,
    }
}

fn read_nets(text: &str) -> Option<Vec<IpNet>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok().or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from))).collect()
}

fn read_filter(text: &str) -> Option<String> {
    tracing_subscriber::EnvFilter::try_new(text).ok().map(|_| text.to_owned())
}

fn read_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn load(options: &ServeOptions, environment: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let owned = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::from_sources(options, owned)
    }

    fn with_file(text: &str) -> (tempfile::NamedTempFile, ServeOptions) {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        let mut options = ServeOptions::default();
        options.store.config = Some(file.path().to_owned());
        (file, options)
    }

    #[test]
    fn flags_win_over_environment_over_file() {
        let (_file, mut options) =
            with_file("listen = \"127.0.0.1:1111\"\nlog = \"warn\"\n[retention]\npayloads = \"1h\"");
        let settings = load(&options, &[("POSTRIDER_LISTEN", "127.0.0.1:2222"), ("OTHER", "x")]).expect("valid");
        assert_eq!((settings.listen.port(), settings.log.as_str()), (2222, "warn"));
        assert_eq!(settings.retention.payloads, Duration::from_secs(3600));
        assert_eq!(settings.retention.deliveries, Duration::from_secs(30 * 86400));
        options.listen = Some("localhost:3333".to_owned());
        let settings = load(&options, &[("POSTRIDER_LISTEN", "127.0.0.1:2222")]).expect("valid");
        assert_eq!(settings.listen.port(), 3333);
    }

    #[test]
    fn lists_are_read_from_both() {
        let (_file, options) = with_file("[targets]\nallow = [\"10.0.0.0/8\", \"127.0.0.1\"]");
        let settings = load(&options, &[("POSTRIDER_TARGETS_DENY", "10.1.0.0/16, ::1")]).expect("valid");
        assert_eq!(settings.url_policy.addresses.allow.len(), 2);
        assert_eq!(settings.url_policy.addresses.deny.len(), 2);
    }

    #[test]
    fn a_bad_setting_is_named() {
        let named = |environment: &[(&str, &str)]| load(&ServeOptions::default(), environment).err().map(|e| e.name);
        for (name, value) in [
            ("POSTRIDER_LISTEN", "nowhere"),
            ("POSTRIDER_METRICS_LISTEN", "everywhere"),
            ("POSTRIDER_LISTNE", "127.0.0.1:1"),
            ("POSTRIDER_DEV", "maybe"),
            ("POSTRIDER_MASTER_KEY", "c2hvcnQ="),
            ("POSTRIDER_BOOTSTRAP_API_KEY", "short"),
            ("POSTRIDER_TARGETS_ALLOW", "10.0.0.0/33"),
            ("POSTRIDER_TARGETS_CA_FILE", "/does/not/exist"),
            ("POSTRIDER_RETENTION_PAYLOADS", "soon"),
            ("POSTRIDER_RETENTION_DELIVERIES", "99999999999d"),
            ("POSTRIDER_LOG", "a=b=c"),
            ("POSTRIDER_LOG_FORMAT", "xml"),
            ("POSTRIDER_DATABASE_URL", "mysql://x"),
            ("POSTRIDER_ROLE", "dispatcher"),
            ("POSTRIDER_PROFILES_DIR", "/does/not/exist"),
            ("POSTRIDER_TRACES_ENDPOINT", "collector:4318"),
        ] {
            assert_eq!(named(&[(name, value)]).as_deref(), Some(name));
        }
        let (_file, options) = with_file("listne = 1");
        assert!(load(&options, &[]).err().is_some_and(|error| error.message.contains("listne")));
    }

    #[test]
    fn secrets_are_not_shown() {
        let key = "sentinel-sentinel-sentinel-sentinel";
        let settings = load(&ServeOptions::default(), &[("POSTRIDER_BOOTSTRAP_API_KEY", key)]).expect("valid");
        assert!(!format!("{settings:?}").contains("sentinel"));
    }
}
