//! Leases of who is gone.

use super::query::readable;
use super::{Dialect, Query};
use crate::db::Connection;
use crate::error::Result;
use crate::statistics::Node;

/// Frees the leases of a node that is known to be gone.
pub(crate) async fn free_leases<DB: Dialect>(db: &mut Connection<DB>, node: i64) -> Result<u64> {
    let sql = "update deliveries set lease_until = 0 where state = 0 and lease_until > 0 and node = $1";
    Query::<DB>::new(sql).bind(node).run(db).await
}

/// The processes that serve.
pub(super) async fn nodes<DB: Dialect>(db: &mut Connection<DB>) -> Result<Vec<Node>> {
    let rows = Query::<DB>::new("select number, started_at from cluster_nodes order by number").rows(db).await?;
    Ok(readable("cluster_nodes", &rows, |row| Ok(Node { number: row.get(0)?, started_at: row.time(1)? })))
}
