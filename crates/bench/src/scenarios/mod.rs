//! What is measured: a file for each kind of question.

mod bulk;
mod hostile;
mod isolation;
mod large;
mod latency;
mod nodes;
mod resources;
mod throughput;

use std::path::PathBuf;

use postrider_bench::load::{Load, Sent};
use postrider_bench::sink::Stats;
use tempfile::TempDir;

use crate::RunArguments;
use crate::ceiling::Ceiling;
use crate::figures::{BINARY, Figures, median};
use crate::installation::{Database, EVENT_TYPE, Installation, Receiver};
use crate::process::{itself, mb};
use crate::publisher::TypeOf;

/// Calls at once in a closed loop.
const CONCURRENCY: usize = 50;
/// Connections of an open loop.
const CONNECTIONS: usize = 200;

const WARM_UP_SECONDS: f64 = 2.0;

/// What scenarios work with.
pub(crate) struct Bench {
    binary: PathBuf,
    postgres: Option<String>,
    postgres_pid: Option<u32>,
    out: PathBuf,
    receiver: Receiver,
    figures: Figures,
    databases: usize,
    /// Of this round.
    ceiling: Ceiling,
    /// Events a second, one by one on SQLite, in this round.
    most: f64,
}

/// Measures all that is asked for.
pub(crate) async fn run(arguments: &RunArguments) -> Result<(), String> {
    let mut bench = Bench {
        binary: arguments.binary.canonicalize().map_err(|error| format!("{}: {error}", arguments.binary.display()))?,
        postgres: arguments.postgres.clone(),
        postgres_pid: arguments.postgres_pid,
        out: arguments.out.clone(),
        receiver: Receiver::start().await?,
        figures: Figures::default(),
        databases: 0,
        ceiling: Ceiling { rate: 0.0, cpu_us: 0.0 },
        most: 0.0,
    };
    std::fs::create_dir_all(&bench.out).map_err(|error| format!("{}: {error}", bench.out.display()))?;
    bench.figures.add(BINARY, mb(&bench.binary));
    let wants = |name: &str| name.contains(&arguments.only);
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        bench.measure_ceiling().await?;
        bench.measure_most().await?;
        if wants("resources") {
            bench.resources().await?;
        }
        if wants("throughput") {
            bench.throughput().await?;
        }
        if wants("latency") {
            bench.latency().await?;
        }
        if wants("isolation from hanging endpoints") {
            bench.hanging().await?;
        }
        if wants("isolation from a burst") {
            bench.burst().await?;
        }
        if wants("isolation from retention") {
            bench.retention().await?;
        }
        if wants("isolation from a discard") {
            bench.discard().await?;
        }
        if wants("nodes") {
            bench.nodes().await?;
        }
    }
    if wants("subscriptions") {
        bench.many_subscriptions(arguments.rounds).await?;
    }
    if arguments.full && wants("large") {
        bench.large().await?;
    }
    let kinds: Vec<_> = hostile::kinds().filter(|kind| wants(&format!("hostile: {}", kind.name))).collect();
    if arguments.full && !kinds.is_empty() {
        bench.hostile(arguments.rounds, &kinds).await?;
    }
    bench.report()
}

impl Bench {
    fn report(&self) -> Result<(), String> {
        println!("{}", self.figures.table());
        let json = serde_json::to_string_pretty(&self.figures.json()).map_err(|error| error.to_string())?;
        std::fs::write(self.out.join("figures.json"), json).map_err(|error| error.to_string())?;
        if self.figures.faults.is_empty() { Ok(()) } else { Err("something was lost, doubled or refused".to_owned()) }
    }

    async fn measure_ceiling(&mut self) -> Result<(), String> {
        let url = self.receiver.url("/ceiling");
        let output = itself(&["ceiling", "--url", &url])?.output().await.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        self.ceiling = serde_json::from_str(&text).map_err(|error| format!("the ceiling says {text:?}: {error}"))?;
        self.figures.note("bare client, requests/s", self.ceiling.rate);
        self.figures.note("bare client, µs of CPU a request", self.ceiling.cpu_us);
        Ok(())
    }

