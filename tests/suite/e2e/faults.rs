//! The short form of `make faults`: each fault a few times, under load. Real time, as faults are.

use postrider_tests::faults::{Plan, SCENARIOS, Store};
use rstest::rstest;

async fn run(name: &str, store: Store, times: usize) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario");
    let report = scenario.run(Plan { store, times, seed: 1 }).await;
    assert!(report.accepted > 100, "too few events prove nothing: {report:?}");
    assert_eq!(report.violations, Vec::<String>::new(), "{report:?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn killed(#[values(Store::Sqlite, Store::Postgres)] store: Store) {
    run("kill -9 at random", store, 4).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn aborted_at_each_fail_point(#[values(Store::Sqlite, Store::Postgres)] store: Store) {
    run("abort at each fail point", store, 1).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_moments_on_the_wire(#[values(Store::Sqlite, Store::Postgres)] store: Store) {
    run("kill -9 at moments on the wire", store, 1).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_wall_clock_set_by_an_hour(#[values(Store::Sqlite, Store::Postgres)] store: Store) {
    run("the wall clock set by an hour", store, 3).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn ended_in_turns(#[values(Store::Sqlite, Store::Postgres)] store: Store) {
    run("rolling SIGTERM", store, 4).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn payloads_that_panic_and_abort(#[values(Store::Sqlite, Store::Postgres)] store: Store) {
    run("payloads that panic and abort", store, 1).await;
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
    run(name, Store::Postgres, times).await;
}
