//! What is logged, and how: to the standard error. What is traced: to a collector, if one is named.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{LogFormat, Settings};

/// Spans that say something to people who read traces: requests, and attempts.
const TRACED: [&str; 2] = ["postrider_api::request_id", "postrider_dispatcher::traces"];

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
pub(crate) fn start(settings: &Settings) -> Result<Telemetry, String> {
    let provider = settings.traces_endpoint.as_deref().map(provider_to).transpose()?;
    let traced = provider.as_ref().map(|provider| {
        let targets = TRACED.into_iter().map(|target| (target, tracing::Level::DEBUG)).collect::<Targets>();
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
    // Already checked by the configuration.
    let filter = EnvFilter::new(filter);
    match format {
        LogFormat::Text => logger.with_ansi(wants_colour()).with_filter(filter).boxed(),
        LogFormat::Json => logger.json().flatten_event(true).with_filter(filter).boxed(),
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
