//! `postrider serve`.

use postrider_core::World;
use postrider_core::api_key::PlainKey;

use super::Signals;
use crate::cli::ServeOptions;
use crate::config::Settings;
use crate::node::{DEV_RECEIVER, Node, NodeOptions};
use crate::telemetry;

/// Serves until a signal; drains then. A second signal stops at once.
pub(crate) async fn run(options: ServeOptions, world: World) -> Result<(), String> {
    let settings = Settings::load(&options).map_err(|error| error.to_string())?;
    // Blocking: its client makes a runtime of its own.
    let telemetry = tokio::task::block_in_place(|| telemetry::start(&settings.telemetry))?;
    let dev = settings.server.dev;
    let file = options.store.database.as_ref().map(|url| url.0.as_str()).filter(|url| url.starts_with("sqlite:"));
    let mut signals = Signals::listen()?;
    let node = tokio::select! {
        node = Node::start(NodeOptions { settings, world }) => node.map_err(|error| error.to_string())?,
        () = signals.next() => return Err("stopped before it was ready".to_owned()),
    };
    greet(&node, dev, file);
    let must_stop = tokio::select! {
        () = signals.next() => None,
        why = node.must_stop() => Some(why),
    };
    tracing::info!("draining; a second signal stops at once");
    let ended = tokio::select! {
        () = node.shut_down() => must_stop.map_or(Ok(()), Err),
        () = signals.next() => Err("stopped before everything in flight was finished".to_owned()),
    };
    tokio::task::block_in_place(|| telemetry.shut_down());
    ended
}

/// One line when ready, whatever the log level; under `--dev`, what to try first.
fn greet(node: &Node, dev: bool, file: Option<&str>) {
    let base = format!("http://{}", node.address());
    say!("Postrider is ready on {base}");
    if !dev {
        return;
    }
    let key = node.first_key().map_or("$KEY", PlainKey::reveal);
    if node.first_key().is_some() {
        say!("\nAPI key (shown once, all scopes): {key}");
    } else {
        let program = std::env::args().next().unwrap_or_else(|| "postrider".to_owned());
        say!("\nThe database has a key already; set KEY to it, or make another:");
        let database = file.map_or_else(String::new, |file| format!(" --database {file}"));
        say!("  KEY=$({program} keys create{database} --name dev --scopes manage,publish,read)");
    }
    say!("\nTry (the receiver at {DEV_RECEIVER} takes everything):");
    let auth = format!("-H \"Authorization: Bearer {key}\"");
    let json = "-H 'Content-Type: application/json'";
    let webhook = format!(r#"{{"event_type": "all", "webhook_url": "{base}{DEV_RECEIVER}"}}"#);
    let event = r#"{"event_type": "screening.completed", "payload": {"id": "scr-1", "result": "clear"}}"#;
    say!("  curl {auth} {json} {base}/api/v1/webhooks/ -d '{webhook}'");
    say!("  curl {auth} {json} {base}/api/v1/events/ -d '{event}'");
    say!("  curl {auth} '{base}/api/v1/deliveries/?limit=5'");
}
