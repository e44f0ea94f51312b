//! A batch statement by statement, for SQLite: its calls return at once, and each statement is prepared
//! once and bound to the values themselves.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postrider_core::target::TargetId;
use postrider_core::{EventId, SubscriptionId, TenantId, Timestamp};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSql, Value};
use rusqlite::{CachedStatement, Connection, OptionalExtension};
use sqlx::Sqlite;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::batch::{Batch, Committed, Settle};
use super::checkpoint::MOST_LOG_PAGES;
use super::scripts::Scripts;
use super::writer::Ledger;
use crate::db::Pool;
use crate::error::{Result, StoreError};
use crate::measure;
use crate::node_number::NodeNumber;
use crate::sql::LEASE_MARGIN;
use crate::sql::accept::{self, Accept};
use crate::sql::claimed_row::{ClaimWish, ClaimedRow};
use crate::sql::dialect::Cells;
use crate::sql::settle::{self, Seen, Settled};

/// How long a statement waits for a command beside this process to finish its own.
const BUSY: Duration = Duration::from_secs(5);

/// How long a delivery that cannot be read is left alone.
const DAMAGED_LEASE: Duration = Duration::from_secs(60);

/// Writes on a connection of its own.
pub(crate) struct Statements {
    connection: Connection,
    /// Held by whoever writes in this process. SQLite would let the others wait by sleeping.
    turn: Arc<Semaphore>,
    node: i64,
    sums: Sums,
    /// For settlements that come late.
    late: Scripts<Sqlite>,
}

/// The statements, each for one row. What they say is said elsewhere of many rows; an insert of plain
/// values and an update by key spare SQLite the journal that it keeps of a statement that may touch many
/// rows.
///
/// The node, or the time, is parameter 1; a row begins at 2, in the order in which its values are put in.
mod texts {
    pub(super) const VERSION: &str = "select catalogue_version from tenants where id = ?1 and deleted_at is null";

