//! Moving everything from one database to another.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::dialect::{Cells, Dialect, Kind, RowSet, Schema};
use super::query::{Query, Row};
use crate::error::{Result, StoreError};

/// Rows read and written at once.
const PAGE: usize = 64;

/// A table to be moved.
struct Table {
    name: &'static str,
    /// The first [`Table::key`] columns are the primary key.
    columns: Schema,
    key: usize,
}

/// What is not moved: whoever is signed in signs in again.
#[cfg(test)]
const STAY_BEHIND: [&str; 2] = ["sessions", "portal_links"];

/// Every other table, each value by its kind.
const TABLES: [Table; 21] = [
    Table {
        name: "tenants",
        key: 1,
        columns: &[
            ("id", Kind::Uuid),
            ("name", Kind::Text),
            ("catalogue_version", Kind::Int),
            ("default_profile", Kind::Text),
            ("redacted_paths", Kind::Text),
            ("payload_retention", Kind::Int),
            ("has_callbacks", Kind::Int),
            ("created_at", Kind::Int),
            ("deleted_at", Kind::Int),
        ],
    },
    Table {
        name: "api_keys",
        key: 1,
        columns: &[
            ("id", Kind::Uuid),
            ("tenant_id", Kind::Uuid),
            ("name", Kind::Text),
            ("hash", Kind::Bytes),
            ("scopes", Kind::Int),
            ("created_at", Kind::Int),
            ("expires_at", Kind::Int),
            ("last_used_at", Kind::Int),
        ],
    },
    Table {
        name: "event_types",
        key: 2,
        columns: &[
            ("tenant_id", Kind::Uuid),
            ("name", Kind::Text),
            ("group_name", Kind::Text),
            ("description", Kind::Text),
            ("created_at", Kind::Int),
        ],
    },
    Table {
        name: "subscriptions",
        key: 1,
        columns: &[
            ("id", Kind::Uuid),
            ("tenant_id", Kind::Uuid),
            ("event_type", Kind::Text),
            ("url", Kind::Text),
            ("is_active", Kind::Int),
            ("description", Kind::Text),
            ("filters", Kind::Text),
            ("profile", Kind::Text),
            ("retry_schedule", Kind::Text),
            ("timeout_seconds", Kind::Int),
            ("headers", Kind::Bytes),
            ("secrets", Kind::Bytes),
            ("active_since", Kind::Int),
            ("filters_changed_at", Kind::Int),
            ("discard_through", Kind::Int),
            ("created_at", Kind::Int),
            ("updated_at", Kind::Int),
            ("deleted_at", Kind::Int),
        ],
    },
    Table {
        name: "callbacks",
        key: 1,
        columns: &[
            ("id", Kind::Uuid),
            ("tenant_id", Kind::Uuid),
            ("resource_id", Kind::Text),
            ("url", Kind::Text),
            ("profile", Kind::Text),
            ("metadata", Kind::Text),
            ("event_types", Kind::Text),
            ("created_at", Kind::Int),
            ("deleted_at", Kind::Int),
        ],
    },
    Table {
        name: "callback_secrets",
        key: 2,
        columns: &[
            ("tenant_id", Kind::Uuid),
            ("profile", Kind::Text),
            ("id", Kind::Uuid),
            ("secrets", Kind::Bytes),
            ("updated_at", Kind::Int),
        ],
    },
    Table {
        name: "profiles",
        key: 1,
        columns: &[("version", Kind::Int), ("name", Kind::Text), ("source", Kind::Text), ("used_at", Kind::Int)],
    },
    Table {
        name: "target_stats",
        key: 2,
        columns: &[
            ("target_id", Kind::Uuid),
            ("node", Kind::Int),
            ("successful", Kind::Int),
            ("failed", Kind::Int),
            ("last_attempt_at", Kind::Int),
        ],
    },
    Table {
        name: "filter_stats",
        key: 2,
        columns: &[("subscription_id", Kind::Uuid), ("node", Kind::Int), ("turned_away", Kind::Int)],
    },
    Table {
        name: "tenant_stats",
        key: 2,
        columns: &[("tenant_id", Kind::Uuid), ("node", Kind::Int), ("made", Kind::Int), ("pruned", Kind::Int)],
    },
    Table {
        name: "events",
        key: 2,
        columns: &[
            ("tenant_id", Kind::Uuid),
            ("id", Kind::Uuid),
            ("event_type", Kind::Text),
            ("payload", Kind::Bytes),
            ("created_at", Kind::Int),
            ("occurred_at", Kind::Int),
            ("expires_at", Kind::Int),
            ("resource_id", Kind::Text),
            ("metadata", Kind::Text),
            ("idempotency_key", Kind::Text),
            ("trace_context", Kind::Text),
            ("one_off_url", Kind::Text),
            ("one_off_profile", Kind::Text),
            ("request_hash", Kind::Bytes),
            ("delivery_count", Kind::Int),
            ("fan_out_after", Kind::Uuid),
        ],
    },
    Table {
        name: "deliveries",
        key: 2,
        columns: &[
            ("tenant_id", Kind::Uuid),
            ("id", Kind::Uuid),
            ("event_id", Kind::Uuid),
            ("target_kind", Kind::Int),
            ("target_id", Kind::Uuid),
            ("profile", Kind::Int),
            ("lane", Kind::Int),
            ("state", Kind::Int),
            ("reason", Kind::Text),
            ("due_at", Kind::Int),
            ("lease_until", Kind::Int),
            ("claim", Kind::Int),
            ("node", Kind::Int),
            ("strikes", Kind::Int),
            ("marks", Kind::Int),
            ("tries", Kind::Int),
            ("attempts", Kind::Int),
            ("created_at", Kind::Int),
            ("opened_at", Kind::Int),
            ("settled_at", Kind::Int),
        ],
    },
    Table {
        name: "attempts",
        key: 1,
        columns: &[
            ("log_id", Kind::Int),
            ("tenant_id", Kind::Uuid),
            ("delivery_id", Kind::Uuid),
            ("claim", Kind::Int),
            ("number", Kind::Int),
            ("started_at", Kind::Int),
            ("outcome", Kind::Int),
            ("http_status", Kind::Int),
            ("message", Kind::Text),
            ("url", Kind::Text),
            ("request_headers", Kind::Text),
            ("response_headers", Kind::Text),
            ("response_body", Kind::Bytes),
            ("remote_address", Kind::Text),
            ("dns_us", Kind::Int),
            ("connect_us", Kind::Int),
            ("first_byte_us", Kind::Int),
            ("total_us", Kind::Int),
            ("late", Kind::Int),
        ],
    },
    Table {
        name: "replays",
        key: 1,
        columns: &[
            ("id", Kind::Uuid),
            ("tenant_id", Kind::Uuid),
            ("subscription_id", Kind::Uuid),
            ("event_type", Kind::Text),
            ("status", Kind::Text),
            ("since", Kind::Int),
            ("until", Kind::Int),
            ("rate", Kind::Int),
            ("state", Kind::Int),
            ("total", Kind::Int),
            ("total_is_exact", Kind::Int),
            ("stage", Kind::Int),
            ("cursor_id", Kind::Uuid),
            ("next_at", Kind::Int),
            ("replayed", Kind::Int),
            ("skipped", Kind::Int),
            ("created_at", Kind::Int),
            ("updated_at", Kind::Int),
            ("finished_at", Kind::Int),
        ],
    },
    Table {
        name: "reopenings",
        key: 2,
        columns: &[
            ("delivery_id", Kind::Uuid),
            ("at", Kind::Int),
            ("tenant_id", Kind::Uuid),
            ("attempts", Kind::Int),
            ("replay_id", Kind::Uuid),
        ],
    },
    Table {
        name: "rollups",
        key: 4,
        columns: &[
            ("tenant_id", Kind::Uuid),
            ("target_id", Kind::Uuid),
            ("width", Kind::Int),
            ("at", Kind::Int),
            ("tally", Kind::Text),
        ],
    },
    Table {
        name: "rollup_marks",
        key: 1,
        columns: &[
            ("id", Kind::Int),
            ("log_id", Kind::Int),
            ("failed_at", Kind::Int),
            ("failed_id", Kind::Uuid),
            ("events_before", Kind::Int),
        ],
    },
    Table {
        name: "failing",
        key: 1,
        columns: &[
            ("subscription_id", Kind::Uuid),
            ("tenant_id", Kind::Uuid),
            ("since", Kind::Int),
            ("last_at", Kind::Int),
            ("attempts", Kind::Int),
            ("warnings", Kind::Int),
        ],
    },
    Table {
        name: "notices",
        key: 1,
        columns: &[("id", Kind::Uuid), ("event_type", Kind::Text), ("payload", Kind::Text), ("at", Kind::Int)],
    },
    Table {
        name: "audit",
        key: 2,
        columns: &[
            ("tenant_id", Kind::Uuid),
            ("id", Kind::Uuid),
            ("at", Kind::Int),
            ("actor", Kind::Int),
            ("actor_id", Kind::Uuid),
            ("actor_name", Kind::Text),
            ("action", Kind::Text),
            ("object_id", Kind::Text),
            ("request_id", Kind::Text),
            ("remote_address", Kind::Text),
        ],
    },
    Table {
        name: "users",
        key: 1,
        columns: &[
            ("id", Kind::Uuid),
            ("name", Kind::Text),
            ("role", Kind::Text),
            ("tenant_id", Kind::Uuid),
            ("password", Kind::Text),
            ("created_at", Kind::Int),
            ("password_set_at", Kind::Int),
        ],
    },
];

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
    from: &mut From::Connection,
    to: &mut To::Connection,
    mut tell: impl FnMut(&MovedTable),
) -> Result<Vec<MovedTable>> {
    if Query::<To>::new("select id from tenants limit 1").row(to).await?.is_some() {
        return Err(StoreError::Unusable("the target has tenants already; it must be empty".to_owned()));
    }
    // Any process that opened it has left its wire formats there; those of the source come now.
    Query::<To>::new("delete from profiles").run(to).await?;
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
        db: &mut From::Connection,
        mut target: Option<&mut To::Connection>,
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

    async fn read_page<DB: Dialect>(&self, db: &mut DB::Connection, last: Option<&[Value]>) -> Result<Vec<Vec<Value>>> {
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

    async fn write_page<DB: Dialect>(&self, db: &mut DB::Connection, page: &[Vec<Value>]) -> Result<()> {
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

    use super::*;

    #[tokio::test]
    async fn no_table_and_no_column_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let pool = super::super::open_pool(&folder.path().join("test.db"), 1, false).await.expect("opens");
        super::super::migrate(&pool).await.expect("migrates");
        let tables = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' and name <> '_sqlx_migrations'";
        let mut names: Vec<String> = sqlx::query_scalar(tables).fetch_all(&pool).await.expect("read");
        names.sort();
        let mut known: Vec<&str> = TABLES.iter().map(|table| table.name).chain(STAY_BEHIND).collect();
        known.sort_unstable();
        assert_eq!(known, names);
        for table in &TABLES {
            let columns = format!("select name, pk from pragma_table_info('{}') order by pk = 0, pk, cid", table.name);
            let rows = sqlx::query(AssertSqlSafe(columns)).fetch_all(&pool).await.expect("read");
            let found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            let keys = rows.iter().filter(|row| row.get::<i64, _>(1) > 0).count();
            let listed: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
            assert_eq!((listed, table.key), (found.iter().map(String::as_str).collect(), keys), "{}", table.name);
        }
    }
}
