//! What can go wrong, each as a run.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use postrider_core::fail_point::FailPoint;
use rand::RngExt;
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};

use super::run::{Allowances, Report, Run, Store};
use super::sink::Moment;
use crate::{Cluster, Database, Proxy, Server, ServerOptions, SmallDisk, WallClock, Way};

/// How long a process may take to reach the place where it is to end.
const REACHED: Duration = Duration::from_secs(30);

/// How much of it, and by what chance.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// On which database.
    pub store: Store,
    /// How often it goes wrong, where that is a number.
    pub times: usize,
    /// Of the chance.
    pub seed: u64,
}

type Running = Pin<Box<dyn Future<Output = Report>>>;

/// A kind of fault.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// In words.
    pub name: &'static str,
    /// On which databases it can happen.
    pub stores: &'static [Store],
    /// How many runs there are in all.
    pub runs: usize,
    /// How often it goes wrong in each before it is quiet once.
    pub times: usize,
    run: fn(Plan) -> Running,
}

impl Scenario {
    /// Runs it once.
    pub async fn run(&self, plan: Plan) -> Report {
        Report { scenario: self.name, ..(self.run)(plan).await }
    }
}

const BOTH: &[Store] = &[Store::Sqlite, Store::Postgres];
const SQLITE: &[Store] = &[Store::Sqlite];
const POSTGRES: &[Store] = &[Store::Postgres];

/// All there are.
pub const SCENARIOS: [Scenario; 15] = [
    Scenario { name: "kill -9 at random", stores: BOTH, runs: 5, times: 30, run: |plan| Box::pin(kills(plan)) },
    Scenario { name: "abort at each fail point", stores: BOTH, runs: 2, times: 1, run: |plan| Box::pin(points(plan)) },
    Scenario {
        name: "kill -9 at moments on the wire",
        stores: BOTH,
        runs: 1,
        times: 5,
        run: |plan| Box::pin(moments(plan)),
    },
    Scenario { name: "rolling SIGTERM", stores: BOTH, runs: 1, times: 20, run: |plan| Box::pin(rolling(plan)) },
    Scenario {
        name: "the wall clock set by an hour",
        stores: BOTH,
        runs: 1,
        times: 12,
        run: |plan| Box::pin(clocks(plan)),
    },
    Scenario {
        name: "payloads that panic and abort",
        stores: BOTH,
        runs: 1,
        times: 1,
        run: |plan| Box::pin(poison(plan)),
    },
    Scenario {
        name: "disk full, then kill -9",
        stores: SQLITE,
        runs: 1,
        times: 4,
        run: |plan| Box::pin(full_disk(plan)),
    },
    Scenario {
        name: "PostgreSQL's disk full",
        stores: POSTGRES,
        runs: 1,
        times: 4,
        run: |plan| Box::pin(full_disk_of_the_database(plan)),
    },
    Scenario {
        name: "PostgreSQL killed",
        stores: POSTGRES,
        runs: 1,
        times: 10,
        run: |plan| Box::pin(database_killed(plan)),
    },
    Scenario { name: "PostgreSQL cut off", stores: POSTGRES, runs: 1, times: 10, run: |plan| Box::pin(cut_off(plan)) },
    Scenario { name: "ambiguous commits", stores: POSTGRES, runs: 1, times: 20, run: |plan| Box::pin(ambiguous(plan)) },
    Scenario {
        name: "PostgreSQL's connections used up",
        stores: POSTGRES,
        runs: 1,
        times: 5,
        run: |plan| Box::pin(used_up(plan)),
    },
    Scenario {
        name: "two nodes, kill -9 in turns",
        stores: POSTGRES,
        runs: 1,
        times: 30,
        run: |plan| Box::pin(two_nodes(plan)),
    },
    Scenario {
        name: "two nodes, one cut off past its leases",
        stores: POSTGRES,
        runs: 1,
        times: 2,
        run: |plan| Box::pin(partitioned(plan)),
    },
    Scenario {
        name: "two nodes, one stopped past its leases",
        stores: POSTGRES,
        runs: 1,
        times: 2,
        run: |plan| Box::pin(stopped(plan)),
    },
];

async fn begin(plan: Plan) -> Run {
    Run::begin(plan, vec![Run::node(plan.store)]).await
}

async fn kills(plan: Plan) -> Report {
    let mut run = begin(plan).await;
    for turn in 0..plan.times {
        run.accept_more(20).await;
        run.go_on(0..600).await;
        run.switch(0, turn % 4 != 1).await;
        run.kill(0).await;
        run.start(0).await;
    }
    run.end().await
}