    /// Of those whose catalogue is the one that they were matched against.
    pub(super) const INSERT_EVENT: &str = "
        insert into events (tenant_id, id, event_type, payload, created_at, occurred_at, expires_at, resource_id,
            metadata, idempotency_key, trace_context, one_off_url, one_off_profile, request_hash, delivery_count,
            fan_out_after, catalogue_version)
        values (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
        on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing";

    pub(super) const INSERT_DELIVERY: &str = "
        insert into deliveries (tenant_id, id, event_id, target_kind, target_id, profile, lane, due_at, lease_until,
            claim, opened_version, state, node, strikes, tries, attempts, created_at, opened_at)
        values (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 0, ?1, ?11, 0, 0, ?9, ?9)";

    /// The time is parameter 1. `state + 0`, because with a million pending rows the planner is tempted by the small index on
    /// them, and scans it.
    pub(super) const UPDATE_DELIVERY: &str = "
        update deliveries set state = ?5, reason = ?6, due_at = coalesce(?7, due_at), lease_until = 0,
            claim = claim + 1, strikes = 0, marks = 0, tries = tries + ?8, attempts = attempts + ?8, settled_at = ?1
        where tenant_id = ?2 and id = ?3 and claim = ?4 and state + 0 = 0";

    /// The rows of a lane (1) that may be claimed at a time (2), at most so many (3). They are found in the index alone,
    /// which has those in flight first.
    pub(super) const SELECT_DUE: &str = "
        select d.tenant_id, d.id, d.event_id, d.target_kind, d.target_id, d.profile, d.claim, d.strikes, d.marks,
            d.tries, d.attempts,
            coalesce((select s.timeout_seconds from subscriptions s where s.id = d.target_id), 30), d.opened_at, d.opened_version
        from (
            select tenant_id as due_tenant, id as due_id from deliveries
            where state = 0 and lane = ?1 and due_at <= ?2 and lease_until <= ?2 order by due_at limit ?3
        )
        join deliveries d on d.tenant_id = due_tenant and d.id = due_id";

    pub(super) const LEASE: &str = "
        update deliveries set claim = claim + 1, strikes = strikes + 1, node = ?1, lease_until = ?4
        where tenant_id = ?2 and id = ?3";

    pub(super) const INSERT_ATTEMPT: &str = "
        insert into attempts (tenant_id, delivery_id, claim, number, started_at, outcome, http_status, message, url,
            request_headers, response_headers, response_body, remote_address, dns_us, connect_us, first_byte_us,
            total_us, late)
        values (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
        on conflict (delivery_id, claim) where delivery_id is not null do nothing";
}

/// The statements that add up, of which a batch needs few.
struct Sums {
    made: String,
    turned_away: String,
    stats: String,
}

impl Sums {
    fn new() -> Self {
        Self {
            made: accept::add_made("values (?2, ?1, ?3, 0)"),
            turned_away: accept::add_turned_away("values (?2, ?1, ?3)"),
            stats: settle::add_stats("values (?2, ?1, ?3, ?4, ?5)"),
        }
    }
}

/// What one transaction did.
struct Written {
    inserted: HashSet<EventId>,
    /// Whether each settlement found its row as its claim had left it.
    changed: Vec<bool>,
    claimed: Vec<Vec<ClaimedRow>>,
}

impl Statements {
    /// Opens a connection beside those of `pool`. `turn` has one permit for all who write.
    pub(crate) fn open(
        path: &Path,
        pool: Pool<Sqlite>,
        turn: Arc<Semaphore>,
        node: NodeNumber,
    ) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        // Commits are synced by the log, and checkpoints made beside the writer: see `sync.rs` and `checkpoint.rs`.
        connection
            .execute_batch("pragma synchronous = normal; pragma cache_size = -16000; pragma temp_store = memory")?;
        connection.execute_batch(&format!("pragma wal_autocheckpoint = {MOST_LOG_PAGES}"))?;
        // Else a statement with a limit is planned anew for each.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(32);
        let (number, late) = (node.get(), Scripts::new(pool, node));
        Ok(Self { connection, turn, node: number, sums: Sums::new(), late })
    }

    fn write(&self, batch: &Batch, now: Timestamp) -> rusqlite::Result<Written> {
        self.connection.prepare_cached("begin immediate")?.execute([])?;
        let changed = self.settle(&batch.settles, now)?;
        let inserted = self.accept(&batch.accepts, now)?;
        let claimed = batch.claims.iter().map(|claim| self.claim(claim.wish, now)).collect::<Result<_, _>>()?;
        batch.written();
        self.connection.prepare_cached("commit")?.execute([])?;
        Ok(Written { inserted, changed, claimed })
    }

    fn settle(&self, settles: &[Settle], now: Timestamp) -> rusqlite::Result<Vec<bool>> {
        if settles.is_empty() {
            return Ok(Vec::new());
        }
        let mut changed = Vec::with_capacity(settles.len());
        let mut seen = Seen::default();
        let mut outcomes = self.line(texts::UPDATE_DELIVERY, now.as_micros())?;
        let mut attempts = self.line(texts::INSERT_ATTEMPT, self.node)?;
        for Settle { settlement, .. } in settles {
            settle::put_outcome(&mut outcomes, settlement);
            let is_changed = outcomes.run()?;
            if is_changed {
                seen.note(settlement);
                if settle::put_attempt(&mut attempts, settlement, &Settled::IN_TIME) {
                    attempts.run()?;
                }
            }
            changed.push(is_changed);
        }
        let mut stats = self.line(&self.sums.stats, self.node)?;
        seen.put_each(&mut stats, |stats| stats.run().map(drop))?;
        Ok(changed)
    }

    fn accept(&self, accepts: &[Accept], now: Timestamp) -> rusqlite::Result<HashSet<EventId>> {
        let mut inserted = HashSet::with_capacity(accepts.len());
        if accepts.is_empty() {
            return Ok(inserted);
        }
        let mut versions = HashMap::new();
        let mut events = self.line(texts::INSERT_EVENT, self.node)?;
        let mut deliveries = self.line(texts::INSERT_DELIVERY, self.node)?;
        let mut made: BTreeMap<TenantId, i64> = BTreeMap::new();
        let mut turned_away: BTreeMap<SubscriptionId, i64> = BTreeMap::new();
        for accept in accepts {
            if self.version(accept.event.tenant_id, &mut versions)? != Some(accept.version) {
                continue;
            }
            accept::put_event(&mut events, accept);
            if !events.run()? {
                continue;
            }
            inserted.insert(accept.event.id);
            for target in &accept.targets {
                accept::put_delivery(&mut deliveries, accept, target, now);
                deliveries.run()?;
                *made.entry(accept.event.tenant_id).or_default() += 1;
            }
            for id in &accept.turned_away {
                *turned_away.entry(*id).or_default() += 1;
            }
        }
        self.add_up(&self.sums.made, made.into_iter().map(|(id, number)| (id.uuid(), number)))?;
        self.add_up(&self.sums.turned_away, turned_away.into_iter().map(|(id, number)| (id.uuid(), number)))?;
        Ok(inserted)
    }

    /// The version of a tenant's catalogue; nobody changes it during this transaction.
    fn version(
        &self,
        tenant_id: TenantId,
        known: &mut HashMap<TenantId, Option<i64>>,
    ) -> rusqlite::Result<Option<i64>> {
        if let Some(version) = known.get(&tenant_id) {
            return Ok(*version);
        }
        let mut statement = self.connection.prepare_cached(texts::VERSION)?;
        // A damaged one is no event's: those of other tenants are not to fail for it.
        let version = statement.query_row([tenant_id.uuid().as_bytes()], |row| Ok(row.get(0).ok()));
        let version = version.optional()?.flatten();
        known.insert(tenant_id, version);
        Ok(version)
    }

    fn claim(&self, wish: ClaimWish, now: Timestamp) -> rusqlite::Result<Vec<ClaimedRow>> {
        let limit = i64::try_from(wish.limit).unwrap_or(i64::MAX);
        let mut due = self.connection.prepare_cached(texts::SELECT_DUE)?;
        let mut found = due.query((wish.lane.0, now.as_micros(), limit))?;
        let (mut rows, mut damaged) = (Vec::new(), Vec::new());
        while let Some(row) = found.next()? {
            match claimed_row(row, now) {
                Ok(claimed) => rows.push(claimed),
                Err(error) => damaged.push((row.get::<_, Value>(0)?, row.get::<_, Value>(1)?, error)),
            }
        }
        let mut leases = self.line(texts::LEASE, self.node)?;
        for row in &rows {
            leases.uuid(Some(row.tenant_id.uuid()));
            leases.uuid(Some(row.id.uuid()));
            leases.time(Some(row.lease_until));
            leases.end_row();
            leases.run()?;
        }
        // Leased as it is, it is out of the others' way.
        for (tenant_id, id, error) in damaged {
            measure::damaged("deliveries");
            tracing::error!(delivery_id = ?id, %error, "a delivery cannot be read");
            leases.put(tenant_id);
            leases.put(id);
            leases.time(Some(now + DAMAGED_LEASE));
            leases.run()?;
        }
        Ok(rows)
    }

    fn add_up(&self, text: &str, numbers: impl Iterator<Item = (Uuid, i64)>) -> rusqlite::Result<()> {
        let mut line = self.line(text, self.node)?;
        for (id, number) in numbers {
            line.uuid(Some(id));
            line.int(Some(number));
            line.end_row();
            line.run()?;
        }
        Ok(())
    }

    /// A statement to run for one row after the other; `first` is its parameter 1.
    fn line(&self, text: &str, first: i64) -> rusqlite::Result<Line<'_>> {
        let mut statement = self.connection.prepare_cached(text)?;
        statement.raw_bind_parameter(FIRST_CELL - 1, first)?;
        Ok(Line { statement, next: FIRST_CELL, failed: None })
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            // Fails if SQLite has rolled back by itself, as it does when the disk is full.
            drop(self.connection.execute_batch("rollback"));
        }
    }
}

