//! `postrider move`.

use postrider_store::MovedTable;
use serde_json::json;

use super::settings_of;
use crate::cli::{MoveArgs, StoreArgs};

/// Moves everything, and shows counts and checksums.
pub(crate) async fn run(args: MoveArgs) -> Result<(), String> {
    let tell = |table: &MovedTable| {
        if !args.json {
            say!("{:<20} {:>10} rows  {}", table.name, table.rows, &table.checksum[..16]);
        }
    };
    let settings = settings_of(&StoreArgs::default())?;
    let (from, to) = args.databases();
    let moved = postrider_store::move_to_postgres(&from, &to, settings.database.durability, tell).await;
    let moved = moved.map_err(|error| error.to_string())?;
    if args.json {
        let tables: Vec<_> = moved
            .iter()
            .map(|table| json!({"name": table.name, "rows": table.rows, "checksum": table.checksum}))
            .collect();
        say!("{}", json!({"tables": tables}));
    } else {
        say!("Everything is in {to}, the same as it was. Serve that with the same master key.");
    }
    Ok(())
}
