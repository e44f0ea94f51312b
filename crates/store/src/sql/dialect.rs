//! What differs between the databases.

use std::future::Future;
use std::time::Duration;

use postrider_core::Timestamp;
use sqlx::error::BoxDynError;
use sqlx::{Database, Decode, Encode, Postgres, SqlStr, Sqlite, Type};
use uuid::Uuid;

use crate::error::StoreError;

/// A value that this database can keep.
pub(crate) trait FieldOf<DB: Database>: for<'q> Encode<'q, DB> + Type<DB> + for<'r> Decode<'r, DB> {}

impl<DB: Database, T> FieldOf<DB> for T where T: for<'q> Encode<'q, DB> + Type<DB> + for<'r> Decode<'r, DB> {}

/// A value that every supported database can keep: the bounds are named here once.
pub(crate) trait Field: Send + FieldOf<Sqlite> + FieldOf<Postgres> {}

impl<T> Field for T where T: Send + FieldOf<Sqlite> + FieldOf<Postgres> {}

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

/// Takes the values of rows, one by one, in the order of the schema.
pub(crate) trait Cells {
    fn uuid(&mut self, value: Option<Uuid>);
    fn int(&mut self, value: Option<i64>);
    fn text(&mut self, value: Option<&str>);
    fn bytes(&mut self, value: Option<&[u8]>);
    fn end_row(&mut self);

    fn time(&mut self, value: Option<Timestamp>) {
        self.int(value.map(Timestamp::as_micros));
    }
}

/// Many rows, bound to one statement of fixed text: a batch of any size is one round trip and one
/// entry of the statement cache.
pub(crate) trait RowSet: Cells + Send {
    type Database: Dialect;

    fn new(schema: Schema) -> Self;

    /// How many parameters a set of such rows takes.
    fn parameters(schema: Schema) -> usize;

    /// A sub-select with the columns of `schema`, for a set bound from parameter `first` on.
    fn source(schema: Schema, first: usize) -> String;

    fn bind(self, arguments: &mut <Self::Database as Database>::Arguments) -> Result<(), BoxDynError>;
}

/// A statement of a [`Script`].
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// What later steps call its rows, see [`Dialect::written`].
    pub(crate) name: &'static str,
    pub(crate) sql: String,
    /// Whether its rows are wanted.
    pub(crate) returns: bool,
}

/// Statements that run as a whole or not at all, or as a part of such a whole.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) begins: bool,
    pub(crate) steps: Vec<Step>,
    pub(crate) commits: bool,
}

/// What is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// One connection.
    Connection,
    /// All that lead to the same server: it only reads.
    Server,
}

/// A database and its ways.
pub(crate) trait Dialect: Database {
    type Rows: RowSet<Database = Self>;
    /// A [`Script`] made ready.
    type Prepared: Send + Sync;
    /// Where connections are opened from.
    type Source: Send + Sync + 'static;

    /// How long a statement may take before its connection is given up; `None`: there is no server to lose.
    const STATEMENT_LIMIT: Option<Duration>;
    /// How a transaction begins that may write, if not as usual.
    const BEGIN: Option<&'static str>;
    /// The same of one in which all statements see the same state.
    const BEGIN_READING: Option<&'static str>;

    /// Whether other processes change what this one reads.
    const SHARED: bool;
    /// In what order events are inserted, where transactions that meet at their keys could wait for
    /// each other in a circle.
    const KEY_ORDER: &str;
    /// Follows a `select` whose rows this transaction alone may go on to change.
    const LOCKED: &str;
    /// Follows a `select` whose row nobody changes before this transaction ends.
    const SHARED_LOCK: &str;
    /// Like [`Dialect::LOCKED`], leaving out rows that somebody else has locked.
    const LOCKED_OR_SKIPPED: &str;

    /// Follows a mention of `deliveries`, whose rows are an event's. Planners that know no better would go through a whole
    /// tenant's.
    const BY_EVENT: &str;
    /// Target duration of a bulk transaction: the longest time that other writers should wait for one.
    const PAGE_TIME: Duration;
    /// The same of pending rows of a lane.
    const BY_LANE: &str;
    /// The same of rows that are a tenant's and undelivered.
    const UNDELIVERED: &str;

    /// What selects rows with the columns of `schema` as one value: a JSON array of an array for each row. Where rows come
    /// from another thread, one by one, each costs more on its way than all that is done with it.
    fn packed(schema: Schema) -> String;

    /// Follows a column that is one of those that a select gives: each is looked up in the index of the column.
    fn one_of(select: &str) -> String;

    /// Deletes the rows of a table whose tenant and id are among `keys`, which has both.
    fn delete_by_keys(table: &str, keys: &str) -> String;

    /// A column of ids to sort by, after the rows were found: planners that are asked for the order of an index go through all
    /// that a tenant has to get it.
    fn sorted(column: &str) -> String;

    /// What a later step of a script reads to find what an earlier one wrote into `table`: of
    /// databases that run a script as one statement, the rows that the step returned.
    fn written(table: &'static str, step: &'static str) -> &'static str;

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

    /// Runs one statement without values.
    fn execute(
        connection: &mut Self::Connection,
        sql: &'static str,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Opens a connection, and tells the epoch of its server.
    fn open(source: &Self::Source) -> impl Future<Output = Result<(Self::Connection, u64), StoreError>> + Send;

    /// The number of the server that connections lead to now. It changes when that does.
    fn epoch(source: &Self::Source) -> u64;

    /// Ends when connections lead to another server than that of an epoch.
    fn left(source: &Self::Source, epoch: u64) -> impl Future<Output = ()> + Send;

    /// What an error says of the connection that it came from.
    fn loss(error: &sqlx::Error) -> Option<Loss>;

    /// Notes that the server of an epoch cannot be written to any more.
    fn retire(source: &Self::Source, epoch: u64);

    /// Makes a script ready. Parameters are numbered through all its statements.
    fn prepare(script: Script) -> Self::Prepared;

    /// Runs a script and collects the rows that it returns.
    fn run_script(
        connection: &mut Self::Connection,
        script: &Self::Prepared,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;

    /// Ends the transaction of a script that failed.
    fn roll_back(connection: &mut Self::Connection) -> impl Future<Output = ()> + Send;
}