async fn points(plan: Plan) -> Report {
    let mut run = begin(plan).await;
    for _ in 0..plan.times {
        for point in FailPoint::ALL {
            abort_at(&mut run, point).await;
        }
    }
    run.end().await
}

async fn abort_at(run: &mut Run, point: FailPoint) {
    let is_in_drain = matches!(point, FailPoint::DrainBegun | FailPoint::DrainWaited | FailPoint::DrainEnded);
    let is_rare = matches!(point, FailPoint::ChunkWritten | FailPoint::ChunkCommitted);
    let times = if is_in_drain || is_rare { 1 } else { run.rng.random_range(1..40) };
    run.kill(0).await;
    let mut options = run.options(0);
    options.under = vec!["env".to_owned(), format!("FAIL_POINT={point:?}:{times}")];
    run.start_as(0, options).await;
    if run.is_up(0) {
        if is_in_drain {
            run.accept_more(50).await;
            run.server(0).signal("TERM").await;
        }
        if !run.ended(0, REACHED).await {
            run.violation(format!("{point:?} was never reached"));
            run.kill(0).await;
        }
    }
    run.start(0).await;
    run.look().await;
}

async fn moments(plan: Plan) -> Report {
    let mut run = begin(plan).await;
    for _ in 0..plan.times {
        for moment in Moment::ALL {
            let (left, pid) = (run.rng.random_range(0..40), run.server(0).pid());
            run.sink().trap(moment, left, pid);
            if !run.ended(0, REACHED).await {
                run.violation(format!("{moment:?} was never reached"));
                run.kill(0).await;
            }
            run.start(0).await;
            run.look().await;
        }
    }
    run.end().await
}

async fn rolling(plan: Plan) -> Report {
    let mut nodes = vec![Run::node(plan.store)];
    if plan.store == Store::Postgres {
        nodes.push(beside(&nodes[0]));
    }
    let count = nodes.len();
    let mut run = Run::begin(plan, nodes).await;
    for turn in 0..plan.times {
        let node = turn % count;
        run.accept_more(20).await;
        run.go_on(0..300).await;
        run.server(node).signal("TERM").await;
        let status = run.server(node).wait().await;
        if !status.success() {
            run.violation(format!("SIGTERM ended with {status}"));
        }
        run.start(node).await;
    }
    let mut report = run.end().await;
    if report.unrecorded > 0 {
        report.violations.push(format!("D0: {} requests left no record", report.unrecorded));
    }
    report
}

/// The same database seen by one more node.
fn beside(node: &ServerOptions) -> ServerOptions {
    ServerOptions { database: node.database.clone(), binary: node.binary, ..ServerOptions::default() }
}

/// In seconds.
const HOUR: i64 = 3600;

/// Set while the program runs, it must change nothing; every third time the next process begins with it.
async fn clocks(plan: Plan) -> Report {
    let clock = WallClock::right();
    let node = ServerOptions { under: clock.under(), ..Run::node(plan.store) };
    let mut run = Run::begin(plan, vec![node]).await;
    run.allow(Allowances { clock_was_set: true, ..Allowances::default() });
    for turn in 0..plan.times {
        run.accept_more(100).await;
        clock.set([HOUR, 0, -HOUR, 0][turn % 4]);
        // It is read anew within a second.
        run.go_on(1_000..2_000).await;
        run.accept_more(100).await;
        if turn % 3 == 2 {
            run.kill(0).await;
            run.start(0).await;
        }
    }
    run.end().await
}

/// Each ends the process or its task whenever it is sent, until it is found out.
async fn poison(plan: Plan) -> Report {
    let mut run = begin(plan).await;
    run.allow(Allowances { panics: true, ..Allowances::default() });
    let hook = json!({"event_type": POISON_TYPE, "webhook_url": run.sink().url("/well"), "timeout_seconds": 2});
    run.server(0).post("/api/v1/webhooks/", hook).await;
    for kind in ["panic", "abort"] {
        let id = publish_poison(&mut run, kind).await;
        let mut is_found = false;
        for _ in 0..PATIENCE_WITH_POISON {
            supervise(&mut run).await;
            is_found = is_poison(run.server(0), &id).await;
            if is_found {
                break;
            }
        }
        supervise(&mut run).await;
        if !is_found {
            run.violation(format!("a payload that says {kind} was not found out"));
        }
    }
    let mut report = run.end().await;
    if let Some(bystanders) = report.ended.get("failed (poison)") {
        report.violations.push(format!("L0: {bystanders} bystanders ended as poison"));
    }
    report
}

