//! How long what has ended is kept.

use postrider_core::time::parse_duration;
use postrider_store::Retention;

use super::Section;
use crate::config::error::ConfigError;
use crate::config::setting::Setting;
use crate::config::sources::Sources;
use crate::config::values::DURATION;

const PAYLOADS: Setting =
    Setting::new("retention.payloads", DURATION, "How long the payloads of ended events are kept.").default("30d");

const DELIVERIES: Setting = Setting::new(
    "retention.deliveries",
    DURATION,
    "How long ended events, deliveries and attempts are kept, and callbacks of resources without any left. Idempotency \
     keys are kept for 24 hours at least.",
)
.default("30d");

const STATISTICS: Setting = Setting::new(
    "retention.statistics",
    DURATION,
    "How long the statistics of minutes and hours are kept; `stats` of webhooks stay.",
)
.default("90d");

pub(in crate::config) const SECTION: Section =
    Section { title: "Retention", settings: &[&PAYLOADS, &DELIVERIES, &STATISTICS] };

pub(in crate::config) fn read(sources: &Sources) -> Result<Retention, ConfigError> {
    Ok(Retention {
        payloads: sources.require(&PAYLOADS, parse_duration)?,
        deliveries: sources.require(&DELIVERIES, parse_duration)?,
        statistics: sources.require(&STATISTICS, parse_duration)?,
    })
}
