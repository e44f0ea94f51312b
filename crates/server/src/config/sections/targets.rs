//! What may be a target, and how requests to targets are limited.

use std::time::Duration;

use postrider_core::address::AddressPolicy;
use postrider_core::lanes::LaneLimits;
use postrider_core::target_url::UrlPolicy;
use postrider_core::time::parse_duration;

use super::Section;
use crate::config::error::ConfigError;
use crate::config::setting::{Kind, Setting};
use crate::config::sources::Sources;
use crate::config::values;

const NETWORKS: &str = "addresses or CIDRs, such as 10.0.0.0/8, separated by commas or in a list";

const ALLOW: Setting = Setting::new(
    "targets.allow",
    NETWORKS,
    "Addresses that may be dialled though they are not public, or are this machine's own.",
)
.kind(Kind::List)
.example("10.20.0.0/16");

const DENY: Setting =
    Setting::new("targets.deny", NETWORKS, "Addresses that may never be dialled; wins over all else.")
        .kind(Kind::List)
        .example("203.0.113.0/24");

const CA_FILE: Setting = Setting::new(
    "targets.ca_file",
    "a file that can be read, with certificates in PEM form",
    "Certificates of authorities that are trusted beside the system's.",
)
.example("/etc/postrider/authorities.pem");

const IN_FLIGHT: Setting = Setting::new(
    "targets.in_flight",
    "a whole number from 1 to 2048",
    "How many requests a node may have under way to one endpoint; \
     [fewer](adr/0021-what-waits-is-sent-at-a-pace-beside-others.md) for some minutes, while events come for others.",
)
.kind(Kind::Number)
.default("256");

const PATIENCE: Setting = Setting::new(
    "targets.patience",
    values::DURATION,
    "How long deliveries to an endpoint that counts as dead wait beyond their schedule.",
)
.default("24h");

pub(in crate::config) const SECTION: Section =
    Section { title: "Targets", settings: &[&ALLOW, &DENY, &CA_FILE, &IN_FLIGHT, &PATIENCE] };

/// What may be a target, and how requests to targets are limited.
#[derive(Clone, Debug)]
pub(crate) struct TargetSettings {
    /// What may be a target.
    pub(crate) url_policy: UrlPolicy,
    /// PEM of authorities trusted beside the system's.
    pub(crate) extra_roots: Option<Vec<u8>>,
    /// How many requests may be under way to one endpoint.
    pub(crate) in_flight: usize,
    /// How long deliveries wait for a dead endpoint beyond their schedule.
    pub(crate) patience: Duration,
}

pub(in crate::config) fn read(sources: &Sources, dev: bool) -> Result<TargetSettings, ConfigError> {
    let addresses = AddressPolicy {
        loopback: dev,
        allow: sources.read(&ALLOW, values::networks)?.unwrap_or_default(),
        deny: sources.read(&DENY, values::networks)?.unwrap_or_default(),
    };
    Ok(TargetSettings {
        url_policy: UrlPolicy { dev, addresses },
        extra_roots: sources.read(&CA_FILE, values::pem_file)?,
        in_flight: sources.require(&IN_FLIGHT, in_flight)?,
        patience: sources.require(&PATIENCE, parse_duration)?,
    })
}

fn in_flight(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| (1..=LaneLimits::default().total).contains(count))
}
