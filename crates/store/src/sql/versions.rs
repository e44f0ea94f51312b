//! Catalogue versions as they are in the database this moment, asked for many deliveries at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postrider_core::TenantId;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::dialect::{Cells, Dialect, Kind, RowSet, Schema};
use super::query::Query;
use crate::db::Pool;
use crate::error::{Result, StoreError};

/// Most who are answered by one question.
const AT_ONCE: usize = 1024;

const TENANT: Schema = &[("id", Kind::Uuid)];

type Reply = oneshot::Sender<Option<i64>>;

/// Asks the database which versions are the newest: while one question is under way, those who
/// arrive wait for the next one together.
pub(super) struct Versions {
    line: Arc<Line>,
    asker: JoinHandle<()>,
}

struct Line {
    /// None when closed.
    waiting: Mutex<Option<Vec<(TenantId, Reply)>>>,
    arrived: Notify,
}

impl Line {
    fn take(&self) -> Vec<(TenantId, Reply)> {
        let mut waiting = self.lock();
        let Some(waiting) = waiting.as_mut() else { return Vec::new() };
        let count = waiting.len().min(AT_ONCE);
        waiting.drain(..count).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<(TenantId, Reply)>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Versions {
    pub(super) fn start<DB: Dialect>(pool: Pool<DB>) -> Self {
        let line = Arc::new(Line { waiting: Mutex::new(Some(Vec::new())), arrived: Notify::new() });
        let asker = tokio::spawn(ask_on(pool, Arc::clone(&line)));
        Self { line, asker }
    }

    /// Asks nothing more, and lets go of its connection.
    pub(super) fn close(&self) {
        // Whoever waits hears that there is no answer.
        self.line.lock().take();
        self.asker.abort();
    }

    /// The version of a tenant's catalogue, not older than this call. `None` if there is no such tenant.
    pub(super) async fn newest(&self, tenant_id: TenantId) -> Result<Option<i64>> {
        let (reply, answer) = oneshot::channel();
        self.line.lock().as_mut().ok_or_else(no_answer)?.push((tenant_id, reply));
        self.line.arrived.notify_one();
        answer.await.map_err(|_| no_answer())
    }
}

fn no_answer() -> StoreError {
    StoreError::Unavailable("catalogue versions cannot be read".to_owned())
}

impl Drop for Versions {
    fn drop(&mut self) {
        self.close();
    }
}

async fn ask_on<DB: Dialect>(pool: Pool<DB>, line: Arc<Line>) {
    loop {
        let waiting = line.take();
        if waiting.is_empty() {
            line.arrived.notified().await;
            continue;
        }
        match ask(&pool, waiting.iter().map(|(tenant_id, _)| *tenant_id).collect()).await {
            Ok(versions) => waiting.into_iter().for_each(|(tenant_id, reply)| {
                let _ = reply.send(versions.get(&tenant_id).copied());
            }),
            // Whoever waits hears that there is no answer.
            Err(error) => tracing::warn!(%error, "cannot read catalogue versions"),
        }
    }
}

async fn ask<DB: Dialect>(pool: &Pool<DB>, tenants: HashSet<TenantId>) -> Result<HashMap<TenantId, i64>> {
    let sql = format!(
        "select t.id, t.catalogue_version from {} r join tenants t on t.id = r.id where t.deleted_at is null",
        DB::Rows::source(TENANT, 1)
    );
    let mut rows = DB::Rows::new(TENANT);
    for tenant_id in tenants {
        rows.uuid(Some(tenant_id.uuid()));
        rows.end_row();
    }
    let found = Query::<DB>::assembled(sql).bind_rows(rows).rows(&mut pool.acquire().await?).await?;
    found.iter().map(|row| Ok((row.id(0)?, row.get(1)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::open_pool;

    #[tokio::test]
    async fn who_asks_after_the_end_hears_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let versions = Versions::start(open_pool(&folder.path().join("test.db"), 1, false));
        versions.close();
        assert!(versions.newest(TenantId::from(uuid::Uuid::nil())).await.is_err());
    }
}
