//! Taking over what a process that is gone had claimed: in pages, on a connection of its own, so that this process' own
//! session answers meanwhile.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postrider_core::lanes::LaneId;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::registry::{LOCKS, Registration, key};
use super::{KEEP_ALIVE, SessionOptions};
use crate::error::Result;
use crate::hand_over::HandOver;
use crate::open::postgres::BY_INDEX;
use crate::sql::{Pages, Work};

/// How long a page should take.
const PAGE_TIME: Duration = Duration::from_millis(200);
/// Rows looked up at once.
const FOUND: i64 = 100_000;
/// Until rows that others hold are tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Settings of the connection, beside those that show that it is cut off. In milliseconds.
const LIMITS: [(&str, &str); 2] = [("statement_timeout", "15000"), ("lock_timeout", "5000")];

/// The take-overs under way.
#[derive(Clone, Debug, Default)]
pub(super) struct TakeOvers {
    from: Arc<Mutex<HashSet<Uuid>>>,
    tasks: TaskTracker,
}

/// A delivery that a process had claimed.
struct Leased {
    tenant_id: Uuid,
    id: Uuid,
    lane: LaneId,
}

impl TakeOvers {
    /// Begins to take over from a process, unless that is under way. Should it fail, it is begun again when the process is
    /// next seen to be gone.
    pub(super) fn begin(&self, node: Registration, options: &SessionOptions, stop: &CancellationToken) {
        if !self.lock().insert(node.incarnation) {
            return;
        }
        let connect = options.connect.clone().options(KEEP_ALIVE).options(LIMITS).options(BY_INDEX);
        let (under_way, hand_over, stop) = (self.clone(), options.hand_over.clone(), stop.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                taken = take_over(&connect, node, &hand_over) => match taken {
                    Ok(Some(deliveries)) => {
                        tracing::warn!(node = node.number, deliveries, "a process is gone; took over what it had in flight");
                    }
                    Ok(None) => {}
                    Err(error) => tracing::warn!(node = node.number, %error, "cannot take over yet"),
                },
                () = stop.cancelled() => {}
            }
            under_way.lock().remove(&node.incarnation);
        });
    }

    /// Waits until none is under way; those that were told to stop end at once.
    pub(super) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.from.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Frees the leases of a process that is gone, and its number when none is left. How many; `None` if somebody else is at it,
/// or the process is back.
async fn take_over(connect: &PgConnectOptions, node: Registration, hand_over: &HandOver) -> Result<Option<u64>> {
    let mut connection = PgConnection::connect_with(connect).await?;
    // For as long as the connection lives: nobody can take the number meanwhile.
    let lock = sqlx::query_scalar::<_, bool>("select pg_try_advisory_lock($1, $2)");
    if !lock.bind(LOCKS).bind(key(node.number)).fetch_one(&mut connection).await? {
        return Ok(None);
    }
    let known =
        sqlx::query_scalar::<_, bool>("select exists (select 1 from nodes where number = $1 and incarnation = $2)");
    if !known.bind(node.number).bind(node.incarnation).fetch_one(&mut connection).await? {
        return Ok(None);
    }
    let mut freed = 0;
    loop {
        let leased = leased_by(&mut connection, node.number).await?;
        if leased.is_empty() {
            break;
        }
        let freed_now = free_all(&mut connection, node.number, &leased, hand_over).await?;
        freed += freed_now;
        if freed_now == 0 {
            tokio::time::sleep(AGAIN).await;
        }
    }
    let gone = sqlx::query("delete from nodes where number = $1 and incarnation = $2");
    gone.bind(node.number).bind(node.incarnation).execute(&mut connection).await?;
    connection.close().await?;
    Ok(Some(freed))
}

/// Frees those of the rows that nobody else holds, in pages. How many.
async fn free_all(connection: &mut PgConnection, number: i64, leased: &[Leased], hand_over: &HandOver) -> Result<u64> {
    let (pages, mut freed, mut rest) = (Pages::default(), 0, leased);
    while !rest.is_empty() {
        let (page, later) = rest.split_at(pages.limit(Work::TakeOver).min(rest.len()));
        let begun = Instant::now();
        match free(connection, number, page).await {
            Ok(rows) => freed += rows,
            Err(error) if error.is_temporary() && pages.shrink(Work::TakeOver) => continue,
            Err(error) => return Err(error),
        }
        pages.took(Work::TakeOver, begun.elapsed(), PAGE_TIME);
        let lanes: BTreeSet<LaneId> = page.iter().map(|leased| leased.lane).collect();
        lanes.into_iter().for_each(|lane| hand_over.wake(lane));
        rest = later;
    }
    Ok(freed)
}

/// Rows that bear the number and are leased.
async fn leased_by(connection: &mut PgConnection, number: i64) -> Result<Vec<Leased>> {
    let sql = "select tenant_id, id, lane from deliveries where state = 0 and lease_until > 0 and node = $1 limit $2";
    let rows = sqlx::query(sql).bind(number).bind(FOUND).fetch_all(connection).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        Ok(Leased { tenant_id: row.try_get(0)?, id: row.try_get(1)?, lane: LaneId(row.try_get(2)?) })
    };
    let mut leased = rows.iter().map(read).collect::<Result<Vec<_>, sqlx::Error>>()?;
    // Everybody locks deliveries in this order.
    leased.sort_unstable_by_key(|leased| (leased.tenant_id, leased.id));
    Ok(leased)
}

/// Frees those of the rows that nobody else holds. How many.
async fn free(connection: &mut PgConnection, number: i64, rows: &[Leased]) -> Result<u64> {
    let (tenants, ids): (Vec<Uuid>, Vec<Uuid>) = rows.iter().map(|leased| (leased.tenant_id, leased.id)).unzip();
    Ok(sqlx::query(FREE).bind(number).bind(tenants).bind(ids).execute(connection).await?.rows_affected())
}

/// Parameters are the number, and the tenants and ids of deliveries.
pub(crate) const FREE: &str = "with free as materialized (
             select d.tenant_id, d.id from unnest($2::uuid[], $3::uuid[]) r (tenant_id, id)
                 join deliveries d on d.tenant_id = r.tenant_id and d.id = r.id
             where d.state + 0 = 0 and d.lease_until > 0 and d.node = $1
             order by d.tenant_id, d.id for update of d skip locked
         )
         update deliveries set lease_until = 0 from free where deliveries.tenant_id = free.tenant_id and deliveries.id = free.id";
