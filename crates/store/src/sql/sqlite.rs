//! SQLite's ways.

use std::path::Path;
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqlStr, Sqlite};
use uuid::Uuid;

use super::MOST_LOG_PAGES;
use super::dialect::{Cells, Dialect, Field, Kind, Loss, RowSet, Schema, Script};
use crate::db::{Pool, PoolOptions};
use crate::error::StoreError;

/// KiB, for each of several connections: what is read often, the system keeps in memory too.
const CACHE: &str = "-4000";

/// Connections to a file. `synchronous=FULL`: a commit is on disk when it returns.
pub(crate) fn open_pool(path: &Path, connections: u32, read_only: bool) -> Pool<Sqlite> {
    let query_only = if read_only { "on" } else { "off" };
    let options = connecting(path, SqliteSynchronous::Full).create_if_missing(!read_only);
    pool(options.pragma("query_only", query_only), connections)
}

/// The same for bulk work. Its commits reach the disk with the next of somebody else's, in their order; should the machine
/// fail before, they are done again. Nobody waits for a disk behind them.
pub(crate) fn open_bulk_pool(path: &Path) -> Pool<Sqlite> {
    pool(connecting(path, SqliteSynchronous::Normal), 1)
}

fn pool(options: SqliteConnectOptions, size: u32) -> Pool<Sqlite> {
    Pool::new(options, PoolOptions { size, trust: Duration::MAX, lifetime: Duration::MAX })
}

fn connecting(path: &Path, synchronous: SqliteSynchronous) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(Duration::from_secs(5))
        .pragma("cache_size", CACHE)
        .pragma("temp_store", "memory")
        // What retention wipes is to be gone.
        .pragma("secure_delete", "on")
        .pragma("wal_autocheckpoint", MOST_LOG_PAGES.to_string())
        .statement_cache_capacity(256)
}

impl Dialect for Sqlite {
    type Rows = JsonRows;
    type Prepared = String;
    type Source = SqliteConnectOptions;

    const STATEMENT_LIMIT: Option<Duration> = None;
    // A deferred transaction that turns into a writing one fails at once, whatever the timeout.
    const BEGIN: Option<&'static str> = Some("begin immediate");
    const BEGIN_READING: Option<&'static str> = None;

    // One process serves, through one writing connection.
    const SHARED: bool = false;
    const KEY_ORDER: &str = "";
    const BY_EVENT: &str = "indexed by deliveries_by_event";
    // Whoever accepts an event waits for its end, as there is but one writer: no longer than a commit takes.
    const PAGE_TIME: Duration = Duration::from_millis(1);
    const BY_LANE: &str = "indexed by deliveries_pending";
    const UNDELIVERED: &str = "indexed by deliveries_undelivered";
    const SHARED_LOCK: &str = "";
    const LOCKED: &str = "";
    const LOCKED_OR_SKIPPED: &str = "";

    fn packed(schema: Schema) -> String {
        let cells = schema.iter().map(|(name, kind)| match kind {
            // JSON has no bytes; `hex` would make an empty text of null.
            Kind::Uuid | Kind::Bytes => format!("case when {name} is not null then hex({name}) end"),
            Kind::Int | Kind::Text => (*name).to_owned(),
        });
        format!("json_group_array(json_array({}))", cells.collect::<Vec<_>>().join(", "))
    }

    fn one_of(select: &str) -> String {
        format!("in ({select})")
    }

    fn delete_by_keys(table: &str, keys: &str) -> String {
        format!("delete from {table} where (tenant_id, id) in (select r.tenant_id, r.id from {keys} r)")
    }

    fn sorted(column: &str) -> String {
        column.to_owned()
    }

