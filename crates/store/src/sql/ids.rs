//! Lists of ids as tables in a statement.
//!
//! Rows whose key is the tenant and an id are looked up by both, from a list of both: a planner that knows nothing of a table, as
//! PostgreSQL's of one that was just made, would rather go through all that the tenant has than look each id up.

use postrider_core::TenantId;
use uuid::Uuid;

use super::Dialect;
use super::dialect::{Cells, Kind, RowSet, Schema};

/// One column, `id`.
pub(super) const IDS: Schema = &[("id", Kind::Uuid)];

/// A tenant and an id of its own.
pub(super) const KEYS: Schema = &[("tenant_id", Kind::Uuid), ("id", Kind::Uuid)];

/// A row for each id of a tenant, in their order.
pub(super) fn key_rows<DB: Dialect>(tenant_id: TenantId, ids: impl Iterator<Item = Uuid>) -> DB::Rows {
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    let mut rows = DB::Rows::new(KEYS);
    for id in ids {
        rows.uuid(Some(tenant_id.uuid()));
        rows.uuid(Some(id));
        rows.end_row();
    }
    rows
}

/// A row for each id.
pub(super) fn id_rows<DB: Dialect>(ids: impl Iterator<Item = Uuid>) -> DB::Rows {
    let mut rows = DB::Rows::new(IDS);
    for id in ids {
        rows.uuid(Some(id));
        rows.end_row();
    }
    rows
}
