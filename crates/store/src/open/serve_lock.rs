//! The proof that nobody else serves the same SQLite file.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// Held while a process serves; the operating system lets go of it when the process ends, however.
#[derive(Debug)]
pub(crate) struct ServeLock {
    _file: File,
}

impl ServeLock {
    /// Takes the lock beside the database file.
    ///
    /// # Errors
    /// A message for people if another process serves, or the file cannot be made.
    pub(crate) fn take(database: &Path) -> Result<Self, String> {
        let path = lock_path(database);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| format!("cannot open the lock file {}: {error}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(format!("another process serves {}; stop it first", database.display()))
            }
            Err(std::fs::TryLockError::Error(error)) => Err(format!("cannot lock {}: {error}", path.display())),
        }
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}
