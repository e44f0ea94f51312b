//! PostgreSQL's ways.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgConnection, PgDatabaseError, PgRow};
use sqlx::{Arguments, AssertSqlSafe, Postgres, Row as _, SqlSafeStr, SqlStr};
use std::time::Duration;
use uuid::Uuid;

use super::dialect::{Cells, Dialect, Field, Kind, Loss, RowSet, Schema, Script, Step};
use crate::db::Link;
use crate::error::{ONLY_READS, StoreError, is_end_of_session};

/// A script as one statement, so that it is one round trip and, if it is a whole, needs no other
/// transaction than its own.
pub(crate) struct OneStatement {
    begins: bool,
    sql: SqlStr,
    commits: bool,
}

impl Dialect for Postgres {
    type Rows = ArrayRows;
    type Prepared = OneStatement;
    type Source = Link;

    // Shorter than what a commit may wait for a standby: whoever ends that wait on the server makes it look like a commit.
    const STATEMENT_LIMIT: Option<Duration> = Some(Duration::from_secs(10));
    const BEGIN: Option<&'static str> = None;
    const BEGIN_READING: Option<&'static str> = Some("begin isolation level repeatable read read only");

    const SHARED: bool = true;
    const KEY_ORDER: &str = "order by r.tenant_id, r.idempotency_key";
    const BY_EVENT: &str = "";
    // Others wait for the rows that it locks, and for nothing else.
    const PAGE_TIME: Duration = Duration::from_millis(200);
    const BY_LANE: &str = "";
    const UNDELIVERED: &str = "";
    const SHARED_LOCK: &str = "for share";
    const LOCKED: &str = "for update";
    const LOCKED_OR_SKIPPED: &str = "for update skip locked";

    fn packed(schema: Schema) -> String {
        let cells = schema.iter().map(|(name, kind)| match kind {
            Kind::Bytes => format!("encode({name}, 'hex')"),
            Kind::Uuid | Kind::Int | Kind::Text => (*name).to_owned(),
        });
        format!("coalesce(json_agg(json_build_array({})), '[]')::text", cells.collect::<Vec<_>>().join(", "))
    }

    fn one_of(select: &str) -> String {
        format!("= any (array({select}))")
    }

    fn delete_by_keys(table: &str, keys: &str) -> String {
        format!("delete from {table} using {keys} r where {table}.tenant_id = r.tenant_id and {table}.id = r.id")
    }

    // Their digits are in the same order.
    fn sorted(column: &str) -> String {
        format!("{column}::text")
    }

    fn written(_: &'static str, step: &'static str) -> &'static str {
        step
    }

    fn bind<T: Field>(arguments: &mut PgArguments, value: T) -> Result<(), BoxDynError> {
        arguments.add(value)
    }

    fn get<T: Field>(row: &PgRow, column: usize) -> Result<T, sqlx::Error> {
        row.try_get(column)
    }

    async fn run(connection: &mut PgConnection, sql: SqlStr, arguments: PgArguments) -> Result<u64, sqlx::Error> {
        Ok(sqlx::query_with(sql, arguments).execute(connection).await?.rows_affected())
    }

    async fn fetch(
        connection: &mut PgConnection,
        sql: SqlStr,
        arguments: PgArguments,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        sqlx::query_with(sql, arguments).fetch_all(connection).await
    }

    async fn execute(connection: &mut PgConnection, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(connection).await.map(drop)
    }

    async fn open(link: &Link) -> Result<(PgConnection, u64), StoreError> {
        link.servers.open(&link.settings).await
    }

    fn epoch(link: &Link) -> u64 {
        link.servers.epoch()
    }

    async fn left(link: &Link, epoch: u64) {
        link.servers.left(epoch).await;
    }

    fn loss(error: &sqlx::Error) -> Option<Loss> {
        match error {
            sqlx::Error::Database(error) => loss_of(error.try_downcast_ref()?),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => Some(Loss::Connection),
            _ => None,
        }
    }

    fn retire(link: &Link, epoch: u64) {
        link.servers.retire(epoch);
    }

    fn prepare(script: Script) -> OneStatement {
        let Script { begins, steps, commits } = script;
        OneStatement { begins, sql: AssertSqlSafe(joined(&steps)).into_sql_str(), commits }
    }

    async fn run_script(
        connection: &mut PgConnection,
        script: &OneStatement,
        arguments: PgArguments,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let OneStatement { begins, sql, commits } = script;
        let is_whole = *begins && *commits;
        if *begins && !is_whole {
            sqlx::raw_sql("begin").execute(&mut *connection).await?;
        }
        let rows = Self::fetch(connection, sql.clone(), arguments).await?;
        if *commits && !is_whole {
            sqlx::raw_sql("commit").execute(connection).await?;
        }
        Ok(rows)
    }

    async fn roll_back(connection: &mut PgConnection) {
        // Fails if the connection is gone, and the transaction with it.
        drop(sqlx::raw_sql("rollback").execute(connection).await);
    }
}

