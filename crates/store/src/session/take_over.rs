//! Taking over what a process that is gone had claimed: in pages, on a connection of its own, so that this process' own
//! session answers meanwhile.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postrider_core::lanes::LaneId;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments, Postgres, SqlSafeStr};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::namespace::Namespace;
use super::registry::{Registration, key};
use super::{KEEP_ALIVE, SessionOptions};
use crate::db::{Connection, Link};
use crate::error::Result;
use crate::hand_over::HandOver;
use crate::open::postgres::{BY_INDEX, LIMITS};
use crate::sql::{Pages, Query, Row, Work};

/// How long a page should take.
const PAGE_TIME: Duration = Duration::from_millis(200);
/// Rows looked up at once.
const FOUND: i64 = 100_000;
/// Until rows that others hold are tried again.
const AGAIN: Duration = Duration::from_millis(500);

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
    pub(super) fn begin(
        &self,
        node: Registration,
        namespace: &Namespace,
        options: &SessionOptions,
        stop: &CancellationToken,
    ) {
        if !self.lock().insert(node.incarnation) {
            return;
        }
        let link = Link { servers: Arc::clone(&options.servers), settings: vec![LIMITS, BY_INDEX, KEEP_ALIVE] };
        let (under_way, hand_over, stop) = (self.clone(), options.hand_over.clone(), stop.clone());
        let locks = namespace.locks;
        self.tasks.spawn(async move {
            tokio::select! {
                taken = take_over(link, locks, node, &hand_over) => match taken {
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
async fn take_over(link: Link, locks: i32, node: Registration, hand_over: &HandOver) -> Result<Option<u64>> {
    let mut connection = Connection::<Postgres>::open(Arc::new(link)).await?;
    // For as long as the connection lives: nobody can take the number meanwhile.
    let lock = Query::<Postgres>::new("select pg_try_advisory_lock($1::int, $2::int)::int::bigint");
    let lock = lock.bind(i64::from(locks)).bind(i64::from(key(node.number)));
    if !is_true(lock, &mut connection).await? {
        return Ok(None);
    }
    let known = Query::<Postgres>::new(
        "select exists (select 1 from cluster_nodes where number = $1 and incarnation = $2)::int::bigint",
    );
    if !is_true(known.bind(node.number).id(node.incarnation), &mut connection).await? {
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
    let gone = Query::<Postgres>::new("delete from cluster_nodes where number = $1 and incarnation = $2");
    gone.bind(node.number).id(node.incarnation).run(&mut connection).await?;
    connection.close().await;
    Ok(Some(freed))
}

/// Whether the one value is 1.
async fn is_true(query: Query<Postgres>, connection: &mut Connection<Postgres>) -> Result<bool> {
    Ok(query.row(connection).await?.map(|row| row.get::<i64>(0)).transpose()? == Some(1))
}

/// Frees those of the rows that nobody else holds, in pages. How many.
async fn free_all(
    connection: &mut Connection<Postgres>,
    number: i64,
    leased: &[Leased],
    hand_over: &HandOver,
) -> Result<u64> {
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
async fn leased_by(connection: &mut Connection<Postgres>, number: i64) -> Result<Vec<Leased>> {
    let sql = "select tenant_id, id, lane from deliveries where state = 0 and lease_until > 0 and node = $1 limit $2";
    let rows = Query::<Postgres>::new(sql).bind(number).bind(FOUND).rows(connection).await?;
    let read = |row: &Row<Postgres>| Ok(Leased { tenant_id: row.get(0)?, id: row.get(1)?, lane: LaneId(row.get(2)?) });
    let mut leased = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    // Everybody locks deliveries in this order.
    leased.sort_unstable_by_key(|leased| (leased.tenant_id, leased.id));
    Ok(leased)
}

/// Frees those of the rows that nobody else holds. How many.
async fn free(connection: &mut Connection<Postgres>, number: i64, rows: &[Leased]) -> Result<u64> {
    let (tenants, ids): (Vec<Uuid>, Vec<Uuid>) = rows.iter().map(|leased| (leased.tenant_id, leased.id)).unzip();
    connection.run(FREE.into_sql_str(), arguments(number, tenants, ids).map_err(sqlx::Error::Encode)?).await
}

fn arguments(number: i64, tenants: Vec<Uuid>, ids: Vec<Uuid>) -> Result<PgArguments, BoxDynError> {
    let mut arguments = PgArguments::default();
    arguments.add(number)?;
    arguments.add(tenants)?;
    arguments.add(ids)?;
    Ok(arguments)
}

/// Parameters are the number, and the tenants and ids of deliveries.
pub(crate) const FREE: &str = "with free as materialized (
             select d.tenant_id, d.id from unnest($2::uuid[], $3::uuid[]) r (tenant_id, id)
                 join deliveries d on d.tenant_id = r.tenant_id and d.id = r.id
             where d.state + 0 = 0 and d.lease_until > 0 and d.node = $1
             order by d.tenant_id, d.id for update of d skip locked
         )
         update deliveries set lease_until = 0 from free where deliveries.tenant_id = free.tenant_id and deliveries.id = free.id";
