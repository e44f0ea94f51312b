//! How far a list is searched for one page, where no index leads to what is searched for.

use postrider_core::Timestamp;
use postrider_core::id::uuid_v7;
use uuid::Uuid;

use super::Dialect;
use super::conditions::Conditions;
use crate::db::Connection;
use crate::error::Result;

/// Rows looked at for one page: some tens of milliseconds, whatever is searched for.
const ROWS: i64 = 10_000;

/// The first row that is not looked at, of those that the conditions let pass; `None` if all are.
pub(super) async fn floor<DB: Dialect>(
    db: &mut Connection<DB>,
    conditions: Conditions<DB>,
    table: &str,
) -> Result<Option<Uuid>> {
    let query = conditions.query(&format!("select id from {table}"), "order by id desc limit 1 offset {limit}", ROWS);
    query.row(db).await?.map(|row| row.get(0)).transpose()
}

/// No id made at or after `at` is smaller.
pub(super) fn first_id_at(at: Timestamp) -> Uuid {
    uuid_v7(at, [0; 10])
}
