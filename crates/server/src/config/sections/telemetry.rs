//! Logs, metrics and traces.

use std::net::SocketAddr;

use super::Section;
use crate::config::error::ConfigError;
use crate::config::setting::Setting;
use crate::config::sources::Sources;
use crate::config::values;

/// For development, attempts are logged too.
pub(crate) const DEV_LOG: &str = "info,postrider_dispatcher::deliver=debug";

const LOG: Setting = Setting::new(
    "log",
    "a filter such as info or postrider_dispatcher=debug",
    "Which lines are logged, to standard error.",
)
.otherwise("`info`; under `dev` also attempts, a hundred a second at most")
.example("info");

const LOG_FORMAT: Setting =
    Setting::new("log_format", "text or json", "How lines are logged: for people or for programs.").default("text");

const METRICS_LISTEN: Setting = Setting::new(
    "metrics_listen",
    "an address such as 127.0.0.1:9090",
    "Where everybody who reaches the port sees `/metrics`. On `listen` it needs an admin key, except under `dev`.",
)
.example("127.0.0.1:9090");

const TRACES_ENDPOINT: Setting = Setting::new(
    "traces.endpoint",
    "a URL such as http://127.0.0.1:4318",
    "A collector of OpenTelemetry traces (OTLP over HTTP, protobuf): requests, and attempts in the trace of their \
     publish.",
)
.example("http://127.0.0.1:4318");

pub(in crate::config) const SECTION: Section =
    Section { title: "Logs, metrics, traces", settings: &[&LOG, &LOG_FORMAT, &METRICS_LISTEN, &TRACES_ENDPOINT] };

/// Logs, metrics and traces.
#[derive(Clone, Debug)]
pub(crate) struct TelemetrySettings {
    /// What is logged.
    pub(crate) log: String,
    /// How.
    pub(crate) log_format: LogFormat,
    /// Where to show metrics to everybody.
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// A collector of traces, by OTLP over HTTP.
    pub(crate) traces_endpoint: Option<String>,
}

/// How lines are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

pub(in crate::config) fn read(sources: &Sources, dev: bool) -> Result<TelemetrySettings, ConfigError> {
    let default_log = if dev { DEV_LOG } else { "info" };
    Ok(TelemetrySettings {
        log: sources.read(&LOG, filter)?.unwrap_or_else(|| default_log.to_owned()),
        log_format: sources.require(&LOG_FORMAT, format)?,
        metrics_listen: sources.read(&METRICS_LISTEN, values::address)?,
        traces_endpoint: sources.read(&TRACES_ENDPOINT, values::http_url)?,
    })
}

fn filter(text: &str) -> Option<String> {
    tracing_subscriber::EnvFilter::try_new(text).ok().map(|_| text.to_owned())
}

fn format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}
