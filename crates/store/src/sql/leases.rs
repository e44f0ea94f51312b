//! Leases of who is gone.

use super::{Dialect, Query};
use crate::error::Result;

/// Frees the leases of a node that is known to be gone.
pub(crate) async fn free_leases<DB: Dialect>(db: &mut DB::Connection, node: i64) -> Result<u64> {
    let sql = "update deliveries set lease_until = 0 where state = 0 and lease_until > 0 and node = $1";
    Query::<DB>::new(sql).bind(node).run(db).await
}
