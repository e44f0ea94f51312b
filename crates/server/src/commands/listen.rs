//! `postrider listen`: a local receiver that shows what comes, and whether it is genuine.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use postrider_core::World;
use postrider_core::profile::{Profile, Profiles};
use postrider_core::secret::SigningSecret;
use tokio::net::TcpListener;

use super::verify::finding_of;
use super::{Signals, shown};
use crate::cli::{Answer, ListenArgs};
use crate::config::Settings;

/// Largest body that is taken, in bytes: larger than any that Postrider sends.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// What is known when a request comes.
struct Listening {
    profiles: Arc<Profiles>,
    profile: Option<Arc<Profile>>,
    secrets: Vec<SigningSecret>,
    answer: Answer,
    json: bool,
    world: World,
}

pub(crate) async fn run(args: ListenArgs, world: World) -> Result<(), String> {
    let ListenArgs { port, of, status, json } = args;
    let secrets = of.secrets();
    let profiles = Settings::profiles_of_environment().map_err(|error| error.to_string())?;
    let profile = of.profile(&profiles);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let cannot = |error| format!("cannot listen on {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let base = format!("http://{address}");
    if json {
        say!("{}", serde_json::json!({"listening": base}));
    } else {
        say!("Listening on {base}; every path takes every request");
    }
    let listening = Listening { profiles, profile, secrets, answer: status, json, world };
    let router = Router::new().fallback(receive).with_state(Arc::new(listening));
    let mut signals = Signals::listen()?;
    tokio::select! {
        served = axum::serve(listener, router).into_future() => served.map_err(|error| error.to_string()),
        // Who hangs is not waited for.
        () = signals.next() => Ok(()),
    }
}

async fn receive(State(listening): State<Arc<Listening>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    listening.show(&parts.method, &parts.uri, &parts.headers, &body);
    match listening.answer {
        Answer::Status(status) => (status, Body::empty()).into_response(),
        Answer::Hang => pending().await,
    }
}

impl Listening {
    fn show(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) {
        let now = self.world.now();
        let chosen = self.profile.as_deref();
        let (profile, finding) = finding_of(&self.profiles, chosen, headers, body, &self.secrets, now);
        if self.json {
            let line = serde_json::json!({
                "received_at": now, "method": method.as_str(), "path": uri.to_string(),
                "headers": shown::header_list(headers), "body": String::from_utf8_lossy(body), "profile": profile,
                "verdict": finding.verdict.name(), "notes": finding.notes, "answer": self.answer.to_string(),
            });
            return say!("{line}");
        }
        say!("\n{now}  {method} {}  {} bytes", shown::printable(&uri.to_string()), body.len());
        shown::request(headers, body);
        shown::finding(profile.as_deref(), &finding);
        say!("  → {}", self.answer);
    }
}
