//! `postrider backup`.

use crate::cli::{BackupArgs, ServeOptions};
use crate::config::Settings;

/// Copies the database, and says how large the copy is.
pub(crate) async fn run(args: BackupArgs) -> Result<(), String> {
    let options = ServeOptions { store: args.store, ..ServeOptions::default() };
    let settings = Settings::load(&options).map_err(|error| error.to_string())?;
    postrider_store::backup(&settings.database.url, &args.to).await.map_err(|error| error.to_string())?;
    let bytes = std::fs::metadata(&args.to).map_err(|error| error.to_string())?.len();
    say!("{} is a copy of {}: {bytes} bytes, checked.", args.to.display(), settings.database.url);
    Ok(())
}
