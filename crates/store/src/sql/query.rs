//! One statement with its values, for either database.

use postrider_core::Timestamp;
use postrider_core::cursor::Page;
use serde::de::DeserializeOwned;
use sqlx::error::BoxDynError;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use uuid::Uuid;

use super::dialect::{Dialect, Field, RowSet};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::measure;

/// A statement being put together.
pub(crate) struct Query<DB: Dialect> {
    sql: SqlStr,
    arguments: DB::Arguments,
    broken: Option<BoxDynError>,
}

impl<DB: Dialect> Query<DB> {
    /// A statement of fixed text.
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn new(sql: &'static str) -> Self {
        #[cfg(debug_assertions)]
        places::note(std::panic::Location::caller());
        Self { sql: sql.into_sql_str(), arguments: DB::Arguments::default(), broken: None }
    }

    /// A statement put together from fixed parts: values are bound, never written into it.
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn assembled(sql: String) -> Self {
        #[cfg(debug_assertions)]
        places::note(std::panic::Location::caller());
        Self { sql: AssertSqlSafe(sql).into_sql_str(), arguments: DB::Arguments::default(), broken: None }
    }

    pub(crate) fn bind<T: Field>(mut self, value: T) -> Self {
        let bound = DB::bind(&mut self.arguments, value);
        self.broken = self.broken.or(bound.err());
        self
    }

    pub(crate) fn bind_rows(mut self, rows: DB::Rows) -> Self {
        let bound = rows.bind(&mut self.arguments);
        self.broken = self.broken.or(bound.err());
        self
    }

    pub(crate) fn id(self, id: Uuid) -> Self {
        self.bind(id)
    }

    pub(crate) fn time(self, at: Timestamp) -> Self {
        self.bind(at.as_micros())
    }

    fn ready(self) -> Result<(SqlStr, DB::Arguments)> {
        match self.broken {
            Some(error) => Err(sqlx::Error::Encode(error).into()),
            None => Ok((self.sql, self.arguments)),
        }
    }

    /// Runs it and counts the rows it changed.
    pub(crate) async fn run(self, connection: &mut Connection<DB>) -> Result<u64> {
        let (sql, arguments) = self.ready()?;
        connection.run(sql, arguments).await
    }

    /// All its rows.
    pub(crate) async fn rows(self, connection: &mut Connection<DB>) -> Result<Vec<Row<DB>>> {
        let (sql, arguments) = self.ready()?;
        Ok(connection.fetch(sql, arguments).await?.into_iter().map(Row).collect())
    }

    /// All rows of a select of [`Dialect::packed`], in no order; `what` they are. Of one that cannot be read, what `damaged`
    /// makes of its first column.
    pub(crate) async fn packed<T: DeserializeOwned>(
        self,
        connection: &mut Connection<DB>,
        what: &'static str,
        damaged: impl Fn(i64) -> T,
    ) -> Result<Vec<T>> {
        let packed: String = self.row(connection).await?.ok_or(StoreError::Damaged(what))?.get(0)?;
        if let Ok(rows) = serde_json::from_str(&packed) {
            return Ok(rows);
        }
        let rows: Vec<serde_json::Value> = serde_json::from_str(&packed).map_err(|_| StoreError::Damaged(what))?;
        let read = |row: serde_json::Value| {
            let first = row.get(0).and_then(serde_json::Value::as_i64);
            serde_json::from_value(row).ok().or_else(|| first.map(&damaged))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Its first row.
    pub(crate) async fn row(self, connection: &mut Connection<DB>) -> Result<Option<Row<DB>>> {
        Ok(self.rows(connection).await?.into_iter().next())
    }
}

/// A row that was read; columns by position.
pub(crate) struct Row<DB: Dialect>(pub(crate) DB::Row);

impl<DB: Dialect> Row<DB> {
    /// What its first column says, for the log.
    fn name(&self) -> String {
        let id = DB::get::<Uuid>(&self.0, 0).map(|id| id.to_string());
        let number = || DB::get::<i64>(&self.0, 0).map(|number| number.to_string());
        let text = || DB::get::<String>(&self.0, 0);
        id.or_else(|_| number()).or_else(|_| text()).unwrap_or_else(|_| "without a name".to_owned())
    }

    pub(crate) fn get<T: Field>(&self, column: usize) -> Result<T> {
        Ok(DB::get(&self.0, column)?)
    }

    pub(crate) fn id<T: From<Uuid>>(&self, column: usize) -> Result<T> {
        self.get::<Uuid>(column).map(T::from)
    }

    pub(crate) fn time(&self, column: usize) -> Result<Timestamp> {
        self.get(column).map(Timestamp::from_micros)
    }

    pub(crate) fn maybe_time(&self, column: usize) -> Result<Option<Timestamp>> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp::from_micros))
    }

    /// A value that was written by this program and must be readable by it.
    pub(crate) fn parsed<T>(&self, column: usize, what: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T> {
        read(&self.get::<String>(column)?).ok_or(StoreError::Damaged(what))
    }
}

/// Rows that lists read beyond their page: so many of it may be unreadable, and it is full all the same.
pub(crate) const SPARE: i64 = 8;

/// What rows say, of the table that they stand for; those that cannot be read are left out, named in the log and counted, so
/// that they are in nobody's way.
pub(crate) fn readable<DB: Dialect, T>(
    table: &'static str,
    rows: &[Row<DB>],
    read: impl Fn(&Row<DB>) -> Result<T>,
) -> Vec<T> {
    rows.iter().filter_map(|row| note_unreadable(table, row, read(row))).collect()
}

/// The same of one row.
pub(crate) fn note_unreadable<DB: Dialect, T>(table: &'static str, row: &Row<DB>, read: Result<T>) -> Option<T> {
    if let Err(error) = &read {
        measure::damaged(table);
        tracing::error!(table, row = %row.name(), %error, "a row cannot be read and is left out");
    }
    read.ok()
}

/// The same of a page of a list, which was read with some to spare.
pub(crate) fn readable_page<DB: Dialect, T>(
    table: &'static str,
    page: Page,
    rows: &[Row<DB>],
    read: impl Fn(&Row<DB>) -> Result<T>,
) -> Vec<T> {
    let mut items = readable(table, rows, read);
    items.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
    items
}

/// How many rows are read for a page.
pub(crate) fn with_spare(page: Page) -> i64 {
    i64::from(page.limit) + SPARE
}

/// Where statements were made, for a test that wants to have seen all of them.
#[cfg(debug_assertions)]
pub(crate) mod places {
    use std::collections::BTreeSet;
    use std::panic::Location;
    use std::sync::{Mutex, PoisonError};

    static SEEN: Mutex<BTreeSet<(&'static str, u32)>> = Mutex::new(BTreeSet::new());

    pub(super) fn note(place: &'static Location<'static>) {
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert((place.file(), place.line()));
    }

    pub(crate) fn take() -> BTreeSet<(&'static str, u32)> {
        std::mem::take(&mut SEEN.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
