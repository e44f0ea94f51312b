//! Who is there: the table `cluster_nodes`, and an advisory lock for each number.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use postrider_core::{Timestamp, World};
use sqlx::Row;
use sqlx::postgres::PgListener;
use uuid::Uuid;

use super::namespace::Namespace;
use crate::error::{Result, StoreError};
use crate::version::Version;

/// More processes than any database serves.
const NUMBERS: i64 = 1000;
/// A process whose lock is gone for so long is gone. One that lost its session only, or whose
/// database was restarted, has taken its lock again by then.
const GRACE: Duration = Duration::from_secs(4);
/// The same for one that has just lost its own session: the others lost theirs with the server, and some take longer to find
/// the next one.
const GRACE_AFTER_A_LOSS: Duration = Duration::from_secs(12);

/// A process's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Registration {
    pub(super) number: i64,
    pub(super) incarnation: Uuid,
}

/// Since when the locks of others were seen to be gone.
#[derive(Debug)]
pub(super) struct Watch {
    gone_since: HashMap<Uuid, Instant>,
    grace: Duration,
}

impl Default for Watch {
    fn default() -> Self {
        Self { gone_since: HashMap::new(), grace: GRACE }
    }
}

impl Watch {
    /// That of a process that lost its session a moment ago.
    pub(super) fn after_a_loss() -> Self {
        Self { grace: GRACE_AFTER_A_LOSS, ..Self::default() }
    }
}

/// Takes the number of before, if nobody declared it gone; otherwise the lowest that nobody has.
pub(super) async fn register(
    listener: &mut PgListener,
    namespace: &Namespace,
    before: Option<Registration>,
    world: &World,
    now: Timestamp,
) -> Result<Registration> {
    let known = registrations(listener).await?;
    if let Some(before) = before.filter(|before| known.contains(before))
        && try_lock(listener, namespace, before.number).await?
    {
        return Ok(before);
    }
    let incarnation = Uuid::from_bytes(world.random_bytes());
    for number in 0..NUMBERS {
        if known.iter().any(|other| other.number == number) || !try_lock(listener, namespace, number).await? {
            continue;
        }
        let sql =
            "insert into cluster_nodes (number, incarnation, started_at) values ($1, $2, $3) on conflict do nothing";
        let query = sqlx::query(sql).bind(number).bind(incarnation).bind(now.as_micros());
        if query.execute(&mut *listener).await?.rows_affected() == 1 {
            return Ok(Registration { number, incarnation });
        }
        let unlock = sqlx::query("select pg_advisory_unlock($1, $2)").bind(namespace.locks).bind(key(number));
        unlock.execute(&mut *listener).await?;
    }
    Err(StoreError::Unusable("more processes serve this database than there are numbers for".to_owned()))
}

/// Leaves, with nothing claimed any more.
pub(super) async fn unregister(listener: &mut PgListener, mine: Registration) -> Result<()> {
    let query = sqlx::query("delete from cluster_nodes where number = $1 and incarnation = $2");
    query.bind(mine.number).bind(mine.incarnation).execute(listener).await?;
    Ok(())
}

/// The processes that are gone, and still registered.
///
/// # Errors
/// [`StoreError::Unavailable`] also if somebody declared this process gone.
pub(super) async fn look_around(
    listener: &mut PgListener,
    namespace: &Namespace,
    mine: Registration,
    watch: &mut Watch,
) -> Result<Vec<Registration>> {
    let known = registrations(listener).await?;
    if !known.contains(&mine) {
        return Err(StoreError::Unavailable("another process thought this one gone".to_owned()));
    }
    let locked = locked_numbers(listener, namespace).await?;
    watch.gone_since.retain(|incarnation, _| known.iter().any(|node| node.incarnation == *incarnation));
    let mut gone = Vec::new();
    for node in known {
        if locked.contains(&node.number) {
            watch.gone_since.remove(&node.incarnation);
        } else if watch.gone_since.entry(node.incarnation).or_insert_with(Instant::now).elapsed() >= watch.grace {
            gone.push(node);
        }
    }
    Ok(gone)
}

/// The least version of a program that may serve.
pub(super) async fn least_version(listener: &mut PgListener) -> Result<Version> {
    let query = sqlx::query_scalar("select least_version from installation where id = 1");
    Ok(Version::from_stored(query.fetch_one(listener).await?))
}

async fn registrations(listener: &mut PgListener) -> Result<Vec<Registration>> {
    let rows = sqlx::query("select number, incarnation from cluster_nodes order by number").fetch_all(listener).await?;
    rows.iter()
        .map(|row| Ok(Registration { number: row.try_get(0)?, incarnation: row.try_get(1)? }))
        .collect::<Result<_, sqlx::Error>>()
        .map_err(StoreError::from)
}

async fn locked_numbers(listener: &mut PgListener, namespace: &Namespace) -> Result<Vec<i64>> {
    let query = sqlx::query_scalar(
        "select l.objid::bigint from pg_locks l join pg_database d on d.oid = l.database
         where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid::bigint = $1
             and d.datname = current_database()",
    );
    Ok(query.bind(namespace.lock_class()).fetch_all(listener).await?)
}

async fn try_lock(listener: &mut PgListener, namespace: &Namespace, number: i64) -> Result<bool> {
    let query = sqlx::query_scalar("select pg_try_advisory_lock($1, $2)").bind(namespace.locks).bind(key(number));
    Ok(query.fetch_one(listener).await?)
}

/// Numbers are below [`NUMBERS`].
pub(super) fn key(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
