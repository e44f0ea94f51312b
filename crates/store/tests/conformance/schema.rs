//! The two migrated schemas are the same, but for what the databases call things.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};

use crate::fixture::{Database, Fixture};

/// Only processes on PostgreSQL have to know each other.
const ONLY_POSTGRES: [&str; 1] = ["cluster_nodes"];

/// SQLite's claims find all that they ask for in the index; PostgreSQL's write a lease without touching one.
const PENDING: [&str; 2] = [
    "create index deliveries_pending on deliveries(lane, due_at, lease_until) where state = 0",
    "create index deliveries_pending on deliveries(lane, due_at) where state = 0",
];

/// What a table is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Table {
    /// Name, class, whether null is permitted; in order.
    columns: Vec<(String, &'static str, bool)>,
    primary_key: Vec<String>,
    /// Normalised definitions.
    indexes: BTreeSet<String>,
}

type Schema = BTreeMap<String, Table>;

#[tokio::test]
async fn both_databases_have_the_same() {
    let sqlite = Fixture::on(Database::sqlite()).await;
    let postgres = Fixture::on(Database::postgres().await).await;
    let (mut of_sqlite, mut of_postgres) =
        (sqlite_schema(&sqlite.database.url()).await, postgres_schema(&postgres.database.url()).await);
    for name in ONLY_POSTGRES {
        assert!(of_postgres.remove(name).is_some() && !of_sqlite.contains_key(name), "{name}");
    }
    assert_eq!(of_sqlite.keys().collect::<Vec<_>>(), of_postgres.keys().collect::<Vec<_>>());
    assert!(of_sqlite.len() > 5, "the tables are found");
    let [pending, leaner] = PENDING;
    let deliveries = of_sqlite.get_mut("deliveries").expect("a table");
    assert!(deliveries.indexes.remove(pending) && deliveries.indexes.insert(leaner.to_owned()), "{deliveries:?}");
    while let Some((name, table)) = of_sqlite.pop_first() {
        assert_eq!(Some(table), of_postgres.remove(&name), "{name}");
    }
}

/// The classes that the store's dialects make no difference between.
fn class(of: &str) -> &'static str {
    match of.to_lowercase().as_str() {
        "blob" | "uuid" | "bytea" => "bytes",
        "bigint" | "integer" => "number",
        "text" => "text",
        other => panic!("no column is {other}"),
    }
}

/// An index without what differs in how it is printed.
fn normalised(definition: &str) -> String {
    let plain = definition.to_lowercase().replace("public.", "").replace("using btree ", "");
    let plain = plain.replace(" where (", " where ");
    let plain = if plain.contains(" where ") { plain.trim_end_matches(')').to_owned() } else { plain };
    plain.split_whitespace().collect::<Vec<_>>().join(" ").replace(" (", "(")
}

async fn sqlite_schema(url: &str) -> Schema {
    let mut db = SqliteConnection::connect(url).await.expect("opens");
    let tables =
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' and name not like '\\_%'
         escape '\\'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut db).await.expect("read");
    let mut schema = Schema::new();
    for name in tables {
        let columns = format!("select name, type, \"notnull\", pk from pragma_table_info('{name}')");
        let mut table = Table::default();
        let mut key: Vec<(i64, String)> = Vec::new();
        for row in sqlx::query(AssertSqlSafe(columns)).fetch_all(&mut db).await.expect("read") {
            let (column, place): (String, i64) = (row.get(0), row.get(3));
            let nullable = row.get::<i64, _>(2) == 0 && place == 0;
            table.columns.push((column.clone(), class(row.get(1)), nullable));
            if place > 0 {
                key.push((place, column));
            }
        }
        key.sort();
        table.primary_key = key.into_iter().map(|(_, column)| column).collect();
        let indexes = "select sql from sqlite_schema where type = 'index' and tbl_name = $1 and sql is not null";
        let indexes: Vec<String> = sqlx::query_scalar(indexes).bind(&name).fetch_all(&mut db).await.expect("read");
        table.indexes = indexes.iter().map(|sql| normalised(sql)).collect();
        schema.insert(name, table);
    }
    schema
}

async fn postgres_schema(url: &str) -> Schema {
    let mut db = PgConnection::connect(url).await.expect("opens");
    let mut schema = Schema::new();
    let columns = "select table_name::text, column_name::text, data_type::text, is_nullable::text
         from information_schema.columns where table_schema = 'public' order by table_name, ordinal_position";
    for row in sqlx::query(columns).fetch_all(&mut db).await.expect("read") {
        let name: String = row.get(0);
        if name.starts_with('_') {
            continue;
        }
        let nullable = row.get::<String, _>(3) == "YES";
        schema.entry(name).or_default().columns.push((row.get(1), class(row.get(2)), nullable));
    }
    let indexes = "select i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid), i.indisprimary,
             array(select a.attname::text from unnest(i.indkey) with ordinality k(attnum, place)
                 join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum order by k.place)
         from pg_index i join pg_class c on c.oid = i.indrelid
         where c.relnamespace = 'public'::regnamespace";
    for row in sqlx::query(indexes).fetch_all(&mut db).await.expect("read") {
        let Some(table) = schema.get_mut(&row.get::<String, _>(0)) else { continue };
        if row.get::<bool, _>(2) {
            table.primary_key = row.get(3);
        } else {
            table.indexes.insert(normalised(row.get(1)));
        }
    }
    schema
}