    /// A database that nobody has used.
    async fn fresh(&mut self, on_postgres: bool) -> Result<(Database, Option<TempDir>), String> {
        self.databases += 1;
        match &self.postgres {
            Some(url) if on_postgres => {
                let name = format!("measured_{}_{}", std::process::id(), self.databases);
                let psql = tokio::process::Command::new("psql")
                    .args([url, "-qc", &format!("create database {name}")])
                    .status();
                let made = psql.await.map_err(|error| format!("cannot run psql: {error}"))?;
                if !made.success() {
                    return Err("cannot make a database".to_owned());
                }
                Ok((Database::Postgres(format!("{url}/{name}")), None))
            }
            _ => {
                let folder = TempDir::new().map_err(|error| error.to_string())?;
                Ok((Database::Sqlite(folder.path().join("measured.db")), Some(folder)))
            }
        }
    }

    /// A server on such a database, with one subscription to `/ok`.
    async fn installed(&mut self, on_postgres: bool) -> Result<(Installation, Option<TempDir>), String> {
        let (database, folder) = self.fresh(on_postgres).await?;
        self.receiver.reset().await?;
        let installation = Installation::start(&self.binary, &database, &[]).await?;
        installation.subscribe(EVENT_TYPE, &self.receiver.url("/ok")).await?;
        Ok((installation, folder))
    }

    /// What is slow only once, as connections are opened, is no measure of what comes later.
    async fn warm_up(&mut self, server: &Installation, rate: f64) -> Result<(), String> {
        let load = open(rate, WARM_UP_SECONDS);
        self.deliver(server, load, Expected::all("a warm-up", load.events)).await?;
        self.receiver.reset().await
    }

    /// Publishes, and waits until what is to come to `/ok` has come; notes what went wrong.
    async fn deliver(&mut self, to: &Installation, load: Load, expected: Expected) -> Result<(Sent, Stats), String> {
        let sent = to.publish(load, expected.type_of).await;
        let stats = self.receiver.wait_for("/ok", expected.count).await?;
        self.check(expected.what, &sent, &stats, expected.count);
        Ok((sent, stats))
    }

    fn check(&mut self, what: &str, sent: &Sent, stats: &Stats, expected: u64) {
        if stats.unique != expected || stats.doubled != 0 || !sent.refused.is_empty() {
            let (unique, doubled, refused) = (stats.unique, stats.doubled, &sent.refused);
            self.figures
                .faults
                .push(format!("{what}: {unique} of {expected} came, {doubled} twice, refused {refused:?}"));
        }
    }
}

/// What is to come to `/ok`.
#[derive(Clone, Copy)]
struct Expected {
    what: &'static str,
    count: u64,
    type_of: TypeOf,
}

impl Expected {
    fn all(what: &'static str, count: u64) -> Self {
        Self { what, count, type_of: |_| EVENT_TYPE.to_owned() }
    }
}

/// New deliveries a second, from the first call to the last arrival.
#[expect(clippy::cast_precision_loss, reason = "counts and times of one run fit")]
fn rate(sent: &Sent, stats: &Stats) -> f64 {
    stats.unique as f64 / (stats.last_at.saturating_sub(sent.begun_at) as f64 / 1e9).max(1e-9)
}

/// Each whole second's 99th percentile, in milliseconds. Their median is of the program; a bad second of the machine, which
/// makes the 99th percentile of a whole run, is one of many here.
fn seconds_p99(stats: &Stats) -> Vec<f64> {
    stats.whole_seconds().iter().map(|second| second.p99_ms).collect()
}

const fn closed(calls: u64, batch: u64) -> Load {
    Load { events: calls * batch, concurrency: CONCURRENCY, rate: None, batch, first: 0 }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of events")]
fn open(rate: f64, seconds: f64) -> Load {
    Load { events: (rate * seconds) as u64, concurrency: CONNECTIONS, rate: Some(rate), batch: 1, first: 0 }
}
