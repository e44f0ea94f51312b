//! Lists of ids as tables in a statement.

use uuid::Uuid;

use super::Dialect;
use super::dialect::{Cells, Kind, RowSet, Schema};

/// One column, `id`.
pub(super) const IDS: Schema = &[("id", Kind::Uuid)];

/// A row for each id.
pub(super) fn id_rows<DB: Dialect>(ids: impl Iterator<Item = Uuid>) -> DB::Rows {
    let mut rows = DB::Rows::new(IDS);
    for id in ids {
        rows.uuid(Some(id));
        rows.end_row();
    }
    rows
}
