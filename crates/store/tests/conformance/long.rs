//! What takes long: `make test-long` runs it. Every statement is seen by both databases: what only one of them can prepare
//! is found here, and not in production.

use std::collections::BTreeSet;
use std::path::Path;

use postrider_store::statement_places;

use crate::fixture::Database;
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
