//! Whether a connection is a session of its own: poolers may give one of the server's to many.

use postrider_core::World;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::Servers;
use crate::error::{Result, StoreError};

const REFUSAL: &str = "a pooler gives its sessions to several clients at once (`pool_mode = transaction` or `statement`), and Postrider \
                       needs its own: set `pool_mode = session` for this database, or connect to PostgreSQL directly";

/// Proves that settings, locks and prepared statements of a connection are its own.
///
/// # Errors
/// [`StoreError::Unusable`] if they are not.
pub(crate) async fn check(servers: &Servers, world: &World) -> Result<()> {
    let mark = format!("{:032x}", u128::from_ne_bytes(world.random_bytes()));
    let (mut one, _) = servers.open(&[]).await?;
    let (mut other, _) = servers.open(&[]).await?;
    run(&mut one, &format!("select set_config('postrider.session', '{mark}', false)")).await?;
    // A transaction keeps a session for itself: what `one` does meanwhile is on another, unless it has its own.
    let is_whole = run(&mut other, "begin").await.is_ok();
    let (seen, kept) = (marked(&mut other).await, marked(&mut one).await);
    let is_own = is_whole && seen.is_ok_and(|seen| seen != mark) && kept.is_ok_and(|kept| kept == mark);
    if is_own { Ok(()) } else { Err(StoreError::Unusable(REFUSAL.to_owned())) }
}

async fn run(connection: &mut PgConnection, sql: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(())
}

/// The mark that is on a session.
async fn marked(connection: &mut PgConnection) -> Result<String> {
    let sql = "select coalesce(current_setting('postrider.session', true), '')";
    Ok(sqlx::raw_sql(sql).fetch_one(connection).await?.try_get(0)?)
}
