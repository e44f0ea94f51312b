//! Moving everything from one database to another.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::dialect::{Cells, Dialect, Kind, RowSet};
use super::moving_tables::{TABLES, Table};
use super::query::{Query, Row};
use crate::db::Connection;
use crate::error::{Result, StoreError};

/// Rows read and written at once.
const PAGE: usize = 64;

/// What was moved of a table: the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTable {
    /// Its name.
    pub name: &'static str,
    /// How many rows.
    pub rows: u64,
    /// SHA-256 of all values, in the order of the primary key, in hexadecimal digits.
    pub checksum: String,
}

/// Copies all tables into a database that has none of these rows, and reads them there again.
///
/// # Errors
/// [`StoreError::Unusable`] if the target has tenants already, or says otherwise than the source.
pub(crate) async fn move_all<From: Dialect, To: Dialect>(
    from: &mut Connection<From>,
    to: &mut Connection<To>,
    mut tell: impl FnMut(&MovedTable),
) -> Result<Vec<MovedTable>> {
    if Query::<To>::new("select id from tenants limit 1").row(to).await?.is_some() {
        return Err(StoreError::Unusable("the target has tenants already; it must be empty".to_owned()));
    }
    // What any process that opened it has left there; that of the source comes now.
    for left in ["delete from profiles", "delete from installation"] {
        Query::<To>::new(left).run(to).await?;
    }
    let mut moved = Vec::new();
    for table in &TABLES {
        let copied = table.read_all::<From, To>(from, Some(&mut *to)).await?;
        let found = table.read_all::<To, To>(to, None).await?;
        if copied != found {
            let name = table.name;
            return Err(StoreError::Unusable(format!("`{name}` is not the same on both sides: {copied:?}, {found:?}")));
        }
        tell(&copied);
        moved.push(copied);
    }
    Ok(moved)
}

impl Table {
    /// Reads the table page by page; writes each page to `target` if there is one.
    async fn read_all<From: Dialect, To: Dialect>(
        &self,
        db: &mut Connection<From>,
        mut target: Option<&mut Connection<To>>,
    ) -> Result<MovedTable> {
        let (mut digest, mut rows) = (Sha256::new(), 0);
        let mut last: Option<Vec<Value>> = None;
        loop {
            let page = self.read_page::<From>(db, last.as_deref()).await?;
            for row in &page {
                row.iter().for_each(|value| value.feed(&mut digest));
            }
            rows += page.len() as u64;
            if let Some(target) = target.as_deref_mut() {
                self.write_page::<To>(target, &page).await?;
            }
            let is_last = page.len() < PAGE;
            last = page.into_iter().next_back();
            if is_last {
                let checksum = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
                return Ok(MovedTable { name: self.name, rows, checksum });
            }
        }
    }

    async fn read_page<DB: Dialect>(&self, db: &mut Connection<DB>, last: Option<&[Value]>) -> Result<Vec<Vec<Value>>> {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let (all, key) = (names.join(", "), names[..self.key].join(", "));
        let beyond = match last {
            None => String::new(),
            Some(_) => {
                let places: Vec<String> = (1..=self.key).map(|n| format!("${n}")).collect();
                format!("where ({key}) > ({})", places.join(", "))
            }
        };
        let sql = format!("select {all} from {} {beyond} order by {key} limit {PAGE}", self.name);
        let mut query = Query::<DB>::assembled(sql);
        for value in last.into_iter().flatten().take(self.key) {
            query = value.bind(query);
        }
        let rows = query.rows(db).await?;
        rows.iter()
            .map(|row| self.columns.iter().enumerate().map(|(n, (_, kind))| Value::read(row, n, *kind)).collect())
            .collect()
    }

    async fn write_page<DB: Dialect>(&self, db: &mut Connection<DB>, page: &[Vec<Value>]) -> Result<()> {
        if page.is_empty() {
            return Ok(());
        }
        let columns = self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let source = DB::Rows::source(self.columns, 1);
        let sql = format!("insert into {} ({columns}) select {columns} from {source} r", self.name);
        let mut rows = DB::Rows::new(self.columns);
        for row in page {
            row.iter().for_each(|value| value.put(&mut rows));
            rows.end_row();
        }
        Query::<DB>::assembled(sql).bind_rows(rows).run(db).await?;
        Ok(())
    }
}

/// One value, in whatever database.
#[derive(Clone, Debug)]
enum Value {
    Uuid(Option<Uuid>),
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

impl Value {
    fn read<DB: Dialect>(row: &Row<DB>, column: usize, kind: Kind) -> Result<Self> {
        Ok(match kind {
            Kind::Uuid => Self::Uuid(row.get(column)?),
            Kind::Int => Self::Int(row.get(column)?),
            Kind::Text => Self::Text(row.get(column)?),
            Kind::Bytes => Self::Bytes(row.get(column)?),
        })
    }

    fn bind<DB: Dialect>(&self, query: Query<DB>) -> Query<DB> {
        match self {
            Self::Uuid(value) => query.bind(*value),
            Self::Int(value) => query.bind(*value),
            Self::Text(value) => query.bind(value.clone()),
            Self::Bytes(value) => query.bind(value.clone()),
        }
    }

    fn put(&self, rows: &mut impl Cells) {
        match self {
            Self::Uuid(value) => rows.uuid(*value),
            Self::Int(value) => rows.int(*value),
            Self::Text(value) => rows.text(value.as_deref()),
            Self::Bytes(value) => rows.bytes(value.as_deref()),
        }
    }

    /// With its length before it, so that no two rows look the same; a length of all ones is null.
    fn feed(&self, digest: &mut Sha256) {
        let bytes = match self {
            Self::Uuid(value) => value.map(|uuid| uuid.as_bytes().to_vec()),
            Self::Int(value) => value.map(|int| int.to_be_bytes().to_vec()),
            Self::Text(value) => value.clone().map(String::into_bytes),
            Self::Bytes(value) => value.clone(),
        };
        digest.update(bytes.as_ref().map_or(u64::MAX, |bytes| bytes.len() as u64).to_be_bytes());
        digest.update(bytes.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Row as _};

    use super::super::moving_tables::STAY_BEHIND;
    use super::*;
    use crate::db::{Schema, migrate};
    use crate::sql::open_pool;

    #[tokio::test]
    async fn no_table_and_no_column_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("test.db");
        let pool = open_pool(&path, 1, false);
        migrate::sqlite(&pool, &path, Schema::Migrate, true).await.expect("migrates");
        let mut connection = pool.acquire().await.expect("a connection");
        let db = connection.raw();
        let tables = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' and name <> '_sqlx_migrations'";
        let mut names: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *db).await.expect("read");
        names.sort();
        let mut known: Vec<&str> = TABLES.iter().map(|table| table.name).chain(STAY_BEHIND).collect();
        known.sort_unstable();
        assert_eq!(known, names);
        for table in &TABLES {
            let columns = format!("select name, pk from pragma_table_info('{}') order by pk = 0, pk, cid", table.name);
            let rows = sqlx::query(AssertSqlSafe(columns)).fetch_all(&mut *db).await.expect("read");
            let found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            let keys = rows.iter().filter(|row| row.get::<i64, _>(1) > 0).count();
            let listed: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
            assert_eq!((listed, table.key), (found.iter().map(String::as_str).collect(), keys), "{}", table.name);
        }
    }
}
