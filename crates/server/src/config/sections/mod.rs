//! The settings, a module for each section.

pub(super) mod database;
pub(super) mod keys;
pub(super) mod limits;
pub(super) mod retention;
pub(super) mod server;
pub(super) mod targets;
pub(super) mod telemetry;
pub(super) mod webhooks;

pub(crate) use database::DatabaseSettings;
pub(crate) use keys::KeySettings;
pub(crate) use server::{Role, ServerSettings};
pub(crate) use targets::TargetSettings;
pub(crate) use telemetry::{LogFormat, TelemetrySettings};
pub(crate) use webhooks::WebhookSettings;

use super::setting::Setting;

/// The settings of one section, in the order of the reference.
pub(super) struct Section {
    /// What people call it.
    pub(super) title: &'static str,
    pub(super) settings: &'static [&'static Setting],
}

/// All sections, in the order of the reference.
pub(super) const SECTIONS: [&Section; 8] = [
    &server::SECTION,
    &database::SECTION,
    &keys::SECTION,
    &targets::SECTION,
    &webhooks::SECTION,
    &retention::SECTION,
    &limits::SECTION,
    &telemetry::SECTION,
];

/// All settings, in the order of the reference.
pub(super) fn all() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.into_iter().flat_map(|section| section.settings.iter().copied())
}

/// The setting of a path in the file, and whether the path is that of its file.
pub(super) fn find(path: &str) -> Option<(&'static Setting, bool)> {
    let own = all().find(|setting| setting.path == path).map(|setting| (setting, false));
    own.or_else(|| all().find(|setting| setting.file_path().as_deref() == Some(path)).map(|setting| (setting, true)))
}