    fn written(table: &'static str, _: &'static str) -> &'static str {
        table
    }

    fn bind<T: Field>(arguments: &mut SqliteArguments, value: T) -> Result<(), BoxDynError> {
        sqlx::Arguments::add(arguments, value)
    }

    fn get<T: Field>(row: &SqliteRow, column: usize) -> Result<T, sqlx::Error> {
        row.try_get(column)
    }

    async fn run(
        connection: &mut SqliteConnection,
        sql: SqlStr,
        arguments: SqliteArguments,
    ) -> Result<u64, sqlx::Error> {
        Ok(sqlx::query_with(sql, arguments).execute(connection).await?.rows_affected())
    }

    async fn fetch(
        connection: &mut SqliteConnection,
        sql: SqlStr,
        arguments: SqliteArguments,
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        sqlx::query_with(sql, arguments).fetch_all(connection).await
    }

    async fn execute(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(connection).await.map(drop)
    }

    async fn open(options: &SqliteConnectOptions) -> Result<(SqliteConnection, u64), StoreError> {
        Ok((SqliteConnection::connect_with(options).await?, 0))
    }

    fn epoch(_: &SqliteConnectOptions) -> u64 {
        0
    }

    async fn left(_: &SqliteConnectOptions, _: u64) {
        std::future::pending::<()>().await;
    }

    fn loss(error: &sqlx::Error) -> Option<Loss> {
        matches!(error, sqlx::Error::WorkerCrashed).then_some(Loss::Connection)
    }

    fn retire(_: &SqliteConnectOptions, _: u64) {}

    /// One string: each statement by itself would cost a hop to SQLite's thread and back.
    fn prepare(script: Script) -> String {
        let begin = script.begins.then(|| "begin immediate".to_owned());
        let commit = script.commits.then(|| "commit".to_owned());
        let steps = script.steps.into_iter().map(|step| step.sql);
        begin.into_iter().chain(steps).chain(commit).collect::<Vec<_>>().join(";\n")
    }

    async fn run_script(
        connection: &mut SqliteConnection,
        script: &String,
        arguments: SqliteArguments,
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        sqlx::query_with(AssertSqlSafe(script.as_str()), arguments).fetch_all(connection).await
    }

    async fn roll_back(connection: &mut SqliteConnection) {
        // Fails if SQLite has rolled back by itself, as it does when the disk is full.
        drop(sqlx::query("rollback").execute(connection).await);
    }
}

/// Rows as a JSON array of arrays; bytes lie in a blob beside it, where the array says.
#[derive(Debug, Default)]
pub(crate) struct JsonRows {
    json: Vec<u8>,
    bytes: Vec<u8>,
    in_row: bool,
}

impl JsonRows {
    fn cell(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let opening: &[u8] = match (self.in_row, self.json.is_empty()) {
            (true, _) => b",",
            (false, true) => b"[[",
            (false, false) => b",[",
        };
        self.json.extend_from_slice(opening);
        self.in_row = true;
        write(&mut self.json);
    }

    fn null(&mut self) {
        self.cell(|json| json.extend_from_slice(b"null"));
    }
}

impl Cells for JsonRows {
    fn uuid(&mut self, value: Option<Uuid>) {
        let Some(uuid) = value else { return self.null() };
        let mut hex = [0; 34];
        hex[0] = b'"';
        uuid.simple().encode_lower(&mut hex[1..]);
        hex[33] = b'"';
        self.cell(|json| json.extend_from_slice(&hex));
    }

    fn int(&mut self, value: Option<i64>) {
        let Some(int) = value else { return self.null() };
        self.cell(|json| json.extend_from_slice(int.to_string().as_bytes()));
    }

    fn text(&mut self, value: Option<&str>) {
        let Some(text) = value else { return self.null() };
        self.cell(|json| serde_json::to_writer(json, text).expect("a string can be written to memory"));
    }

    fn bytes(&mut self, value: Option<&[u8]>) {
        let Some(bytes) = value else {
            self.null();
            return self.null();
        };
        let place = i64::try_from(self.bytes.len() + 1).ok();
        self.int(place);
        self.int(i64::try_from(bytes.len()).ok());
        self.bytes.extend_from_slice(bytes);
    }

    fn end_row(&mut self) {
        self.json.push(b']');
        self.in_row = false;
    }
}

impl RowSet for JsonRows {
    type Database = Sqlite;

    fn new(_: Schema) -> Self {
        Self::default()
    }

    fn parameters(_: Schema) -> usize {
        2
    }

