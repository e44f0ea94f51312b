//! `postrider demo`: the whole way of an event, on this machine.

mod api;
mod receiver;
mod show;

use std::net::SocketAddr;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use postrider_core::World;
use postrider_core::inspection::Verdict;
use postrider_core::secret::SigningSecret;
use serde_json::{Value, json};

use crate::cli::{ServeOptions, StoreArgs};
use crate::config::Settings;
use crate::hidden::Hidden;
use crate::node::{Node, NodeOptions};
use api::ApiClient;
use receiver::Receiver;

/// How long everything may take: the retry alone takes 5 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the demo.
///
/// # Errors
/// What did not go as it should.
pub(crate) async fn run(world: World) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot make a temporary folder: {error}"))?;
    let database = format!("sqlite://{}/postrider.db", folder.path().display());
    let options = ServeOptions {
        store: StoreArgs { database: Some(Hidden(database)), config: None },
        listen: Some("127.0.0.1:0".to_owned()),
        role: None,
        dev: true,
    };
    let settings = Settings::only(&options).map_err(|error| error.to_string())?;
    let node = Node::start(NodeOptions { settings, world: world.clone() }).await.map_err(|error| error.to_string())?;
    let told = tell(&node, &world).await;
    node.shut_down().await;
    told
}

async fn tell(node: &Node, world: &World) -> Result<(), String> {
    let key = node.first_key().ok_or("the new database has a key already")?.reveal().to_owned();
    let address = node.address();
    let api = ApiClient::new(address, key)?;
    show::step("Postrider runs");
    show::line(&format!("on http://{address}, with SQLite in a temporary folder; a receiver runs beside it"));

    let receiver = subscribe(&api, world).await?;
    let event_ids = publish(&api).await?;
    let events = wait_until_ended(&api, &event_ids).await?;

    let seen = receiver.seen();
    show::step("One event in five published formats, as their receivers got it");
    show::formats(FORMATS.iter().filter_map(|format| seen.iter().find(|seen| seen.path == *format)));
    show::step("What became of every delivery");
    show::deliveries(&events);
    check(&events, &seen)?;
    tour(&api).await
}

/// The published formats, each with a receiver at its path.
const FORMATS: [&str; 5] = ["standard", "aplyid", "casekeeper", "anycheck", "credas"];

/// A receiver for each format, one that fails first, and one that is down.
async fn subscribe(api: &ApiClient, world: &World) -> Result<Receiver, String> {
    show::step("Five receivers, each written to another published document, subscribe to one event type");
    let (receiver, at) =
        Receiver::start(world.clone()).await.map_err(|error| format!("cannot start a receiver: {error}"))?;
    let nobody = closed_port().await.map_err(|error| format!("cannot find a free port: {error}"))?;
    let usual = json!([5, 25, 125]);
    for format in FORMATS {
        let url = format!("http://{at}/{format}");
        subscribe_one(api, &receiver, format, "verification.completed", &url, &usual).await?;
    }
    show::step("Two more show what goes wrong");
    let flaky = format!("http://{at}/flaky");
    subscribe_one(api, &receiver, "standard", "verification.needs_review", &flaky, &usual).await?;
    show::aside("fails once, then takes it");
    let down = format!("http://{nobody}/down");
    subscribe_one(api, &receiver, "standard", "verification.failed", &down, &json!([1, 2])).await?;
    show::aside("is down; retried after 1 s and 2 s only");
    Ok(receiver)
}

async fn subscribe_one(
    api: &ApiClient,
    receiver: &Receiver,
    profile: &str,
    event_type: &str,
    url: &str,
    schedule: &Value,
) -> Result<(), String> {
    let body = json!({"event_type": event_type, "webhook_url": url, "profile": profile, "retry_schedule": schedule});
    let made = api.post("/api/v1/webhooks/", &body).await?;
    let secret = made["secret_key"].as_str().and_then(SigningSecret::parse).ok_or("no secret was given")?;
    receiver.expect(url.rsplit('/').next().unwrap_or_default(), profile, secret);
    show::line(&format!("{event_type:<26} → {url}  as {profile}"));
    Ok(())
}

/// A port of this machine where nobody listens.
async fn closed_port() -> std::io::Result<SocketAddr> {
    tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()
}