impl Ledger for Statements {
    async fn commit(&mut self, batch: &Batch, now: Timestamp) -> Result<Committed> {
        let turn = Arc::clone(&self.turn);
        let _turn = turn.acquire().await.map_err(|_| super::closed())?;
        let Written { inserted, changed, claimed } = self.write(batch, now).inspect_err(|_| self.roll_back())?;
        let mut settled = Vec::with_capacity(changed.len());
        for (settle, is_changed) in batch.settles.iter().zip(changed) {
            settled.push(if is_changed {
                Ok(Settled::IN_TIME)
            } else {
                self.late.settle(&settle.settlement, now).await
            });
        }
        Ok(Committed { inserted, settled, claimed, at: now })
    }
}

fn claimed_row(row: &rusqlite::Row<'_>, now: Timestamp) -> rusqlite::Result<ClaimedRow> {
    let timeout = Duration::from_secs(row.get::<_, u32>(11)?.into());
    Ok(ClaimedRow {
        tenant_id: id(row, 0)?,
        id: id(row, 1)?,
        event_id: id(row, 2)?,
        target: TargetId::from_stored(row.get(3)?, id(row, 4)?),
        profile: row.get(5)?,
        claim: row.get::<_, i64>(6)? + 1,
        strikes: row.get::<_, i64>(7)? + 1,
        marks: row.get(8)?,
        tries: row.get(9)?,
        attempts: row.get(10)?,
        opened_at: Timestamp::from_micros(row.get(12)?),
        opened_version: row.get(13)?,
        lease_until: now + timeout + LEASE_MARGIN,
    })
}

