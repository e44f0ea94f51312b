//! [`Replays`] on a database: rows of `replays`.

use async_trait::async_trait;
use postrider_core::cursor::Page;
use postrider_core::replay::{Count, Replay, ReplayScope, ReplayState, ReplayStatus};
use postrider_core::{ReplayId, SubscriptionId, TenantId};
use uuid::Uuid;

use super::query::{readable_page, with_spare};
use super::replay_search::Place;
use super::{Dialect, Query, Row, Sql};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::replays::{ReplayPreview, Replays};
use crate::shares::Who;

pub(super) const COLUMNS: &str = "id, tenant_id, subscription_id, event_type, status, since, until, rate, state, total,
    total_is_exact, replayed, skipped, created_at, updated_at, finished_at";

pub(super) fn read<DB: Dialect>(row: &Row<DB>) -> Result<Replay> {
    Ok(Replay {
        id: row.id(0)?,
        tenant_id: row.id(1)?,
        scope: ReplayScope {
            subscription_id: row.get::<Option<Uuid>>(2)?.map(SubscriptionId::from),
            event_type: row.get(3)?,
            status: row.parsed(4, "a replay's status", ReplayStatus::named)?,
            since: row.time(5)?,
            until: row.time(6)?,
        },
        rate: u32::try_from(row.get::<i64>(7)?).map_err(|_| StoreError::Damaged("a replay's rate"))?,
        state: ReplayState::from_code(row.get(8)?).ok_or(StoreError::Damaged("a replay's state"))?,
        total: Count { count: row.get(9)?, is_exact: row.get::<i64>(10)? != 0 },
        replayed: row.get(11)?,
        skipped: row.get(12)?,
        created_at: row.time(13)?,
        updated_at: row.time(14)?,
        finished_at: row.maybe_time(15)?,
    })
}

/// Ends what a tenant that is deleted has under way.
pub(super) async fn cancel_all<DB: Dialect>(db: &mut Connection<DB>, tenant_id: TenantId) -> Result<()> {
    let canceled = ReplayState::Canceled.code();
    let query = Query::<DB>::new("update replays set state = $2 where tenant_id = $1 and state in (0, 1)");
    query.id(tenant_id.uuid()).bind(canceled).run(db).await?;
    Ok(())
}

#[async_trait]
impl<DB: Dialect> Replays for Sql<DB> {
    async fn preview_replay(&self, tenant_id: TenantId, scope: &ReplayScope) -> Result<ReplayPreview> {
        self.search_for_preview(tenant_id, scope).await
    }

    async fn create_replay(&self, tenant_id: TenantId, scope: ReplayScope, rate: u32, total: Count) -> Result<Replay> {
        let now = self.world.now();
        let first = Place::first(&scope);
        let replay = Replay {
            id: self.world.new_id_at(now),
            tenant_id,
            scope,
            rate,
            state: ReplayState::Running,
            total,
            replayed: 0,
            skipped: 0,
            created_at: now,
            updated_at: now,
            finished_at: None,
        };
        let mut tx = self.begin().await?;
        Query::<DB>::new(
            "insert into replays (id, tenant_id, subscription_id, event_type, status, since, until, rate, state, total,
                 total_is_exact, stage, cursor_id, next_at, replayed, skipped, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0, 0, $14, $14)",
        )
        .id(replay.id.uuid())
        .id(tenant_id.uuid())
        .bind(replay.scope.subscription_id.map(SubscriptionId::uuid))
        .bind(replay.scope.event_type.clone())
        .bind(replay.scope.status.name().to_owned())
        .time(replay.scope.since)
        .time(replay.scope.until)
        .bind(i64::from(rate))
        .bind(replay.state.code())
        .bind(total.count)
        .bind(i64::from(total.is_exact))
        .bind(first.stage.code())
        .id(first.after)
        .time(now)
        .run(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(replay)
    }

    async fn replays(&self, tenant_id: TenantId, page: Page) -> Result<Vec<Replay>> {
        let sql = format!("select {COLUMNS} from replays where tenant_id = $1 and id < $2 order by id desc limit $3");
        let query = Query::<DB>::assembled(sql).id(tenant_id.uuid());
        let query = query.id(page.before.unwrap_or(Uuid::max())).bind(with_spare(page));
        let rows = query.rows(&mut *self.reader(Who::Tenant(tenant_id)).await?).await?;
        Ok(readable_page("replays", page, &rows, read))
    }

    async fn find_replay(&self, tenant_id: TenantId, id: ReplayId) -> Result<Option<Replay>> {
        let sql = format!("select {COLUMNS} from replays where tenant_id = $1 and id = $2");
        let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(id.uuid());
        query.row(&mut *self.reader(Who::Tenant(tenant_id)).await?).await?.as_ref().map(read).transpose()
    }

    async fn turn_replay(&self, tenant_id: TenantId, id: ReplayId, next: ReplayState) -> Result<bool> {
        let from = ReplayState::ALL.into_iter().filter(|state| state.may_become(next));
        let codes = from.map(|state| state.code().to_string()).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "update replays set state = $3, next_at = $4, updated_at = $4,
                 finished_at = case when $3 = {canceled} then $4 else finished_at end
             where tenant_id = $1 and id = $2 and state in ({codes})",
            canceled = ReplayState::Canceled.code()
        );
        let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(id.uuid()).bind(next.code());
        Ok(self.change(query.time(self.world.now())).await? == 1)
    }
}
