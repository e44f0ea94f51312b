//! How PostgreSQL goes about the statements that change deliveries, on connections as writers have them and with tables about
//! which nothing is known: they find their rows by index, and lock them in the order in which everybody does.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::fixture::Fixture;

/// Settings of writers, and a plan for whatever values come.
const SETTINGS: &str = "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; set plan_cache_mode = force_generic_plan";

/// Tables that grow.
const LARGE: [&str; 5] = ["deliveries", "attempts", "events", "reopenings", "subscription_versions"];

async fn plan_of(db: &mut PgConnection, sql: &str) -> Vec<String> {
    db.execute(AssertSqlSafe(format!("prepare planned as {sql}")))
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let parameters = "select cardinality(parameter_types) from pg_prepared_statements where name = 'planned'";
    let count: i32 = sqlx::query_scalar(parameters).fetch_one(&mut *db).await.expect("prepared");
    let nulls = vec!["null"; usize::try_from(count).expect("few")].join(", ");
    let explain = format!("explain (costs off) execute planned({nulls})");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *db).await.expect("explained");
    db.execute("deallocate planned").await.expect("forgotten");
    rows.iter().map(|row| row.get(0)).collect()
}

/// The lines of a plan below the first that begins with this, as far as they belong to it.
fn below<'p>(plan: &'p [String], node: &str) -> Vec<&'p str> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let Some(at) = plan.iter().position(|line| line.trim_start().trim_start_matches("->  ").starts_with(node)) else {
        return Vec::new();
    };
    let of_it = plan[at + 1..].iter().take_while(|line| depth(line) > depth(&plan[at]));
    of_it.map(String::as_str).collect()
}

pub(crate) async fn rows_are_found_by_index_and_locked_in_order(f: Fixture) {
    let mut db = PgConnection::connect(&f.database.url()).await.expect("connects");
    db.execute(SETTINGS).await.expect("set");
    let statements = postrider_store::shared_statements();
    assert!(statements.len() > 10);
    for (what, sql) in statements {
        let plan = plan_of(&mut db, &sql).await;
        let text = plan.join("\n");
        for table in LARGE {
            assert!(!text.contains(&format!("Seq Scan on {table}")), "{what}:\n{sql}\n{text}");
        }
        let scans = plan.windows(2).filter(|lines| lines[0].contains("Index Scan"));
        for lines in scans.filter(|lines| LARGE.iter().any(|table| lines[0].contains(&format!(" on {table}")))) {
            assert!(lines[1].trim_start().starts_with("Index Cond: "), "{what} goes through an index:\n{sql}\n{text}");
        }
        let by_tenant = plan.iter().any(|line| line.trim() == "Index Cond: (tenant_id = $1)");
        assert!(!by_tenant || what == "pending of a target", "{what} goes through all of a tenant:\n{sql}\n{text}");
        match what {
            // In the order of the rows that were bound, which are sorted.
            "outcomes" => {
                let update = below(&plan, "Update on deliveries");
                let steps: Vec<&&str> = update.iter().filter(|line| line.contains("->")).collect();
                let expected = ["Nested Loop", "Function Scan on", "Index Scan using deliveries_pkey on deliveries"];
                assert!(steps.len() >= expected.len(), "{what}:\n{text}");
                for (step, expected) in steps.iter().zip(expected) {
                    assert!(step.contains(expected), "{what}: {step} instead of {expected}\n{text}");
                }
            }
            // Locked by id first, then changed.
            "discards" | "changes of lane" | "take-over" => {
                let locked = below(&plan, "LockRows").join("\n");
                assert!(locked.contains("Sort Key: "), "{what}:\n{text}");
            }
            _ => {}
        }
    }
}