/// What the poison is published as; nothing else is.
const POISON_TYPE: &str = "case.completed";
/// How often the process is looked after until the poison must have been found out.
const PATIENCE_WITH_POISON: usize = 300;

/// The answer may be lost with the process; then it is asked for again.
async fn publish_poison(run: &mut Run, kind: &str) -> String {
    let body = json!({"event_type": POISON_TYPE, "payload": {"fail_point": kind}, "idempotency_key": kind});
    loop {
        let server = run.server(0);
        let answer = server.try_request(server.key(), "POST", "/api/v1/events/", Some(body.clone())).await;
        match answer.ok().and_then(|answer| answer.body["id"].as_str().map(str::to_owned)) {
            Some(id) => return id,
            None => supervise(run).await,
        }
    }
}

/// Starts the node again if it has ended; looks for a while.
async fn supervise(run: &mut Run) {
    if run.ended(0, Duration::from_millis(500)).await {
        while !run.is_up(0) {
            run.start(0).await;
        }
    }
}

async fn is_poison(server: &Server, id: &str) -> bool {
    let path = format!("/api/v1/events/{id}/");
    let Ok(answer) = server.try_request(server.key(), "GET", &path, None).await else { return false };
    let delivery = &answer.body["deliveries"][0];
    delivery["status"] == "failed" && delivery["reason"] == "poison"
}

async fn full_disk(plan: Plan) -> Report {
    let node = Run::node(plan.store);
    let disk = SmallDisk::mount(node.folder.path(), 64).await.expect("root, to mount a small disk");
    let mut run = Run::begin(plan, vec![node]).await;
    for turn in 1..=plan.times {
        disk.fill_up().await;
        run.fault();
        run.go_on(1_000..2_000).await;
        run.fault();
        if turn % 2 == 0 {
            run.kill(0).await;
        }
        disk.resize(64 * u32::try_from(turn + 1).expect("few")).await;
        if !run.is_up(0) {
            run.start(0).await;
        }
        run.accept_more(200).await;
    }
    let report = run.end().await;
    disk.unmount().await;
    report
}

/// PostgreSQL refuses what needs room, and ends itself when its log does.
async fn full_disk_of_the_database(plan: Plan) -> Report {
    let (cluster, disk) = Cluster::on_small_disk(DATABASE_DISK).await;
    let mut run = Run::begin(plan, vec![on(&cluster)]).await;
    for turn in 1..=plan.times {
        run.accept_more(100).await;
        disk.fill_up().await;
        run.pass(Duration::from_secs(3)).await;
        run.fault();
        disk.resize(DATABASE_DISK * u32::try_from(turn + 1).expect("few")).await;
        // A recovery that ends for want of room is at its end then.
        run.go_on(1_000..1_500).await;
        if !cluster.is_running() {
            cluster.go_on();
        }
        run.accept_more(200).await;
    }
    let refused = cluster.log().matches("No space left on device").count();
    if refused < plan.times {
        run.violation(format!("the disk was full {refused} times only"));
    }
    let report = run.end().await;
    cluster.crash();
    disk.unmount().await;
    report
}

/// In megabytes: an empty database takes some 70, with its log.
const DATABASE_DISK: u32 = 160;

/// A node on a PostgreSQL server of its own.
fn on(cluster: &Cluster) -> ServerOptions {
    ServerOptions { database: Database::on(&cluster.url()), ..Run::node(Store::Sqlite) }
}

/// The same database by a way that can be cut.
fn by(proxy: &Proxy, cluster: &Cluster, node: &ServerOptions) -> ServerOptions {
    let Database::Postgres(url) = &node.database else { unreachable!("it is PostgreSQL") };
    let database = Database::Postgres(url.replace(&format!(":{}", cluster.port()), &format!(":{}", proxy.port())));
    ServerOptions { database, ..beside(node) }
}

async fn database_killed(plan: Plan) -> Report {
    let cluster = Cluster::start("");
    let mut run = Run::begin(plan, vec![on(&cluster)]).await;
    for turn in 0..plan.times {
        run.accept_more(100).await;
        run.go_on(0..300).await;
        run.fault();
        cluster.crash();
        // Every fifth time it is gone for long.
        let gone = if turn % 5 == 4 { 5_000..8_000 } else { 0..500 };
        run.go_on(gone).await;
        run.fault();
        cluster.go_on();
    }
    run.accept_more(100).await;
    run.end().await
}

