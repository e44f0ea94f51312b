//! What can go wrong in the store, in its callers' words.

use postrider_core::vault::VaultError;

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is locked, full, unreachable or too busy. Worth trying again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The database refused the data itself. Trying again will not help.
    #[error("the store refused the data: {0}")]
    Refused(String),
    /// A row says what it never should.
    #[error("a stored row is damaged: {0}")]
    Damaged(&'static str),
    /// A stored secret cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database cannot be used at all.
    #[error("{0}")]
    Unusable(String),
}

/// The store's result.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

impl StoreError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Primary result codes of SQLite (<https://sqlite.org/rescode.html>) that pass: BUSY, LOCKED,
/// NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN.
const PASSING_SQLITE_CODES: [i32; 8] = [5, 6, 7, 8, 9, 10, 13, 14];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(0);
                if PASSING_SQLITE_CODES.contains(&(code & 0xff)) {
                    Self::Unavailable(error.to_string())
                } else {
                    Self::Refused(error.to_string())
                }
            }
            sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                tracing::error!(%error, "a stored value has the wrong type");
                Self::Damaged("a value has the wrong type")
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
