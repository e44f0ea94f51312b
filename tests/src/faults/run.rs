//! One run: nodes, publishers and a receiver, faults as somebody orders them, and the judgement.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::check::{self, Evidence};
use super::lock;
use super::producer::Producer;
use super::scenarios::{Load, Plan};
use super::sink::Sink;
use super::stage::{Kind, Stage};
use crate::{Binary, Database, Server, ServerOptions};

/// How long it may take until nothing is pending after the last fault.
const QUIET: Duration = Duration::from_secs(60);
/// For how long nothing must be pending: more may still be made of an event with very many targets.
const STAYS_QUIET: Duration = Duration::from_millis(1_500);
/// Events read at once for the judgement.
const READERS: usize = 16;
/// How often an event is asked for that is neither shown nor missing, and the time between.
const READ_TRIES: usize = 20;
const READ_AGAIN: Duration = Duration::from_millis(250);
/// Deliveries that are shown with their event; the rest are in lists.
const SHOWN: usize = 250;
/// Events that are looked at now and then, to see later that their record stands.
const SAMPLE: usize = 50;
/// The same under a light load.
const LIGHT_SAMPLE: usize = 10;

/// Which database a run is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Sqlite { "SQLite" } else { "PostgreSQL" })
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What went wrong, in words.
    pub scenario: &'static str,
    /// On what.
    pub store: Store,
    /// Moments of faults: one that lasts has its beginning and its end, or more.
    pub faults: usize,
    /// Events accepted.
    pub accepted: usize,
    /// Requests that the receiver got.
    pub requests: usize,
    /// Requests that were in flight at a fault.
    pub in_flight: usize,
    /// Those of them that left no record.
    pub unrecorded: usize,
    /// Requests after a recorded success.
    pub after_success: usize,
    /// Deliveries, by how they ended.
    pub ended: BTreeMap<String, usize>,
    /// From the last fault until nothing was pending.
    pub quiet_after: Duration,
    /// Times that were promised.
    pub figures: Vec<Figure>,
    /// What should not be.
    pub violations: Vec<String>,
}

/// A time that was measured, and the one that was promised.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Of what.
    pub what: &'static str,
    /// How long it took.
    pub time: Duration,
    /// How long it may take.
    pub limit: Duration,
}

/// What is judged less strictly, because the run makes it so.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowances {
    /// The clock was set: the record's times cannot be compared.
    pub clock_was_set: bool,
    /// A node went on after others had taken over what it held.
    pub may_overlap: bool,
    /// Payloads that panic are part of it.
    pub panics: bool,
}

/// A run under way.
pub(super) struct Run {
    store: Store,
    load: Load,
    folder: TempDir,
    nodes: Vec<Option<Server>>,
    options: Vec<ServerOptions>,
    bases: Arc<Mutex<Vec<String>>>,
    key: String,
    sink: Sink,
    stage: Stage,
    producer: Producer,
    faults: Vec<Instant>,
    /// Events as they were seen during the run.
    earlier: HashMap<String, Value>,
    wrong: Vec<String>,
    figures: Vec<Figure>,
    allowances: Allowances,
    /// Chance, of a seed that can be given again.
    pub rng: StdRng,
}

impl Run {
    /// Starts a node for each of `options`, makes the subscriptions and begins to publish.
    ///
    /// # Panics
    /// If that does not work: nothing is wrong yet.
    pub(super) async fn begin(plan: Plan, options: Vec<ServerOptions>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut nodes = Vec::new();
        for options in &options {
            nodes.push(Some(Server::start_with(options.clone()).await));
        }
        let bases: Vec<String> = nodes.iter().flatten().map(|node| node.base().to_owned()).collect();
        let key = nodes.iter().flatten().map(|node| node.key().to_owned()).next().expect("a node");
        let sink = Sink::start(folder.path()).await;
        let kinds: &[Kind] = match plan.load {
            Load::Full => &[Kind::Plain, Kind::Troubled, Kind::Wide],
            Load::Light => &[Kind::Plain, Kind::Troubled],
        };
        let stage = Stage::set(&bases[0], &key, &sink, kinds).await;
        let bases = Arc::new(Mutex::new(bases));
        let producer = Producer::start(folder.path(), &key, Arc::clone(&bases), plan.load);
        Self {
            store: plan.store,
            load: plan.load,
            folder,
            nodes,
            options,
            bases,
            key,
            sink,
            stage,
            producer,
            faults: Vec::new(),
            earlier: HashMap::new(),
            wrong: Vec::new(),
            figures: Vec::new(),
            allowances: Allowances::default(),
            rng: StdRng::seed_from_u64(plan.seed),
        }
    }

