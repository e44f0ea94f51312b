//! What differs between the databases.

use std::future::Future;

use postrider_core::Timestamp;
use sqlx::error::BoxDynError;
use sqlx::{Database, Decode, Encode, Pool, SqlStr, Sqlite, Transaction, Type};
use uuid::Uuid;

/// A value that every supported database can keep: the bounds are named here once.
pub(crate) trait Field: Send + for<'q> Encode<'q, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Sqlite> {}

impl<T> Field for T where T: Send + for<'q> Encode<'q, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Sqlite> {}

/// The type of a column in a [`RowSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Uuid,
    Int,
    Text,
    Bytes,
}

/// Columns of a [`RowSet`], in order.
pub(crate) type Schema = &'static [(&'static str, Kind)];

/// Many rows, bound to one statement of fixed text: a batch of any size is one round trip and one
/// entry of the statement cache. Values go in row by row, in the order of the schema.
pub(crate) trait RowSet: Default + Send {
    type Database: Dialect;

    /// How many parameters it takes.
    const PARAMETERS: usize;

    /// A sub-select with the columns of `schema`, for a set bound from parameter `first` on.
    fn source(schema: Schema, first: usize) -> String;

    fn uuid(&mut self, value: Option<Uuid>);
    fn int(&mut self, value: Option<i64>);
    fn text(&mut self, value: Option<&str>);
    fn bytes(&mut self, value: Option<&[u8]>);
    fn end_row(&mut self);

    fn bind(self, arguments: &mut <Self::Database as Database>::Arguments) -> Result<(), BoxDynError>;

    fn time(&mut self, value: Option<Timestamp>) {
        self.int(value.map(Timestamp::as_micros));
    }
}

/// Statements that run as a whole or not at all, or as a part of such a whole.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) begins: bool,
    pub(crate) statements: Vec<String>,
    pub(crate) commits: bool,
}

/// A database and its ways.
pub(crate) trait Dialect: Database {
    type Rows: RowSet<Database = Self>;
    /// A [`Script`] made ready.
    type Prepared: Send + Sync;

    fn bind<T: Field>(arguments: &mut Self::Arguments, value: T) -> Result<(), BoxDynError>;
    fn get<T: Field>(row: &Self::Row, column: usize) -> Result<T, sqlx::Error>;

    /// Runs one statement and counts the rows it changed.
    fn run(
        connection: &mut Self::Connection,
        sql: SqlStr,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// Runs one statement and collects its rows.
    fn fetch(
        connection: &mut Self::Connection,
        sql: SqlStr,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;

    /// Begins a transaction that may write.
    fn begin(pool: &Pool<Self>) -> impl Future<Output = Result<Transaction<'static, Self>, sqlx::Error>> + Send;

    /// Makes a script ready. Parameters are numbered through all its statements.
    fn prepare(script: Script) -> Self::Prepared;

    /// Runs a script and collects the rows of all its statements, in order.
    fn run_script(
        connection: &mut Self::Connection,
        script: &Self::Prepared,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;

    /// Ends the transaction of a script that failed.
    fn roll_back(connection: &mut Self::Connection) -> impl Future<Output = ()> + Send;
}
