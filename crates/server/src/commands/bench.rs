//! `postrider bench`: publishes to an installation, receives from it, and says what came of it.

use std::ops::Range;
use std::time::Duration;

use postrider_bench::latency::Summary;
use postrider_bench::load::{Load, Publisher, Sent, call, run as publish_all};
use postrider_bench::sink::{Sink, Stats};
use postrider_bench::stamp;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Signals;
use crate::cli::BenchArgs;

/// How long nothing new may come before the rest counts as lost.
const PATIENCE: Duration = Duration::from_secs(15);
/// After the last, for what comes twice.
const SETTLE: Duration = Duration::from_millis(500);
/// Connections of an open loop.
const CONNECTIONS: usize = 200;

pub(crate) async fn run(args: BenchArgs) -> Result<(), String> {
    let key = args.key.clone().or_else(|| std::env::var("KEY").ok());
    let key = key.ok_or("--key: give an API key with the scopes manage and publish, or set KEY")?;
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let receiver = args.receiver_url.clone().unwrap_or_else(|| format!("http://{address}/bench"));
    let sink = Sink::default();
    tokio::spawn(sink.clone().serve(listener));
    let api = Api { client: Client::new(), base: args.url.trim_end_matches('/').to_owned(), key };
    let event_type = format!("bench.{:x}", stamp::now());
    let mut signals = Signals::listen()?;
    let webhook = api.subscribe(&event_type, &receiver).await?;
    let measured = tokio::select! {
        measured = measure(&args, &api, &event_type, &sink) => measured,
        () = signals.next() => Err("stopped".to_owned()),
    };
    api.clean_up(&webhook, &event_type).await;
    let (sent, stats) = measured?;
    show(&sent, &stats, args.json);
    let is_whole = stats.unique == sent.accepted && stats.doubled == 0 && sent.refused.is_empty();
    if is_whole { Ok(()) } else { Err("not everything was accepted, or came once".to_owned()) }
}

async fn measure(args: &BenchArgs, api: &Api, event_type: &str, sink: &Sink) -> Result<(Sent, Stats), String> {
    let concurrency = if args.rate.is_some() { args.concurrency.max(CONNECTIONS) } else { args.concurrency };
    let batch = args.batch.max(1);
    let load =
        Load { calls: args.events.div_ceil(batch), concurrency, rate: args.rate.map(f64::from), batch, first: 0 };
    let make = || Publishing { api: api.clone(), event_type: event_type.to_owned(), batch: batch > 1 };
    let sent = publish_all(load, make).await;
    if sent.accepted == 0 {
        let reasons: Vec<&str> = sent.refused.keys().map(String::as_str).collect();
        return Err(format!("nothing was accepted: {}", reasons.join("; ")));
    }
    wait_for(sink, sent.accepted).await;
    Ok((sent, sink.stats("/bench")))
}

/// Waits until all came, or nothing comes any more.
async fn wait_for(sink: &Sink, count: u64) {
    let (mut seen, mut quiet) = (0, Duration::ZERO);
    let step = Duration::from_millis(50);
    while seen < count && quiet < PATIENCE {
        tokio::time::sleep(step).await;
        let now = sink.stats("/bench").unique;
        quiet = if now == seen { quiet + step } else { Duration::ZERO };
        seen = now;
    }
    tokio::time::sleep(SETTLE).await;
}

/// The installation's API.
#[derive(Clone)]
struct Api {
    client: Client,
    base: String,
    key: String,
}

impl Api {
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<(StatusCode, Value), String> {
        let request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let response = request.send().await.map_err(|error| format!("cannot reach {}: {error}", self.base))?;
        Ok((response.status(), response.json().await.unwrap_or_default()))
    }

    async fn make(&self, path: &str, body: Value) -> Result<Value, String> {
        let (status, answer) = self.call(Method::POST, path, Some(body)).await?;
        if status.is_success() {
            return Ok(answer);
        }
        let wrong = answer["errors"][0]["message"].as_str().or(answer["detail"].as_str()).unwrap_or_default();
        Err(format!("POST {path}: {status}: {wrong}"))
    }

