//! `postrider serve`.

use postrider_core::World;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::ServeOptions;
use crate::config::Settings;
use crate::node::{DEV_RECEIVER, Node, NodeOptions};
use crate::telemetry;

/// Serves until a signal; drains then. A second signal stops at once.
pub(crate) async fn run(options: ServeOptions, world: World) -> Result<(), String> {
    let settings = Settings::load(&options).map_err(|error| error.to_string())?;
    telemetry::start(&settings.log, settings.log_format);
    let mut signals = Signals::listen()?;
    let node = Node::start(NodeOptions { settings, world }).await.map_err(|error| error.to_string())?;
    greet(&node);
    signals.next().await;
    tracing::info!("draining; a second signal stops at once");
    tokio::select! {
        () = node.shut_down() => Ok(()),
        () = signals.next() => Err("stopped before everything in flight was finished".to_owned()),
    }
}

/// One line when ready, whatever the log level; under `--dev`, what to try first.
fn greet(node: &Node) {
    let address = node.address();
    println!("Postrider is ready on http://{address}");
    let Some(key) = node.first_key() else { return };
    let key = key.reveal();
    println!(
        "
API key (shown once, all scopes): {key}

Try (the receiver at {DEV_RECEIVER} takes everything):
  curl http://{address}/api/v1/webhooks/ -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{{\"event_type\": \"all\", \"webhook_url\": \"http://{address}{DEV_RECEIVER}\"}}'
  curl http://{address}/api/v1/events/ -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{{\"event_type\": \"screening.completed\", \"payload\": {{\"id\": \"scr-1\", \"result\": \"clear\"}}}}'
  curl 'http://{address}/api/v1/deliveries/?limit=5' -H 'Authorization: Bearer {key}'
");
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
