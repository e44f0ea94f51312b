//! What can go wrong in the store, in its callers' words.

use postrider_core::vault::VaultError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::measure;

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is locked, full, unreachable or too busy. Worth trying again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Another transaction was in the way. The same again will do.
    #[error("the store is busy: {0}")]
    Contended(String),
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
        matches!(self, Self::Unavailable(_) | Self::Contended(_))
    }

    /// Whether it is of what a row says: the rest can go on without it.
    #[must_use]
    pub const fn is_of_a_row(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Vault(_))
    }

    /// The same for somebody else who waited for it too.
    pub(crate) fn copy(&self) -> Self {
        match self {
            Self::Unavailable(why) | Self::Contended(why) => Self::Unavailable(why.clone()),
            other => Self::Refused(other.to_string()),
        }
    }
}

/// Primary result codes of SQLite (<https://sqlite.org/rescode.html>) that pass: BUSY, LOCKED,
/// NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN.
const PASSING_SQLITE_CODES: [i32; 8] = [5, 6, 7, 8, 9, 10, 13, 14];

/// Classes and codes of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>)
/// that pass: lost connections, too few resources (a full disk too), shut-downs and time limits,
/// failing disks, a lock not had in time, and a server that only reads, as after a fail-over; and prepared statements that are
/// gone or another's: the connection is given up, and the next has its own.
const PASSING_SQLSTATES: [&str; 8] = ["08", "53", "57", "58", "55P03", ONLY_READS, "26000", "42P05"];

/// The SQLSTATE of a server that only reads.
pub(crate) const ONLY_READS: &str = "25006";

/// Two transactions met, and one gave way: a serialization failure, a deadlock.
const CONTENDED_SQLSTATES: [&str; 2] = ["40001", "40P01"];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let error = Self::of(&error);
        measure::failed(&error);
        error
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let error = Self::of_sqlite(&error);
        measure::failed(&error);
        error
    }
}

impl StoreError {
    fn of_sqlite(error: &rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..) => {
                tracing::error!(%error, "a stored value has the wrong type");
                Self::Damaged("a value has the wrong type")
            }
            other if other.sqlite_error().is_none_or(|failure| passes_on_sqlite(failure.extended_code)) => {
                Self::Unavailable(other.to_string())
            }
            other => Self::Refused(other.to_string()),
        }
    }

    fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                let on_postgres = database.try_downcast_ref::<PgDatabaseError>();
                if on_postgres.is_some() && CONTENDED_SQLSTATES.contains(&&*code) {
                    Self::Contended(error.to_string())
                } else if on_postgres.is_some_and(is_end_of_session) || passes(&code, on_postgres.is_some()) {
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

/// Whether the server ended the connection, or refused one: that says nothing of what was asked.
pub(crate) fn is_end_of_session(error: &PgDatabaseError) -> bool {
    matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)
}

fn passes(code: &str, is_sqlstate: bool) -> bool {
    if is_sqlstate {
        return PASSING_SQLSTATES.iter().any(|passing| code.starts_with(passing));
    }
    passes_on_sqlite(code.parse().unwrap_or(0))
}

/// An extended code holds its primary one in its low byte.
fn passes_on_sqlite(code: i32) -> bool {
    PASSING_SQLITE_CODES.contains(&(code & 0xff))
}