    /// The options of one node on the store, with a program that can be told to end itself.
    ///
    /// # Panics
    /// If there is no PostgreSQL server.
    #[must_use]
    pub(super) fn node(store: Store) -> ServerOptions {
        let database = match store {
            Store::Sqlite => Database::Sqlite,
            Store::Postgres => Database::postgres(),
        };
        ServerOptions { binary: Binary::Faulty, database, ..ServerOptions::default() }
    }

    /// Judges less strictly.
    pub(super) const fn allow(&mut self, allowances: Allowances) {
        self.allowances = allowances;
    }

    /// How much is published.
    #[must_use]
    pub(super) const fn load(&self) -> Load {
        self.load
    }

    /// The receiver.
    #[must_use]
    pub(super) const fn sink(&self) -> &Sink {
        &self.sink
    }

    /// A node that runs.
    ///
    /// # Panics
    /// If it does not.
    pub(super) fn server(&mut self, node: usize) -> &mut Server {
        self.nodes[node].as_mut().expect("it runs")
    }

    /// Notes that something went wrong now.
    pub(super) fn fault(&mut self) {
        self.faults.push(Instant::now());
    }

    /// Notes something that should not be.
    pub(super) fn violation(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// Notes a time that was promised; a violation, if it took longer.
    pub(super) fn figure(&mut self, figure: Figure) {
        if figure.time > figure.limit {
            self.violation(format!("F0: {} took {:?}, and may take {:?}", figure.what, figure.time, figure.limit));
        }
        self.figures.push(figure);
    }

    /// How many events were accepted so far.
    pub(super) fn accepted(&self) -> usize {
        self.producer.accepted()
    }

    /// Waits until one more was.
    ///
    /// # Panics
    /// If none is within a minute.
    pub(super) async fn wait_for_more_than(&self, accepted: usize) {
        let more = async {
            while self.producer.accepted() <= accepted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(QUIET, more).await.expect("events are accepted");
    }

    /// Lets things go their way for a time between two bounds, in milliseconds.
    pub(super) async fn go_on(&mut self, millis: std::ops::Range<u64>) {
        let time = self.rng.random_range(millis);
        tokio::time::sleep(Duration::from_millis(time)).await;
    }

    /// Lets things go their way for this long, with the faults that it is full of.
    pub(super) async fn pass(&mut self, time: Duration) {
        let since = Instant::now();
        while since.elapsed() < time {
            self.fault();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Waits until so many more events were accepted, and looks at what is on record.
    ///
    /// # Panics
    /// If they never are.
    pub(super) async fn accept_more(&mut self, events: usize) {
        let enough = self.producer.accepted() + events;
        let accepted = async {
            while self.producer.accepted() < enough {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(QUIET, accepted).await.expect("events are accepted");
        self.look().await;
    }

    /// Has one of the next events go to more subscriptions than are made with it. Node 0 must run.
    pub(super) async fn publish_wide(&mut self) {
        let base = lock(&self.bases)[0].clone();
        // Each new subscription would have every publish read all of them anew.
        self.producer.pause(true);
        self.stage.add(Kind::Wide, &base, &self.key, &self.sink).await;
        self.producer.pause(false);
        self.producer.publish_wide();
    }

    /// Ends a node without warning.
    pub(super) async fn kill(&mut self, node: usize) {
        if let Some(server) = self.nodes[node].take() {
            self.fault();
            let log = server.log_path();
            server.kill().await;
            self.read_log(&log);
        }
    }

    /// Waits until a node has ended by itself. False if it does not.
    pub(super) async fn ended(&mut self, node: usize, within: Duration) -> bool {
        let since = Instant::now();
        while since.elapsed() < within {
            let server = self.server(node);
            if server.has_ended() {
                let log = server.log_path();
                self.fault();
                self.read_log(&log);
                self.nodes[node] = None;
                return true;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        false
    }

    /// Starts a node that does not run, as it always is.
    pub(super) async fn start(&mut self, node: usize) {
        self.start_as(node, self.options[node].clone()).await;
    }

    /// Starts a node that does not run. It may end before it is ready.
    pub(super) async fn start_as(&mut self, node: usize, options: ServerOptions) {
        match Server::try_start_with(options).await {
            Ok(server) => {
                server.base().clone_into(&mut lock(&self.bases)[node]);
                self.nodes[node] = Some(server);
            }
            Err(_) => self.fault(),
        }
    }

    /// Whether a node is there.
    #[must_use]
    pub(super) fn is_up(&self, node: usize) -> bool {
        self.nodes[node].is_some()
    }

    /// The options of a node.
    #[must_use]
    pub(super) fn options(&self, node: usize) -> ServerOptions {
        self.options[node].clone()
    }

    /// Sees what the record says of the newest events, to be compared at the end, and that what is pending has a due time.
    pub(super) async fn look(&mut self) {
        let Some(node) = (0..self.nodes.len()).find(|node| self.is_up(*node)) else { return };
        let sample = if self.load == Load::Light { LIGHT_SAMPLE } else { SAMPLE };
        let Some(list) = self.get(node, &format!("/api/v1/events/?limit={sample}")).await else { return };
        for event in list["events"].as_array().into_iter().flatten() {
            let id = event["id"].as_str().unwrap_or_default().to_owned();
            let Some(event) = self.get(node, &format!("/api/v1/events/{id}/")).await else { continue };
            if !is_cut(&event) {
                self.earlier.insert(id, event);
            }
        }
        let Some(list) = self.get(node, "/api/v1/deliveries/?status=pending&limit=250").await else { return };
        let undated = |delivery: &&Value| delivery["next_attempt_at"].as_str().is_none();
        let count = list["deliveries"].as_array().into_iter().flatten().filter(undated).count();
        if count > 0 {
            self.violation(format!("S0: {count} pending deliveries without a due time"));
        }
    }

    /// Switches the subscription that is on and off.
    pub(super) async fn switch(&mut self, node: usize, is_active: bool) {
        let path = format!("/api/v1/webhooks/{}/", self.stage.on_and_off);
        let body = serde_json::json!({"is_active": is_active});
        if let Some(server) = &self.nodes[node] {
            // If it cannot be now, it is as it was.
            let _ = server.try_request(&self.key, "PATCH", &path, Some(body)).await;
        }
    }

    async fn get(&self, node: usize, path: &str) -> Option<Value> {
        let answer = self.nodes[node].as_ref()?.try_request(&self.key, "GET", path, None).await.ok()?;
        (answer.status == 200).then_some(answer.body)
    }

    /// A panic is a violation, whatever it did.
    fn read_log(&mut self, path: &Path) {
        if !self.allowances.panics {
            self.wrong.extend(panics(path));
        }
    }

    /// Publishes no more, waits until it is quiet, and judges. Node 0 must run.
    ///
    /// # Panics
    /// If a publisher panicked.
    pub(super) async fn end(mut self) -> Report {
        let faults_over = Instant::now();
        let log = self.server(0).log_path();
        let (accepted, wrong) = self.producer.stop().await;
        self.wrong.extend(wrong);
        let server = self.nodes[0].take().expect("a node to ask");
        let quiet_after = wait_until_quiet(&server, faults_over).await;
        if quiet_after.is_none() {
            self.wrong.push("L0: something is still pending".to_owned());
        }
        let entries = self.sink.entries();
        let server = Arc::new(server);
        let events = read_events(&server, accepted.iter().map(|accepted| accepted.id.clone())).await;
        let findings = Evidence {
            accepted: &accepted,
            stage: &self.stage,
            entries: &entries,
            faults: &self.faults,
            events: &events,
            allowances: self.allowances,
        }
        .judge();
        self.earlier.retain(|id, _| events.contains_key(id));
        let changed = check::changed(&self.earlier, &events);
        self.wrong.extend(panics(&log).into_iter().filter(|_| !self.allowances.panics));
        let violations: Vec<_> = self.wrong.iter().cloned().chain(findings.violations).chain(changed).collect();
        if !violations.is_empty() {
            eprintln!("the journals and logs are kept in {}", self.folder.keep().display());
        }
        Report {
            scenario: "",
            store: self.store,
            faults: self.faults.len(),
            accepted: accepted.len(),
            requests: findings.requests,
            in_flight: findings.in_flight,
            unrecorded: findings.unrecorded,
            after_success: findings.after_success,
            ended: findings.ended,
            quiet_after: quiet_after.unwrap_or(QUIET),
            figures: self.figures,
            violations,
        }
    }
}

/// The panics that a log tells of.
fn panics(log: &Path) -> Vec<String> {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    log.lines().filter(|line| line.contains("panicked")).map(|line| format!("a panic: {line}")).collect()
}

/// From `since` until nothing was pending any more.
async fn wait_until_quiet(server: &Server, since: Instant) -> Option<Duration> {
    let mut quiet_since: Option<Instant> = None;
    while since.elapsed() < QUIET {
        let path = "/api/v1/deliveries/?status=pending&limit=1";
        let answer = server.try_request(server.key(), "GET", path, None).await;
        let is_quiet = answer.is_ok_and(|answer| answer.body["deliveries"] == serde_json::json!([]));
        quiet_since = if is_quiet { quiet_since.or_else(|| Some(Instant::now())) } else { None };
        if let Some(begun) = quiet_since.filter(|begun| begun.elapsed() >= STAYS_QUIET) {
            return Some(begun - since);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

async fn read_events(server: &Arc<Server>, ids: impl Iterator<Item = String>) -> HashMap<String, Value> {
    let (mut events, mut tasks) = (HashMap::new(), JoinSet::new());
    for id in ids {
        if tasks.len() == READERS {
            let read = tasks.join_next().await.expect("a reader");
            events.extend(read.expect("no reader panics"));
        }
        let server = Arc::clone(server);
        tasks.spawn(async move {
            let mut event = read_event(&server, &id).await?;
            if is_cut(&event) {
                event["deliveries"] = read_deliveries(&server, &id).await.into();
            }
            Some((id, event))
        });
    }
    while let Some(read) = tasks.join_next().await {
        events.extend(read.expect("no reader panics"));
    }
    events
}

/// The event, or nothing if it is not there. One who is too busy is asked again: that is not a loss.
///
/// # Panics
/// If it cannot be had, and is not missing either.
async fn read_event(server: &Server, id: &str) -> Option<Value> {
    let mut last = String::new();
    for _ in 0..READ_TRIES {
        match server.try_request(server.key(), "GET", &format!("/api/v1/events/{id}/"), None).await {
            Ok(answer) if answer.status == 200 => return Some(answer.body),
            Ok(answer) if answer.status == 404 => return None,
            Ok(answer) => last = format!("{}: {}", answer.status, answer.body),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(READ_AGAIN).await;
    }
    panic!("event {id} cannot be read: {last}");
}

/// Whether an event has more deliveries than are shown with it.
fn is_cut(event: &Value) -> bool {
    event["deliveries"].as_array().is_some_and(|shown| shown.len() >= SHOWN)
}

/// All deliveries of an event, each with its attempts.
async fn read_deliveries(server: &Server, event_id: &str) -> Vec<Value> {
    let (mut deliveries, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/api/v1/deliveries/?event_id={event_id}&limit=250{cursor}")).await;
        for delivery in page["deliveries"].as_array().into_iter().flatten() {
            let id = delivery["id"].as_str().unwrap_or_default();
            deliveries.push(server.get(&format!("/api/v1/deliveries/{id}/")).await);
        }
        let Some(next) = page["next_cursor"].as_str() else { return deliveries };
        cursor = format!("&cursor={next}");
    }
}