/// The first event has what every one of the five formats needs.
async fn publish(api: &ApiClient) -> Result<Vec<String>, String> {
    show::step("Three events are published");
    let process = json!({"ProcessId": "1e144e85-f45b-4ae3-8915-ae2826ea1e55",
        "ClientId": "8c55ebc3-7ac2-469e-9837-94023aa82c3d", "Status": 2, "match_score": 0.95});
    let events = [
        json!({"event_type": "verification.completed", "payload": process, "metadata": {"order_id": "order-456"}}),
        json!({"event_type": "verification.needs_review", "payload": {"review_reason": "Low confidence score"}}),
        json!({"event_type": "verification.failed", "payload": {"error": {"code": "PROVIDER_ERROR"}}}),
    ];
    let mut ids = Vec::new();
    for event in events {
        let receipt = api.post("/api/v1/events/", &event).await?;
        let id = receipt["id"].as_str().ok_or("an event has no id")?;
        let event_type = event["event_type"].as_str().unwrap_or_default();
        let deliveries = if receipt["deliveries"] == 1 { "delivery" } else { "deliveries" };
        show::line(&format!("{event_type:<26} 202  {} {deliveries:<10}  {id}", receipt["deliveries"]));
        ids.push(id.to_owned());
    }
    Ok(ids)
}

/// Watches until nothing is pending.
async fn wait_until_ended(api: &ApiClient, event_ids: &[String]) -> Result<Vec<Value>, String> {
    show::step("Deliveries go out; what fails is tried again on its schedule");
    let style =
        ProgressStyle::with_template("  {bar:32.cyan} {pos}/{len} ended  {elapsed}").map_err(|e| e.to_string())?;
    let bar = ProgressBar::new(0).with_style(style);
    let watching = async {
        loop {
            let events = read_all(api, event_ids).await?;
            let states: Vec<&Value> = deliveries(&events).map(|delivery| &delivery["status"]).collect();
            let ended = states.iter().filter(|state| **state != "pending").count();
            bar.set_length(u64::try_from(states.len()).unwrap_or(0));
            bar.set_position(u64::try_from(ended).unwrap_or(0));
            if ended == states.len() {
                return Ok::<_, String>(events);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let watched = tokio::time::timeout(PATIENCE, watching).await;
    let elapsed = bar.elapsed();
    bar.finish_and_clear();
    let events: Vec<Value> = watched.map_err(|_| format!("not all ended within {PATIENCE:?}"))??;
    show::line(&format!("all {} ended after {:.1} s", deliveries(&events).count(), elapsed.as_secs_f64()));
    Ok(events)
}

async fn read_all(api: &ApiClient, event_ids: &[String]) -> Result<Vec<Value>, String> {
    let mut events = Vec::new();
    for id in event_ids {
        events.push(api.get(&format!("/api/v1/events/{id}/")).await?);
    }
    Ok(events)
}

fn deliveries(events: &[Value]) -> impl Iterator<Item = &Value> {
    events.iter().filter_map(|event| event["deliveries"].as_array()).flatten()
}

/// Whether all went as it should.
fn check(events: &[Value], seen: &[receiver::Seen]) -> Result<(), String> {
    if let Some(refused) = seen.iter().find(|seen| seen.finding.verdict == Verdict::Refused) {
        return Err(format!("a signature at /{} does not fit: {}", refused.path, refused.finding.notes.join(" ")));
    }
    for delivery in deliveries(events) {
        let url = delivery["webhook_url"].as_str().unwrap_or_default();
        let tries = delivery["attempts"].as_array().map_or(0, Vec::len);
        let expected = match url.rsplit('/').next() {
            Some("flaky") => ("delivered", 2),
            Some("down") => ("failed", 3),
            _ => ("delivered", 1),
        };
        let got = (delivery["status"].as_str().unwrap_or_default(), tries);
        if got != expected {
            return Err(format!("{url}: expected {expected:?}, got {got:?}"));
        }
    }
    show::line("every signature there is was verified, and every delivery ended as it should");
    Ok(())
}

/// How to look at it by API.
async fn tour(api: &ApiClient) -> Result<(), String> {
    show::step("How to look at it by API");
    let path = "/api/v1/deliveries/?status=undelivered";
    show::line(&format!("GET {path}"));
    let answer = api.get(path).await?;
    let shown = serde_json::to_string_pretty(&answer).map_err(|error| error.to_string())?;
    shown.lines().for_each(show::aside);
    show::line("GET /api/v1/events/{id}/              an event with its deliveries and every attempt");
    show::line("GET /api/v1/webhooks/                 the subscriptions with their statistics");
    show::line("POST /api/v1/deliveries/{id}/retry/   try an ended delivery again");
    show::line("GET /api/v1/profiles/                 the formats; POST …/{name}/preview/ renders one");
    show::step("Next: `make run` starts a server for you to play with");
    Ok(())
}