/// Errors after which a connection is of no use: it is broken, or its prepared statements are another's, as where a pooler
/// gives sessions to many (26000, 42P05).
const USELESS_SQLSTATES: [&str; 3] = ["08", "26000", "42P05"];

fn loss_of(error: &PgDatabaseError) -> Option<Loss> {
    if error.code() == ONLY_READS {
        return Some(Loss::Server);
    }
    let is_useless = USELESS_SQLSTATES.iter().any(|useless| error.code().starts_with(useless));
    (is_useless || is_end_of_session(error)).then_some(Loss::Connection)
}

/// Steps as common table expressions of one statement, which returns the rows of the one step whose
/// rows are wanted.
pub(super) fn joined(steps: &[Step]) -> String {
    if let [step] = steps {
        return step.sql.clone();
    }
    let parts: Vec<String> = steps.iter().map(|step| format!("{} as ({})", step.name, step.sql)).collect();
    let wanted = steps.iter().find(|step| step.returns).map_or("(select 1 where false) none", |step| step.name);
    format!("with {} select * from {wanted}", parts.join(", "))
}

/// Rows as an array for each column.
#[derive(Debug)]
pub(crate) struct ArrayRows {
    columns: Vec<Column>,
    next: usize,
}

#[derive(Debug)]
enum Column {
    Uuid(Vec<Option<Uuid>>),
    Int(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl ArrayRows {
    fn column(&mut self) -> &mut Column {
        let column = &mut self.columns[self.next];
        self.next += 1;
        column
    }
}

/// A value went into a column of another type: a mistake in the store itself.
fn mismatch(column: &Column) -> ! {
    unreachable!("the value is not of the schema's type: {column:?}")
}

impl Cells for ArrayRows {
    fn uuid(&mut self, value: Option<Uuid>) {
        match self.column() {
            Column::Uuid(values) => values.push(value),
            other => mismatch(other),
        }
    }

    fn int(&mut self, value: Option<i64>) {
        match self.column() {
            Column::Int(values) => values.push(value),
            other => mismatch(other),
        }
    }

    fn text(&mut self, value: Option<&str>) {
        match self.column() {
            Column::Text(values) => values.push(value.map(str::to_owned)),
            other => mismatch(other),
        }
    }

    fn bytes(&mut self, value: Option<&[u8]>) {
        match self.column() {
            Column::Bytes(values) => values.push(value.map(<[u8]>::to_vec)),
            other => mismatch(other),
        }
    }

    fn end_row(&mut self) {
        self.next = 0;
    }
}

impl RowSet for ArrayRows {
    type Database = Postgres;

    fn new(schema: Schema) -> Self {
        let column = |(_, kind): &(&str, Kind)| match kind {
            Kind::Uuid => Column::Uuid(Vec::new()),
            Kind::Int => Column::Int(Vec::new()),
            Kind::Text => Column::Text(Vec::new()),
            Kind::Bytes => Column::Bytes(Vec::new()),
        };
        Self { columns: schema.iter().map(column).collect(), next: 0 }
    }

    fn parameters(schema: Schema) -> usize {
        schema.len()
    }

    fn source(schema: Schema, first: usize) -> String {
        let array = |(at, (_, kind)): (usize, &(&str, Kind))| {
            let element = match kind {
                Kind::Uuid => "uuid",
                Kind::Int => "bigint",
                Kind::Text => "text",
                Kind::Bytes => "bytea",
            };
            format!("${}::{element}[]", first + at)
        };
        let arrays: Vec<String> = schema.iter().enumerate().map(array).collect();
        let names: Vec<&str> = schema.iter().map(|(name, _)| *name).collect();
        format!("(select * from unnest({}) as u({}))", arrays.join(", "), names.join(", "))
    }

    fn bind(self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        for column in self.columns {
            match column {
                Column::Uuid(values) => arguments.add(values)?,
                Column::Int(values) => arguments.add(values)?,
                Column::Text(values) => arguments.add(values)?,
                Column::Bytes(values) => arguments.add(values)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_become_one_statement_that_returns_what_is_wanted() {
        let step = |name, returns| Step { name, sql: format!("insert {name}"), returns };
        assert_eq!(joined(&[step("a", true)]), "insert a");
        assert_eq!(
            joined(&[step("a", false), step("b", true)]),
            "with a as (insert a), b as (insert b) select * from b"
        );
        assert_eq!(
            joined(&[step("a", false), step("b", false)]),
            "with a as (insert a), b as (insert b) select * from (select 1 where false) none"
        );
    }
}