async fn cut_off(plan: Plan) -> Report {
    let cluster = Cluster::start("");
    let proxy = Proxy::to(cluster.port()).await;
    let node = by(&proxy, &cluster, &on(&cluster));
    let mut run = Run::begin(plan, vec![node]).await;
    for turn in 0..plan.times {
        run.accept_more(100).await;
        run.fault();
        // Connections closed, and connections on which nothing comes any more.
        proxy.set(if turn % 2 == 0 { Way::Cut } else { Way::Silent });
        run.go_on(200..1_500).await;
        run.fault();
        if turn % 2 == 1 {
            close_all(&mut run, &proxy).await;
        }
        proxy.set(Way::Open);
    }
    run.accept_more(100).await;
    run.end().await
}

/// Ends the connections on which nothing came.
async fn close_all(run: &mut Run, proxy: &Proxy) {
    proxy.set(Way::Cut);
    run.go_on(50..200).await;
    run.fault();
}

async fn ambiguous(plan: Plan) -> Report {
    let cluster = Cluster::start("");
    let proxy = Proxy::to(cluster.port()).await;
    let node = by(&proxy, &cluster, &on(&cluster));
    let mut run = Run::begin(plan, vec![node]).await;
    for _ in 0..plan.times {
        run.accept_more(50).await;
        run.fault();
        proxy.set(Way::Unanswered);
        run.go_on(20..200).await;
        proxy.set(Way::Cut);
        run.go_on(0..100).await;
        run.fault();
        proxy.set(Way::Open);
    }
    run.accept_more(100).await;
    run.end().await
}

async fn used_up(plan: Plan) -> Report {
    let cluster = Cluster::start("-c max_connections=40 -c superuser_reserved_connections=1");
    let node = on(&cluster);
    let Database::Postgres(url) = node.database.clone() else { unreachable!("it is PostgreSQL") };
    let mut run = Run::begin(plan, vec![node]).await;
    for _ in 0..plan.times {
        run.accept_more(100).await;
        let mut people = PgConnection::connect(&url).await.expect("a connection");
        let terminate = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'postrider'";
        run.fault();
        people.execute(terminate).await.expect("terminated");
        let mut taken = Vec::new();
        while let Ok(connection) = PgConnection::connect(&url).await {
            taken.push(connection);
        }
        run.go_on(500..2_000).await;
        run.fault();
        drop(taken);
    }
    run.accept_more(100).await;
    run.end().await
}

async fn two_nodes(plan: Plan) -> Report {
    let node = Run::node(plan.store);
    let nodes = vec![node.clone(), beside(&node)];
    let mut run = Run::begin(plan, nodes).await;
    for turn in 0..plan.times {
        run.accept_more(20).await;
        run.go_on(0..400).await;
        run.kill(turn % 2).await;
        run.go_on(0..300).await;
        run.start(turn % 2).await;
    }
    run.end().await
}

async fn partitioned(plan: Plan) -> Report {
    let cluster = Cluster::start("");
    let proxy = Proxy::to(cluster.port()).await;
    let well = on(&cluster);
    let nodes = vec![well.clone(), by(&proxy, &cluster, &well)];
    let mut run = Run::begin(plan, nodes).await;
    run.allow(Allowances { may_overlap: true, ..Allowances::default() });
    for _ in 0..plan.times {
        run.accept_more(100).await;
        run.fault();
        proxy.set(Way::Silent);
        run.pass(PAST_LEASES).await;
        run.fault();
        close_all(&mut run, &proxy).await;
        proxy.set(Way::Open);
    }
    run.accept_more(100).await;
    run.end().await
}

/// The subscriptions' timeout, the margin of a lease, and some.
const PAST_LEASES: Duration = Duration::from_secs(20);

async fn stopped(plan: Plan) -> Report {
    let node = Run::node(plan.store);
    let nodes = vec![node.clone(), beside(&node)];
    let mut run = Run::begin(plan, nodes).await;
    run.allow(Allowances { may_overlap: true, ..Allowances::default() });
    for _ in 0..plan.times {
        run.accept_more(100).await;
        run.fault();
        run.server(1).signal("STOP").await;
        run.pass(PAST_LEASES).await;
        run.fault();
        run.server(1).signal("CONT").await;
    }
    run.accept_more(100).await;
    run.end().await
}