    /// A webhook for a type of its own, so that nobody else gets the events.
    async fn subscribe(&self, event_type: &str, url: &str) -> Result<String, String> {
        self.make("/api/v1/event-types/", json!({"name": event_type})).await?;
        match self.make("/api/v1/webhooks/", json!({"event_type": event_type, "webhook_url": url})).await {
            Ok(made) => made["id"].as_str().map(str::to_owned).ok_or_else(|| "a webhook without an id".to_owned()),
            Err(error) => {
                let _ = self.call(Method::DELETE, &format!("/api/v1/event-types/{event_type}/"), None).await;
                let how = "the installation must be able to reach this receiver: see --listen and --receiver-url";
                Err(format!("{url}: {error}; {how}"))
            }
        }
    }

    async fn clean_up(&self, webhook: &str, event_type: &str) {
        for path in [format!("/api/v1/webhooks/{webhook}/"), format!("/api/v1/event-types/{event_type}/")] {
            match self.call(Method::DELETE, &path, None).await {
                Ok((status, _)) if status.is_success() => {}
                Ok((status, _)) => tracing::warn!(path, %status, "could not be deleted"),
                Err(error) => tracing::warn!(path, error, "could not be deleted"),
            }
        }
    }
}

struct Publishing {
    api: Api,
    event_type: String,
    batch: bool,
}

impl Publisher for Publishing {
    async fn publish(&mut self, numbers: Range<u64>, sent_at: u64) -> Result<(), String> {
        let (path, body) = call(numbers, sent_at, self.batch, |_| self.event_type.clone());
        let Api { client, base, key } = &self.api;
        let request = client.post(format!("{base}{path}")).bearer_auth(key).header("content-type", "application/json");
        let response = request.body(body).send().await.map_err(|error| error.without_url().to_string())?;
        let status = response.status();
        let answer: Value = response.json().await.map_err(|error| error.without_url().to_string())?;
        let failed = answer["results"].as_array().into_iter().flatten().find(|result| !result["error"].is_null());
        match failed {
            Some(result) => Err(result["error"]["detail"].as_str().unwrap_or("refused").to_owned()),
            None if status == StatusCode::ACCEPTED => Ok(()),
            None => Err(format!("{status}: {}", answer["detail"].as_str().unwrap_or_default())),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run")]
fn show(sent: &Sent, stats: &Stats, json: bool) {
    let seconds = sent.took.as_secs_f64().max(1e-9);
    let until_last = (stats.last_at.saturating_sub(sent.begun_at) as f64 / 1e9).max(1e-9);
    let lost = sent.accepted.saturating_sub(stats.unique);
    let (accepted, delivered) = (sent.accepted as f64 / seconds, stats.unique as f64 / until_last);
    let accepting = sent.latencies.summary();
    if json {
        return say!(
            "{}",
            json!({
                "accepted": sent.accepted, "delivered": stats.unique, "lost": lost, "doubled": stats.doubled,
                "refused": sent.refused, "accepted_per_second": accepted, "delivered_per_second": delivered,
                "publish_latency": accepting, "delivery_latency": stats.latency,
            })
        );
    }
    say!("Accepted   {} events, {accepted:.0} a second", sent.accepted);
    say!("Delivered  {}, {delivered:.0} a second; lost {lost}, doubled {}", stats.unique, stats.doubled);
    sent.refused.iter().for_each(|(reason, times)| say!("Refused    {times} calls: {reason}"));
    say!("                      p50       p90       p99     p99.9       max");
    line("Publish to answer", &accepting);
    line("Publish to arrival", &stats.latency);
}

fn line(what: &str, latency: &Summary) {
    let Summary { p50_ms, p90_ms, p99_ms, p999_ms, max_ms, .. } = latency;
    say!("{what:18} {p50_ms:7.1}ms {p90_ms:7.1}ms {p99_ms:7.1}ms {p999_ms:7.1}ms {max_ms:7.1}ms");
}
