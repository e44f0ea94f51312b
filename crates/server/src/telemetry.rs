//! What is logged, and how: to the standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging. Does nothing if it was started before.
pub(crate) fn start(filter: &str, format: LogFormat) {
    // Already checked by the configuration.
    let filter = EnvFilter::new(filter);
    let logger = tracing_subscriber::fmt()
        // It would report a full disk by printing to it, and panic.
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let _ = match format {
        LogFormat::Text => logger.with_ansi(wants_colour()).try_init(),
        LogFormat::Json => logger.json().flatten_event(true).try_init(),
    };
}

fn wants_colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
