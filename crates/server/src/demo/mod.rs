//! `postrider demo`: the whole way of an event, on this machine.

mod api;
mod examples;
mod receiver;
mod show;

use std::net::SocketAddr;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use postrider_core::World;
use postrider_core::secret::SigningSecret;
use serde_json::{Value, json};

use crate::cli::{ServeOptions, StoreArgs};
use crate::config::Settings;
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
        store: StoreArgs { database: Some(database), config: None },
        listen: Some("127.0.0.1:0".to_owned()),
        role: None,
        dev: true,
    };
    let settings = Settings::only(&options).map_err(|error| error.to_string())?;
    let node = Node::start(NodeOptions { settings, world }).await.map_err(|error| error.to_string())?;
    let told = tell(&node).await;
    node.shut_down().await;
    told
}

async fn tell(node: &Node) -> Result<(), String> {
    let key = node.first_key().ok_or("the new database has a key already")?.reveal().to_owned();
    let address = node.address();
    let api = ApiClient::new(address, key)?;
    show::step("Postrider runs");
    show::line(&format!("on http://{address}, with SQLite in a temporary folder; a receiver runs beside it"));

    let receiver = subscribe(&api).await?;
    let event_ids = publish(&api).await?;
    let events = wait_until_ended(&api, &event_ids).await?;

    show::step("What a receiver gets");
    let seen = receiver.seen();
    show::request(seen.first().ok_or("nothing arrived")?);
    show::step("What became of every delivery");
    show::deliveries(&events);
    check(&events, &seen)?;
    tour(&api).await
}

/// One receiver that takes everything, one that fails first, and one that is down.
async fn subscribe(api: &ApiClient) -> Result<Receiver, String> {
    show::step("Three endpoints subscribe");
    let (receiver, at) = Receiver::start().await.map_err(|error| format!("cannot start a receiver: {error}"))?;
    let nobody = closed_port().await.map_err(|error| format!("cannot find a free port: {error}"))?;
    let subscriptions = [
        ("all", format!("http://{at}/healthy"), json!([5, 25, 125]), "takes everything"),
        ("verification.needs_review", format!("http://{at}/flaky"), json!([5, 25, 125]), "fails once, then takes it"),
        (
            "verification.failed",
            format!("http://{nobody}/down"),
            json!([1, 2]),
            "is down; retried after 1 s and 2 s only",
        ),
    ];
    for (event_type, url, schedule, remark) in subscriptions {
        let body = json!({"event_type": event_type, "webhook_url": url, "retry_schedule": schedule});
        let made = api.post("/api/v1/webhooks/", &body).await?;
        let secret = made["secret_key"].as_str().and_then(SigningSecret::parse).ok_or("no secret was given")?;
        receiver.expect(url.rsplit('/').next().unwrap_or_default(), secret);
        show::line(&format!("{event_type:<26} → {url}"));
        show::aside(&format!("{:<28} {remark}", ""));
    }
    Ok(receiver)
}

/// A port of this machine where nobody listens.
async fn closed_port() -> std::io::Result<SocketAddr> {
    tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()
}

async fn publish(api: &ApiClient) -> Result<Vec<String>, String> {
    show::step("The example events of five published documents are published");
    let mut ids = Vec::new();
    for (event_type, payload) in examples::all() {
        let body = json!({"event_type": event_type, "payload": payload});
        let receipt = api.post("/api/v1/events/", &body).await?;
        let id = receipt["id"].as_str().ok_or("an event has no id")?;
        show::line(&format!("{event_type:<26} 202  {} deliveries  {id}", receipt["deliveries"]));
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
    if let Some(false_one) = seen.iter().find(|seen| !seen.is_genuine) {
        return Err(format!("a signature at /{} does not fit", false_one.path));
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
    show::line("every signature was verified, and every delivery ended as it should");
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
    show::step("Next: `make run` starts a server for you to play with");
    Ok(())
}
