//! Leases of who is gone.

use super::query::readable;
use super::{Dialect, Query};
use crate::error::Result;
use crate::statistics::Node;

/// Frees the leases of a node that is known to be gone.
pub(crate) async fn free_leases<DB: Dialect>(db: &mut DB::Connection, node: i64) -> Result<u64> {
    let sql = "update deliveries set lease_until = 0 where state = 0 and lease_until > 0 and node = $1";
    Query::<DB>::new(sql).bind(node).run(db).await
}

/// The processes that serve.
pub(super) async fn nodes<DB: Dialect>(db: &mut DB::Connection) -> Result<Vec<Node>> {
    let rows = Query::<DB>::new("select number, started_at from nodes order by number").rows(db).await?;
    Ok(readable("nodes", &rows, |row| Ok(Node { number: row.get(0)?, started_at: row.time(1)? })))
}
