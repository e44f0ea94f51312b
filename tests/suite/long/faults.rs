//! Faults at full load, a few of each; `make faults` runs hundreds.

use postrider_tests::faults::{Load, Plan, Store};
use rstest::rstest;

use crate::e2e::faults::run;

#[rstest]
#[case("kill -9 at random", 4)]
#[case("abort at each fail point", 1)]
#[case("kill -9 at moments on the wire", 1)]
#[case("the wall clock set by an hour", 3)]
#[case("rolling SIGTERM", 4)]
#[case("payloads that panic and abort", 1)]
#[tokio::test(flavor = "multi_thread")]
async fn on_each_database(
    #[case] name: &str,
    #[case] times: usize,
    #[values(Store::Sqlite, Store::Postgres)] store: Store,
) {
    run(name, Plan { store, times, load: Load::Full, seed: 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    run("disk full, then kill -9", Plan { store: Store::Sqlite, times: 2, load: Load::Full, seed: 1 }).await;
}

#[rstest]
#[case("PostgreSQL's disk full", 1)]
#[case("PostgreSQL killed", 2)]
#[case("PostgreSQL cut off", 2)]
#[case("ambiguous commits", 4)]
#[case("PostgreSQL's connections used up", 1)]
#[case("two nodes, kill -9 in turns", 4)]
#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql(#[case] name: &str, #[case] times: usize) {
    run(name, Plan { store: Store::Postgres, times, load: Load::Full, seed: 1 }).await;
}
