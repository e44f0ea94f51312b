//! What is logged, and how: to the standard error. What is traced: to a collector, if one is named.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{DynFilterFn, FilterExt, LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{DEV_LOG, LogFormat, TelemetrySettings};

/// Spans that say something to people who read traces: requests, and attempts.
const TRACED: [&str; 2] = ["postrider_api::request_id", "postrider_dispatcher::traces"];

/// Where attempts are logged.
const ATTEMPTS: &str = "postrider_dispatcher::deliver";

/// Most attempts that are logged in a second where nobody asked for them: nobody reads more, and deliveries need the time.
const ATTEMPTS_A_SECOND: u32 = 100;

/// Ends what was started, and sends what waits.
#[must_use]
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    pub(crate) fn shut_down(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Starts logging and tracing. Does nothing if it was started before.
///
/// # Errors
/// A message for people if traces cannot be sent there.
pub(crate) fn start(settings: &TelemetrySettings) -> Result<Telemetry, String> {
    let provider = settings.traces_endpoint.as_deref().map(provider_to).transpose()?;
    let traced = provider.as_ref().map(|provider| {
        let targets = TRACED.into_iter().map(|target| (target, Level::DEBUG)).collect::<Targets>();
        tracing_opentelemetry::layer().with_tracer(provider.tracer("postrider")).with_filter(targets)
    });
    let _ = tracing_subscriber::registry().with(traced).with(logged(&settings.log, settings.log_format)).try_init();
    Ok(Telemetry(provider))
}

type Logged = Box<dyn Layer<WithTraces> + Send + Sync>;
type WithTraces = tracing_subscriber::layer::Layered<Option<Traced>, Registry>;
type Traced = tracing_subscriber::filter::Filtered<
    tracing_opentelemetry::OpenTelemetryLayer<Registry, opentelemetry_sdk::trace::SdkTracer>,
    Targets,
    Registry,
>;

fn logged(filter: &str, format: LogFormat) -> Logged {
    let logger = tracing_subscriber::fmt::layer()
        // It would report a full disk by printing to it, and panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let attempts = PerSecond::default();
    let is_unasked = filter == DEV_LOG;
    let some = DynFilterFn::new(move |event: &Metadata<'_>, _: &Context<'_, WithTraces>| {
        let is_attempt = event.target() == ATTEMPTS && *event.level() == Level::DEBUG;
        !is_unasked || !is_attempt || attempts.is_one_of(ATTEMPTS_A_SECOND)
    })
    // Which levels there are at all is for the other filter to say.
    .with_max_level_hint(LevelFilter::TRACE);
    // Already checked by the configuration.
    let filter = EnvFilter::new(filter).and(some);
    match format {
        LogFormat::Text => logger.with_ansi(wants_colour()).with_filter(filter).boxed(),
        LogFormat::Json => logger.json().flatten_event(true).with_filter(filter).boxed(),
    }
}

/// Counts anew each second.
#[derive(Debug, Default)]
struct PerSecond(Mutex<Option<(Instant, u32)>>);

impl PerSecond {
    /// Whether this one is among the first so many.
    fn is_one_of(&self, most: u32) -> bool {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, number) = state.filter(|(since, _)| now - *since < Duration::from_secs(1)).unwrap_or((now, 0));
        *state = Some((since, number + 1));
        number < most
    }
}

fn provider_to(endpoint: &str) -> Result<SdkTracerProvider, String> {
    let endpoint = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build();
    let exporter = exporter.map_err(|error| format!("POSTRIDER_TRACES_ENDPOINT: {error}"))?;
    let resource = Resource::builder().with_service_name("postrider").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

fn wants_colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_second_are_let_through() {
        let one = PerSecond::default();
        let passed = (0..5).filter(|_| one.is_one_of(3)).count();
        assert_eq!(passed, 3);
        *one.0.lock().expect("not poisoned") = Instant::now().checked_sub(Duration::from_secs(1)).map(|then| (then, 9));
        assert!(one.is_one_of(3), "a second later");
    }
}
