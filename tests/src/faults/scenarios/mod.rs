//! What can go wrong, each as a run.

mod clocks;
mod database;
mod disk;
mod fail_over;
mod nodes;
mod poison;
mod process;

use std::future::Future;
use std::pin::Pin;

use super::run::{Report, Run, Store};
use crate::{Cluster, Database, Proxy, ServerOptions, Way};
use fail_over::Loss;

/// How much of it, and by what chance.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// On which database.
    pub store: Store,
    /// How often it goes wrong, where that is a number.
    pub times: usize,
    /// How much is published meanwhile.
    pub load: Load,
    /// Of the chance.
    pub seed: u64,
}

/// How much is published during a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// As much as the program accepts, and a wide event now and then.
    Full,
    /// A hundred events a second, and wide ones where a scenario needs them: several runs fit on a small machine at once.
    Light,
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
    /// Whether it needs a network of its own.
    #[must_use]
    pub fn needs_a_network(&self) -> bool {
        self.name.starts_with("fail-over")
    }

    /// Runs it once.
    pub async fn run(&self, plan: Plan) -> Report {
        Report { scenario: self.name, ..(self.run)(plan).await }
    }
}

const BOTH: &[Store] = &[Store::Sqlite, Store::Postgres];
const SQLITE: &[Store] = &[Store::Sqlite];
const POSTGRES: &[Store] = &[Store::Postgres];

/// All there are.
pub const SCENARIOS: [Scenario; 18] = [
    Scenario {
        name: "kill -9 at random",
        stores: BOTH,
        runs: 5,
        times: 30,
        run: |plan| Box::pin(process::kills(plan)),
    },
    Scenario {
        name: "abort at each fail point",
        stores: BOTH,
        runs: 2,
        times: 1,
        run: |plan| Box::pin(process::points(plan)),
    },
    Scenario {
        name: "kill -9 at moments on the wire",
        stores: BOTH,
        runs: 1,
        times: 5,
        run: |plan| Box::pin(process::moments(plan)),
    },
    Scenario {
        name: "rolling SIGTERM",
        stores: BOTH,
        runs: 1,
        times: 20,
        run: |plan| Box::pin(process::rolling(plan)),
    },
    Scenario {
        name: "the wall clock set by an hour",
        stores: BOTH,
        runs: 1,
        times: 12,
        run: |plan| Box::pin(clocks::clocks(plan)),
    },
    Scenario {
        name: "payloads that panic and abort",
        stores: BOTH,
        runs: 1,
        times: 1,
        run: |plan| Box::pin(poison::poison(plan)),
    },
    Scenario {
        name: "disk full, then kill -9",
        stores: SQLITE,
        runs: 1,
        times: 4,
        run: |plan| Box::pin(disk::full_disk(plan)),
    },
    Scenario {
        name: "PostgreSQL's disk full",
        stores: POSTGRES,
        runs: 1,
        times: 4,
        run: |plan| Box::pin(disk::full_disk_of_the_database(plan)),
    },
    Scenario {
        name: "PostgreSQL killed",
        stores: POSTGRES,
        runs: 1,
        times: 10,
        run: |plan| Box::pin(database::database_killed(plan)),
    },
    Scenario {
        name: "PostgreSQL cut off",
        stores: POSTGRES,
        runs: 1,
        times: 10,
        run: |plan| Box::pin(database::cut_off(plan)),
    },
    Scenario {
        name: "ambiguous commits",
        stores: POSTGRES,
        runs: 1,
        times: 20,
        run: |plan| Box::pin(database::ambiguous(plan)),
    },
    Scenario {
        name: "PostgreSQL's connections used up",
        stores: POSTGRES,
        runs: 1,
        times: 5,
        run: |plan| Box::pin(database::used_up(plan)),
    },
    Scenario {
        name: "two nodes, kill -9 in turns",
        stores: POSTGRES,
        runs: 1,
        times: 30,
        run: |plan| Box::pin(nodes::two_nodes(plan)),
    },
    Scenario {
        name: "two nodes, one cut off past its leases",
        stores: POSTGRES,
        runs: 1,
        times: 2,
        run: |plan| Box::pin(nodes::partitioned(plan)),
    },
    Scenario {
        name: "two nodes, one stopped past its leases",
        stores: POSTGRES,
        runs: 1,
        times: 2,
        run: |plan| Box::pin(nodes::stopped(plan)),
    },
    Scenario {
        name: "fail-over: a clean switch",
        stores: POSTGRES,
        runs: 1,
        times: 4,
        run: |plan| Box::pin(fail_over::fail_over(plan, Loss::Clean)),
    },
    Scenario {
        name: "fail-over: the primary becomes a reader",
        stores: POSTGRES,
        runs: 1,
        times: 4,
        run: |plan| Box::pin(fail_over::fail_over(plan, Loss::Reader)),
    },
    Scenario {
        name: "fail-over: the primary vanishes",
        stores: POSTGRES,
        runs: 1,
        times: 4,
        run: |plan| Box::pin(fail_over::fail_over(plan, Loss::Silent)),
    },
];

async fn begin(plan: Plan) -> Run {
    Run::begin(plan, vec![Run::node(plan.store)]).await
}

/// The same database seen by one more node.
fn beside(node: &ServerOptions) -> ServerOptions {
    ServerOptions { database: node.database.clone(), binary: node.binary, ..ServerOptions::default() }
}

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

/// Ends the connections on which nothing came.
async fn close_all(run: &mut Run, proxy: &Proxy) {
    proxy.set(Way::Cut);
    run.go_on(50..200).await;
    run.fault();
}
