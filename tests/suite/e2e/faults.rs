//! The short form of `make faults`: each fault once or a few times, under a light load. Real time, as faults are. The same
//! at full load is in `long/faults.rs`.

use postrider_tests::faults::{Load, Plan, SCENARIOS, Store};
use postrider_tests::in_a_network_of_its_own;
use rstest::rstest;

/// Runs a scenario and expects that what must hold did.
pub(crate) async fn run(name: &str, plan: Plan) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario");
    assert!(scenario.stores.contains(&plan.store), "{name} is not for {}", plan.store);
    let report = scenario.run(plan).await;
    assert!(report.accepted > 100, "too few events prove nothing: {report:?}");
    assert_eq!(report.violations, Vec::<String>::new(), "{report:?}");
}

#[rstest]
#[case("kill -9 at random", 3)]
#[case("abort at each fail point", 1)]
#[case("kill -9 at moments on the wire", 1)]
#[case("the wall clock set by an hour", 3)]
#[case("rolling SIGTERM", 2)]
#[case("payloads that panic and abort", 1)]
#[tokio::test(flavor = "multi_thread")]
async fn on_each_database(
    #[case] name: &str,
    #[case] times: usize,
    #[values(Store::Sqlite, Store::Postgres)] store: Store,
) {
    run(name, Plan { store, times, load: Load::Light, seed: 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    run("disk full, then kill -9", Plan { store: Store::Sqlite, times: 1, load: Load::Light, seed: 1 }).await;
}

#[rstest]
#[case("PostgreSQL's disk full", 1)]
#[case("PostgreSQL killed", 2)]
#[case("PostgreSQL cut off", 2)]
#[case("ambiguous commits", 3)]
#[case("PostgreSQL's connections used up", 1)]
#[case("two nodes, kill -9 in turns", 3)]
#[case("two nodes, one cut off past its leases", 1)]
#[case("two nodes, one stopped past its leases", 1)]
#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql(#[case] name: &str, #[case] times: usize) {
    run(name, Plan { store: Store::Postgres, times, load: Load::Light, seed: 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_switch() {
    fail_over("e2e::faults::a_clean_switch", "fail-over: a clean switch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_becomes_a_reader() {
    fail_over("e2e::faults::a_primary_that_becomes_a_reader", "fail-over: the primary becomes a reader").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_vanishes() {
    fail_over("e2e::faults::a_primary_that_vanishes", "fail-over: the primary vanishes").await;
}

/// In a network of its own, by the full name of the test.
async fn fail_over(test: &str, name: &str) {
    if in_a_network_of_its_own(test) {
        run(name, Plan { store: Store::Postgres, times: 1, load: Load::Light, seed: 1 }).await;
    }
}

#[test]
fn every_scenario_has_a_short_form() {
    let here = include_str!("faults.rs");
    for scenario in SCENARIOS {
        assert!(here.contains(&format!("\"{}\"", scenario.name)), "{}", scenario.name);
    }
}
