//! How values look: a reader for each form.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use postrider_core::time::parse_duration;

/// How a duration looks, for people.
pub(super) const DURATION: &str = "a duration such as 45s, 12h or 30d";

pub(super) fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" | "" => Some(false),
        _ => None,
    }
}

/// A whole number of at least 1.
pub(super) fn count(text: &str) -> Option<u64> {
    text.parse().ok().filter(|count| *count > 0)
}

/// A duration of more than nothing, or `never`.
pub(super) fn duration_or_never(text: &str) -> Option<Option<Duration>> {
    if text == "never" { Some(None) } else { parse_duration(text).filter(|time| !time.is_zero()).map(Some) }
}

/// `ADDRESS:PORT`; `localhost` is this machine.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    let port = text.strip_prefix("localhost:");
    port.map_or_else(|| text.parse().ok(), |port| Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))))
}

/// A URL of HTTP or HTTPS without query and fragment.
pub(super) fn http_url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    (!rest.is_empty() && !rest.contains([' ', '?', '#'])).then(|| text.to_owned())
}

/// Scheme, host and port, and nothing behind.
pub(super) fn origin(text: &str) -> Option<String> {
    let origin = text.strip_suffix('/').unwrap_or(text);
    let is_bare = origin.split_once("://").is_some_and(|(_, host)| !host.contains('/'));
    http_url(origin).filter(|_| is_bare)
}

/// Addresses or blocks of them, separated by commas.
pub(super) fn networks(text: &str) -> Option<Vec<IpNet>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok().or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from))).collect()
}

/// The content of a file of certificates.
pub(super) fn pem_file(path: &str) -> Option<Vec<u8>> {
    let marks_certificate = b"-----BEGIN CERTIFICATE-----";
    std::fs::read(path).ok().filter(|pem| pem.windows(marks_certificate.len()).any(|part| part == marks_certificate))
}
