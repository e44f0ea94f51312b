//! What a bare client reaches: signs each payload as Standard Webhooks does, posts it, and keeps nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use postrider_bench::stamp;
use postrider_core::Timestamp;
use postrider_core::secret::SigningSecret;
use postrider_core::signature::sign;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::process::cpu_of;

#[derive(clap::Args)]
pub(crate) struct CeilingArguments {
    /// Where to.
    #[arg(long)]
    url: String,
    /// How many requests.
    #[arg(long, default_value_t = 60_000)]
    requests: u64,
    /// How many at once.
    #[arg(long, default_value_t = 50)]
    concurrency: usize,
}

/// What was reached.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Ceiling {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Microseconds of processor time for each.
    pub(crate) cpu_us: f64,
}

#[expect(clippy::cast_precision_loss, reason = "requests are far fewer than 2^53")]
pub(crate) async fn run(arguments: &CeilingArguments) -> Result<(), String> {
    let client = reqwest::Client::builder().no_proxy().http1_only().tcp_nodelay(true).build();
    let client = client.map_err(|error| error.to_string())?;
    let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").ok_or("not a secret")?;
    let next = Arc::new(AtomicU64::new(0));
    let own = std::process::id();
    let (begun, cpu) = (Instant::now(), cpu_of(own));
    let mut workers: JoinSet<Result<(), String>> = JoinSet::new();
    for _ in 0..arguments.concurrency {
        let (client, secret, next) = (client.clone(), secret.clone(), Arc::clone(&next));
        let (url, requests) = (arguments.url.clone(), arguments.requests);
        workers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return Ok(());
                }
                post(&client, &url, &secret, number).await?;
            }
        });
    }
    while let Some(done) = workers.join_next().await {
        done.map_err(|error| error.to_string())??;
    }
    let rate = arguments.requests as f64 / begun.elapsed().as_secs_f64();
    let cpu_us = (cpu_of(own) - cpu) * 1e6 / arguments.requests as f64;
    println!("{}", serde_json::to_string(&Ceiling { rate, cpu_us }).map_err(|error| error.to_string())?);
    Ok(())
}

async fn post(client: &reqwest::Client, url: &str, secret: &SigningSecret, number: u64) -> Result<(), String> {
    let now = stamp::now();
    let body = stamp::payload(number, now);
    let id = format!("msg_{number}");
    let at = Timestamp::from_micros(i64::try_from(now / 1000).unwrap_or(i64::MAX));
    let signature = sign(secret, &id, at, body.as_bytes());
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .header("webhook-id", &id)
        .header("webhook-timestamp", at.as_seconds())
        .header("webhook-signature", signature);
    let response = request.body(body).send().await.map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("the receiver answered {}", response.status()));
    }
    response.bytes().await.map(drop).map_err(|error| error.to_string())
}