fn id<T: From<Uuid>>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T> {
    row.get::<_, [u8; 16]>(column).map(|bytes| Uuid::from_bytes(bytes).into())
}

/// The parameter that rows begin at.
const FIRST_CELL: usize = 2;

/// A statement that takes a row at a time.
struct Line<'c> {
    statement: CachedStatement<'c>,
    next: usize,
    failed: Option<rusqlite::Error>,
}

impl Line<'_> {
    fn put(&mut self, value: impl ToSql) {
        let bound = self.statement.raw_bind_parameter(self.next, value);
        self.next += 1;
        if let Err(error) = bound {
            self.failed.get_or_insert(error);
        }
    }

    /// Runs the statement for the row that was put in. Whether it changed one.
    fn run(&mut self) -> rusqlite::Result<bool> {
        self.next = FIRST_CELL;
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(self.statement.raw_execute()? > 0),
        }
    }
}

impl Cells for Line<'_> {
    fn uuid(&mut self, value: Option<Uuid>) {
        self.put(value.as_ref().map(|uuid| uuid.as_bytes().as_slice()));
    }

    fn int(&mut self, value: Option<i64>) {
        self.put(value);
    }

    fn text(&mut self, value: Option<&str>) {
        self.put(value);
    }

    fn bytes(&mut self, value: Option<&[u8]>) {
        self.put(value);
    }

    fn end_row(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::plan::plan_of;

    #[tokio::test]
    async fn a_claim_looks_at_no_row_that_it_does_not_get() {
        let plan = plan_of(texts::SELECT_DUE).await;
        for expected in [
            "SEARCH deliveries USING COVERING INDEX deliveries_pending (lane=? AND due_at<?)",
            "SEARCH d USING PRIMARY KEY (tenant_id=? AND id=?)",
        ] {
            assert!(plan.iter().any(|step| step == expected), "{plan:#?}");
        }
    }

    /// With a million pending rows, planners are tempted by the small index on them, and scan it.
    #[tokio::test]
    async fn an_outcome_finds_its_row_by_the_primary_key() {
        let of_many = settle::update_step::<Sqlite>().sql;
        for update in [texts::UPDATE_DELIVERY.to_owned(), of_many] {
            let plan = plan_of(&update).await;
            let expected = "SEARCH deliveries USING PRIMARY KEY (tenant_id=? AND id=?)";
            assert!(plan.iter().any(|step| step == expected), "{plan:#?}");
        }
    }
}
