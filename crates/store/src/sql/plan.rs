//! How SQLite would go about a statement, for tests that read it.

use rusqlite::Connection;

use super::open_pool;
use crate::db::{Schema, migrate};

/// The steps of its plan, on a database with nothing in it.
///
/// # Panics
/// If it is no statement of the schema.
pub(crate) async fn plan_of(sql: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("test.db");
    migrate::sqlite(&open_pool(&path, 1, false), &path, Schema::Migrate, true).await.expect("migrates");
    let connection = Connection::open(&path).expect("opens");
    let mut explain = connection.prepare(&format!("explain query plan {sql}")).expect("prepares");
    let mut steps = explain.raw_query();
    let mut plan = Vec::new();
    while let Some(step) = steps.next().expect("explains") {
        plan.push(step.get("detail").expect("text"));
    }
    plan
}