    fn source(schema: Schema, first: usize) -> String {
        let mut cell = 0;
        let columns: Vec<String> = schema
            .iter()
            .map(|(name, kind)| {
                let at = cell;
                cell += if *kind == Kind::Bytes { 2 } else { 1 };
                match kind {
                    Kind::Uuid => format!("unhex(value ->> {at}) as {name}"),
                    Kind::Int | Kind::Text => format!("value ->> {at} as {name}"),
                    Kind::Bytes => {
                        format!("substr(${}, value ->> {at}, value ->> {}) as {name}", first + 1, at + 1)
                    }
                }
            })
            .collect();
        format!("(select {} from json_each(${first}))", columns.join(", "))
    }

    fn bind(mut self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        self.json.extend_from_slice(if self.json.is_empty() { b"[]" } else { b"]" });
        Sqlite::bind(arguments, String::from_utf8(self.json)?)?;
        Sqlite::bind(arguments, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::SqlSafeStr;

    use super::super::dialect::Step;
    use super::*;

    const SCHEMA: Schema = &[("id", Kind::Uuid), ("n", Kind::Int), ("name", Kind::Text), ("body", Kind::Bytes)];

    #[tokio::test]
    async fn rows_arrive_as_they_were_put_in() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("opens");
        let id = Uuid::from_u128(0xfedc);
        let mut rows = JsonRows::new(SCHEMA);
        rows.uuid(Some(id));
        rows.int(Some(i64::MIN));
        rows.text(Some("it's \"quoted\" \\ é\n"));
        rows.bytes(Some(b"\0\xff"));
        rows.end_row();
        rows.uuid(None);
        rows.int(None);
        rows.text(None);
        rows.bytes(None);
        rows.end_row();
        rows.uuid(Some(id));
        rows.int(Some(0));
        rows.text(Some(""));
        rows.bytes(Some(b""));
        rows.end_row();
        let mut arguments = SqliteArguments::default();
        rows.bind(&mut arguments).expect("binds");
        let sql = format!("select id, n, name, body from {}", JsonRows::source(SCHEMA, 1)).leak();
        let found = Sqlite::fetch(&mut connection, (&*sql).into_sql_str(), arguments).await.expect("reads");
        let read = |row: &SqliteRow| -> (Option<Uuid>, Option<i64>, Option<String>, Option<Vec<u8>>) {
            (row.get(0), row.get(1), row.get(2), row.get(3))
        };
        let expected = [
            (Some(id), Some(i64::MIN), Some("it's \"quoted\" \\ é\n".to_owned()), Some(b"\0\xff".to_vec())),
            (None, None, None, None),
            (Some(id), Some(0), Some(String::new()), Some(Vec::new())),
        ];
        assert_eq!(found.iter().map(read).collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn an_empty_set_has_no_rows() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("opens");
        let mut arguments = SqliteArguments::default();
        JsonRows::new(SCHEMA).bind(&mut arguments).expect("binds");
        let sql = format!("select id from {}", JsonRows::source(SCHEMA, 1)).leak();
        let found = Sqlite::fetch(&mut connection, (&*sql).into_sql_str(), arguments).await.expect("reads");
        assert!(found.is_empty());
    }

    #[tokio::test]
    async fn a_failure_in_the_middle_of_a_script_leaves_nothing() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("opens");
        sqlx::query("create table t (n integer primary key)").execute(&mut connection).await.expect("creates");
        let script = |statements: &[&str]| {
            let step = |sql: &&str| Step { name: "step", sql: (*sql).to_owned(), returns: true };
            Sqlite::prepare(Script { begins: true, steps: statements.iter().map(step).collect(), commits: true })
        };
        let broken = script(&["insert into t values (1)", "insert into t values (1)"]);
        let result = Sqlite::run_script(&mut connection, &broken, SqliteArguments::default()).await;
        assert!(result.is_err());
        Sqlite::roll_back(&mut connection).await;
        let whole = script(&["insert into t values (2)", "select n from t"]);
        let rows = Sqlite::run_script(&mut connection, &whole, SqliteArguments::default()).await.expect("runs");
        assert_eq!(rows.iter().map(|row| row.get::<i64, _>(0)).collect::<Vec<_>>(), [2]);
    }
}
