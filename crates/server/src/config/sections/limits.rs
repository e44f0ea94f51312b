//! What a key and a tenant may use up.

use postrider_api::{Limits, RequestLimit};

use super::Section;
use crate::config::error::ConfigError;
use crate::config::setting::{Kind, Setting};
use crate::config::sources::Sources;
use crate::config::values;

const COUNT: &str = "a whole number of at least 1";

const REQUESTS: Setting = Setting::new(
    "limits.requests",
    "such as 100/s or 6000/m",
    "How many requests one API key may make of one node. Answers then tell what is left (`RateLimit`); beyond it they \
     are 429 with `Retry-After`.",
)
.otherwise("no limit")
.example("100/s");

const WEBHOOKS: Setting =
    Setting::new("limits.webhooks", COUNT, "How many webhooks a tenant may have; beyond it, creating one is 403.")
        .kind(Kind::Number)
        .otherwise("no limit")
        .example("10000");

const PENDING: Setting = Setting::new(
    "limits.pending",
    COUNT,
    "How many pending deliveries a tenant may have before publishing is 429 with `Retry-After`. Counted once a second.",
)
.kind(Kind::Number)
.otherwise("no limit")
.example("1000000");

const FILTER_LITERALS: Setting = Setting::new(
    "limits.filter_literals",
    COUNT,
    "How many values the filters of a tenant may compare with, all together; more is 422. What is there stays.",
)
.kind(Kind::Number)
.default("20000");

pub(in crate::config) const SECTION: Section =
    Section { title: "Limits", settings: &[&REQUESTS, &WEBHOOKS, &PENDING, &FILTER_LITERALS] };

pub(in crate::config) fn read(sources: &Sources) -> Result<Limits, ConfigError> {
    Ok(Limits {
        requests: sources.read(&REQUESTS, RequestLimit::parse)?,
        webhooks: sources.read(&WEBHOOKS, values::count)?,
        pending: sources.read(&PENDING, values::count)?,
        filter_literals: sources.require(&FILTER_LITERALS, values::count)?,
    })
}
