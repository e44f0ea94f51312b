//! What takes long: `make test-long` runs it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use postrider_core::lifecycle::Decision;
use postrider_store::{Retention, SettingsChange, statement_places};

use crate::fixture::{Database, Fixture};
use crate::run_all;

/// Run by tests of the whole program: of moves, and of several nodes, which find each other gone; and by tests of
/// SQLite's file.
const ELSEWHERE: [&str; 3] = ["moving.rs", "leases.rs", "set_back.rs"];
/// Only what is shared changes behind one's back, or is claimed by others.
const ONLY_POSTGRES: [&str; 2] = ["versions.rs", "claim_shared.rs"];

/// File and line of each place where a statement is made.
fn written() -> BTreeSet<(String, u32)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sql");
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("a folder") {
        let path = file.expect("a file").path();
        if path.is_dir() {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        if ELSEWHERE.contains(&name.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        for (line, text) in (1..).zip(text.lines()) {
            if text.contains("Query::<DB>::new(") || text.contains("Query::<DB>::assembled(") {
                found.insert((name.clone(), line));
            }
        }
    }
    found
}

fn seen() -> BTreeSet<(String, u32)> {
    let name = |file: &str| file.rsplit('/').next().unwrap_or_default().to_owned();
    statement_places().into_iter().map(|(file, line)| (name(file), line)).collect()
}

/// What only one of the databases can prepare is found here, and not in production.
#[tokio::test]
async fn every_statement_runs_on_both_databases() {
    let written = written();
    assert!(written.len() > 50, "they are found: {}", written.len());
    run_all(async || Database::sqlite()).await;
    let seen_by_sqlite = seen();
    let unseen = written.difference(&seen_by_sqlite).filter(|(file, _)| !ONLY_POSTGRES.contains(&file.as_str()));
    assert_eq!(unseen.collect::<Vec<_>>(), Vec::<&(String, u32)>::new(), "not run on SQLite");
    run_all(Database::postgres).await;
    let unseen: Vec<_> = written.difference(&seen()).cloned().collect();
    assert_eq!(unseen, [], "not run on PostgreSQL");
}

/// Copies the only delivery so often; `RANDOM_ID` stands for a new id.
fn copies(count: u32) -> String {
    format!(
        "with recursive n(n) as (select 1 union all select n + 1 from n where n < {count})
         insert into deliveries (tenant_id, id, event_id, target_kind, target_id, profile, lane, state, due_at,
             lease_until, claim, node, strikes, tries, attempts, created_at, opened_at, opened_version, settled_at)
         select tenant_id, RANDOM_ID, event_id, 1, RANDOM_ID, profile, lane, state, due_at, 0, claim, node, 0, tries,
             attempts, created_at, opened_at, opened_version, settled_at from deliveries cross join n"
    )
}

/// A database so slow that a page of the usual size does not end within the limit of a statement.
#[tokio::test]
async fn retention_reaches_zero_though_its_pages_do_not_end_in_time() {
    let mut f = Fixture::on(Database::postgres().await).await;
    f.subscribe("https://a.example/hook").await;
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, Decision::Delivered, Some(f.answered(200))).await;
    f.change(&copies(1_200)).await;
    f.change("update events set delivery_count = 1201").await;
    f.change(
        "create function slowly() returns trigger language plpgsql as
         $$ begin perform pg_sleep(0.03); return old; end $$",
    )
    .await;
    f.change("create trigger slow before delete on deliveries for each row execute function slowly()").await;
    f.clock.advance(Duration::from_secs(25 * 60 * 60));
    let hour = Duration::from_secs(60 * 60);
    let retention = Retention { payloads: hour, deliveries: hour, statistics: hour };
    let begun = Instant::now();
    while f.stores.queue.prune(retention).await.expect("pruned") {
        assert!(begun.elapsed() < Duration::from_secs(240), "it gets on");
    }
    assert_eq!(f.number("select cast(count(*) as text) from deliveries").await, 0);
    assert_eq!(f.number("select cast(count(*) as text) from events").await, 0);
}

/// More than a call discards before it answers: the rest goes afterwards, at 10,000 a second or more.
async fn a_backlog_is_discarded(f: Fixture) {
    const MANY: u32 = 80_000;
    let subscription = f.subscribe("https://a.example/hook").await;
    f.publish().await;
    f.change(&copies(MANY)).await;
    f.change("update deliveries set event_id = RANDOM_ID, target_kind = 0, lease_until = 0").await;
    let to_one = "update deliveries set target_id = (select id from subscriptions)";
    f.change(to_one).await;
    let off = SettingsChange { is_active: Some(false), ..SettingsChange::default() };
    f.stores.catalogue.update_subscription(f.tenant, subscription.id, off).await.expect("changed");
    let left = f.stores.journal.left_to_discard(f.tenant, subscription.id).await.expect("counted");
    assert!((1..=30_001).contains(&left), "so many before the answer: {left} are left");
    let begun = Instant::now();
    while f.stores.queue.do_bulk_work().await.expect("done") {}
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(f.stores.journal.left_to_discard(f.tenant, subscription.id).await.expect("counted"), 0);
    assert_eq!(f.number("select cast(count(*) as text) from deliveries where state = 0").await, 0);
    #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
    let rate = left as f64 / took;
    assert!(rate >= 10_000.0, "{rate:.0} a second");
}

#[tokio::test]
async fn a_backlog_is_discarded_on_sqlite() {
    a_backlog_is_discarded(Fixture::on(Database::sqlite()).await).await;
}

#[tokio::test]
async fn a_backlog_is_discarded_on_postgresql() {
    a_backlog_is_discarded(Fixture::on(Database::postgres().await).await).await;
}
