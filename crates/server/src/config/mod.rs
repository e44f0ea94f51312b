//! Settings: flags override environment variables, which override the TOML file.
//!
//! Each module of `sections` declares the settings of one section and reads them; the reference page and the example
//! file (`postrider config`) are made of the same declarations.

mod environment;
mod error;
mod file;
mod reference;
mod sections;
mod setting;
mod sources;
mod values;

use std::ffi::OsString;
use std::sync::Arc;

use postrider_api::Limits;
use postrider_core::profile::Profiles;
use postrider_store::Retention;

use crate::cli::ServeOptions;
pub use error::ConfigError;
pub(crate) use reference::{example_file, reference_page};
pub(crate) use sections::{
    DatabaseSettings, KeySettings, LogFormat, Role, ServerSettings, TargetSettings, TelemetrySettings, WebhookSettings,
};
use sections::{database, keys, limits, retention, server, targets, telemetry, webhooks};
use sources::Sources;
pub(crate) use telemetry::DEV_LOG;

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the process is and where it listens.
    pub(crate) server: ServerSettings,
    /// The database.
    pub(crate) database: DatabaseSettings,
    /// Keys that come from outside.
    pub(crate) keys: KeySettings,
    /// What may be a target, and how requests to targets are limited.
    pub(crate) targets: TargetSettings,
    /// What holds for all webhooks.
    pub(crate) webhooks: WebhookSettings,
    /// How long ended deliveries are kept.
    pub(crate) retention: Retention,
    /// What a key and a tenant may use up.
    pub(crate) limits: Limits,
    /// Logs, metrics and traces.
    pub(crate) telemetry: TelemetrySettings,
}

impl Settings {
    /// Reads the settings of this process.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting that is unknown or cannot be used.
    pub(crate) fn load(options: &ServeOptions) -> Result<Self, ConfigError> {
        Self::from_sources(options, std::env::vars_os())
    }

    /// The wire formats alone, for commands that need nothing else.
    pub(crate) fn profiles_of_environment() -> Result<Arc<Profiles>, ConfigError> {
        Self::load(&ServeOptions::default()).map(|settings| settings.server.profiles)
    }

    /// What `options` say and nothing else: no file, no environment.
    pub(crate) fn only(options: &ServeOptions) -> Result<Self, ConfigError> {
        let mut sources = Sources::default();
        sources.add_flags(options);
        Self::check(&sources)
    }

    /// What the text of a file says, and nothing else.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting that is unknown or cannot be used.
    pub fn from_text(text: &str) -> Result<Self, ConfigError> {
        let mut sources = Sources::default();
        sources.add_file("the text", text)?;
        Self::check(&sources)
    }

    fn from_sources(
        options: &ServeOptions,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut sources = Sources::default();
        if let Some((name, text)) = file::find(options.store.config.as_deref())? {
            sources.add_file(&name, &text)?;
        }
        sources.add_environment(environment)?;
        sources.add_flags(options);
        Self::check(&sources)
    }

    fn check(sources: &Sources) -> Result<Self, ConfigError> {
        let server = server::read(sources)?;
        Ok(Self {
            database: database::read(sources)?,
            keys: keys::read(sources)?,
            targets: targets::read(sources, server.dev)?,
            webhooks: webhooks::read(sources)?,
            retention: retention::read(sources)?,
            limits: limits::read(sources)?,
            telemetry: telemetry::read(sources, server.dev)?,
            server,
        })
    }
}

#[cfg(test)]
mod tests;
