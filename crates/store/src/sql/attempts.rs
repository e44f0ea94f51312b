//! Rows of `attempts`.

use postrider_core::attempt::{Attempt, AttemptOutcome, Exchange, Timings};
use postrider_core::{DeliveryId, LogId, ReplayId, TenantId};
use uuid::Uuid;

use super::dialect::{Cells, RowSet};
use super::query::readable;
use super::settle::{ATTEMPT, put_exchange};
use super::{Dialect, Query, Row, Sql};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::shares::Who;

const COLUMNS: &str = "log_id, delivery_id, number, started_at, outcome, http_status, message, url, request_headers,
    response_headers, response_body, remote_address, dns_us, connect_us, first_byte_us, total_us,
    (select r.replay_id from reopenings r where r.delivery_id = attempts.delivery_id and r.attempts < attempts.number
         order by r.at desc limit 1)";

/// Attempts shown with their delivery: those of the longest schedule, and some by hand.
const SHOWN: i64 = 50;

fn read<DB: Dialect>(row: &Row<DB>) -> Result<Attempt> {
    let status = row.get::<Option<i64>>(5)?.map(u16::try_from).transpose();
    Ok(Attempt {
        log_id: LogId(row.get(0)?),
        delivery_id: row.get::<Option<Uuid>>(1)?.map(DeliveryId::from),
        number: row.get(2)?,
        started_at: row.time(3)?,
        outcome: AttemptOutcome::from_code(row.get(4)?).ok_or(StoreError::Damaged("an attempt's outcome"))?,
        status: status.map_err(|_| StoreError::Damaged("an attempt's status"))?,
        message: row.get(6)?,
        url: row.get(7)?,
        request_headers: row.get(8)?,
        response_headers: row.get(9)?,
        response_body: row.get::<Option<Vec<u8>>>(10)?.unwrap_or_default(),
        remote_address: row.get(11)?,
        timings: Timings {
            dns_us: row.get(12)?,
            connect_us: row.get(13)?,
            first_byte_us: row.get(14)?,
            total_us: row.get(15)?,
        },
        replay_id: row.get::<Option<Uuid>>(16)?.map(ReplayId::from),
    })
}

/// The last attempts of a delivery, the first first.
pub(super) async fn of_delivery<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    id: DeliveryId,
) -> Result<Vec<Attempt>> {
    let sql = format!(
        "select {COLUMNS} from attempts where delivery_id = $1 and tenant_id = $2 order by claim desc limit $3"
    );
    let query = Query::<DB>::assembled(sql).id(id.uuid()).id(tenant_id.uuid()).bind(SHOWN);
    let mut attempts = readable("attempts", &query.rows(db).await?, read);
    attempts.reverse();
    Ok(attempts)
}

impl<DB: Dialect> Sql<DB> {
    pub(super) async fn find_attempt(&self, tenant_id: TenantId, id: LogId) -> Result<Option<Attempt>> {
        let sql = format!("select {COLUMNS} from attempts where log_id = $1 and tenant_id = $2");
        let query = Query::<DB>::assembled(sql).bind(id.0).id(tenant_id.uuid());
        query.row(&mut *self.reader(Who::Tenant(tenant_id)).await?).await?.as_ref().map(read).transpose()
    }

    pub(super) async fn insert_test(&self, tenant_id: TenantId, exchange: &Exchange) -> Result<LogId> {
        let columns = ATTEMPT.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let source = DB::Rows::source(ATTEMPT, 1);
        let sql =
            format!("insert into attempts ({columns}) select {columns} from {source} r where true returning log_id");
        let mut rows = DB::Rows::new(ATTEMPT);
        rows.uuid(Some(tenant_id.uuid()));
        rows.uuid(None);
        rows.int(None);
        rows.int(Some(1));
        put_exchange(&mut rows, exchange, false);
        let mut tx = self.begin().await?;
        let row = Query::<DB>::assembled(sql).bind_rows(rows).row(&mut tx).await?;
        let log_id = row.ok_or(StoreError::Damaged("a test was not recorded"))?.get(0)?;
        tx.commit().await?;
        Ok(LogId(log_id))
    }
}
