//! What holds for all webhooks.

use std::time::Duration;

use super::Section;
use crate::config::error::ConfigError;
use crate::config::setting::Setting;
use crate::config::sources::Sources;
use crate::config::values;

const DEACTIVATE_AFTER: Setting = Setting::new(
    "webhooks.deactivate_after",
    "a duration such as 5d, or never",
    "How long all attempts of a webhook may fail until it is deactivated, with warnings before.",
)
.default("5d");

pub(in crate::config) const SECTION: Section = Section { title: "Webhooks", settings: &[&DEACTIVATE_AFTER] };

/// What holds for all webhooks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WebhookSettings {
    /// How long a webhook may fail until it is deactivated; `None` for ever.
    pub(crate) deactivate_after: Option<Duration>,
}

pub(in crate::config) fn read(sources: &Sources) -> Result<WebhookSettings, ConfigError> {
    Ok(WebhookSettings { deactivate_after: sources.require(&DEACTIVATE_AFTER, values::duration_or_never)? })
}
