//! Rows of `subscription_versions`: what decided of a subscription who gets an event, and from when on.

use postrider_core::event_type::EventTypeName;
use postrider_core::filter::Filter;
use postrider_core::standing::{Standing, Then};
use postrider_core::subscription::Subscription;
use postrider_core::{SubscriptionId, TenantId, Timestamp};

use super::upkeep::Work;
use super::{Dialect, Query, Row, Sql};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::shares::Who;

/// Begins a version of a subscription, and ends the one before.
pub(super) async fn begin<DB: Dialect>(
    db: &mut Connection<DB>,
    subscription: &Subscription,
    version: i64,
    standing: Standing,
    now: Timestamp,
) -> Result<()> {
    let Subscription { id, tenant_id, event_type, settings, .. } = subscription;
    let query = Query::<DB>::new(
        "update subscription_versions set until = $3 where tenant_id = $1 and subscription_id = $2 and until is null",
    );
    query.id(tenant_id.uuid()).id(id.uuid()).time(now).run(db).await?;
    Query::<DB>::new(
        "insert into subscription_versions (tenant_id, subscription_id, version, event_type, profile, filters,
             filters_since, standing, at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .id(tenant_id.uuid())
    .id(id.uuid())
    .bind(version)
    .bind(event_type.to_string())
    .bind(settings.profile.clone())
    .bind(settings.filters.source().to_owned())
    .time(subscription.filters_changed_at)
    .bind(standing.code())
    .time(now)
    .run(db)
    .await?;
    Ok(())
}

/// The same of all living ones of a tenant that is deleted at `version`.
pub(super) async fn delete_all<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    version: i64,
    now: Timestamp,
) -> Result<()> {
    let query = Query::<DB>::new("update subscription_versions set until = $2 where tenant_id = $1 and until is null");
    query.id(tenant_id.uuid()).time(now).run(db).await?;
    let query = Query::<DB>::new(
        "insert into subscription_versions (tenant_id, subscription_id, version, event_type, profile, filters,
             filters_since, standing, at)
         select tenant_id, id, $2, event_type, profile, filters, filters_changed_at, $3, $4
         from subscriptions where tenant_id = $1 and deleted_at is null",
    );
    query.id(tenant_id.uuid()).bind(version).bind(Standing::Deleted.code()).time(now).run(db).await?;
    Ok(())
}

/// Which version of a subscription held for an event: SQL, given the tenant, the subscription, and the event's version and
/// time. Events that were accepted before versions were kept have none; of them, the time decides among the versions that
/// were pieced together.
pub(super) fn holding(tenant: &str, subscription: &str, version: &str, at: &str) -> String {
    format!(
        "(select max(m.version) from subscription_versions m
          where m.tenant_id = {tenant} and m.subscription_id = {subscription} and m.version <= coalesce({version}, 0)
              and ({version} is not null or m.at <= {at}))"
    )
}

/// What [`read`] reads, of rows called `h`, given the event's version and time.
pub(super) fn columns(version: &str, at: &str) -> String {
    format!("h.event_type, h.profile, h.filters, ({version} is not null or h.filters_since <= {at}), h.standing")
}

/// What stands in [`columns`], from column `first` on.
pub(super) fn read<DB: Dialect>(row: &Row<DB>, first: usize) -> Result<Then> {
    Ok(Then {
        event_type: row.parsed(first, "a subscription's event type", EventTypeName::parse)?,
        profile: row.get(first + 1)?,
        filters: row.parsed(first + 2, "a filter", |text| Filter::compile(text).ok())?,
        is_exact: row.get(first + 3)?,
        standing: Standing::from_code(row.get(first + 4)?).ok_or(StoreError::Damaged("a subscription's standing"))?,
    })
}

/// One version, as it was for an event of this version and time.
pub(super) async fn get<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    id: SubscriptionId,
    number: i64,
    event: (Option<i64>, Timestamp),
) -> Result<Option<Then>> {
    let sql = format!(
        "select {} from subscription_versions h where h.tenant_id = $1 and h.subscription_id = $2 and h.version = $3",
        columns("$4", "$5")
    );
    let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(id.uuid()).bind(number);
    query.bind(event.0).time(event.1).row(db).await?.map(|row| read(&row, 0)).transpose()
}

impl<DB: Dialect> Sql<DB> {
    /// Deletes some versions that ended before `cutoff`: no event of then is kept any more. Whether there may be more.
    pub(super) async fn prune_versions(&self, cutoff: Timestamp) -> Result<bool> {
        let found = Query::<DB>::new("select 1 from subscription_versions where until < $1 limit 1").time(cutoff);
        if found.row(&mut *self.reader(Who::Background).await?).await?.is_none() {
            return Ok(false);
        }
        let query = Query::<DB>::new(
            "delete from subscription_versions where (tenant_id, subscription_id, version) in (
                 select tenant_id, subscription_id, version from subscription_versions where until < $1 limit $2)",
        );
        self.run_as_page(Work::Retention, |limit| query.time(cutoff).bind(limit)).await
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Sqlite;
    use uuid::Uuid;

    use super::*;
    use crate::db::{Pool, Schema, migrate};
    use crate::sql::open_pool;
    use crate::sql::plan::plan_of;

    const TENANT: Uuid = Uuid::from_u128(7);

    /// A subscription as a database has it that knows no versions: whether it is active, and when what happened.
    struct Old {
        is_active: i64,
        active_since: i64,
        discard_through: Option<i64>,
        filters_changed_at: i64,
        deleted_at: Option<i64>,
    }

    const PLAIN: Old =
        Old { is_active: 1, active_since: 10, discard_through: None, filters_changed_at: 10, deleted_at: None };

    async fn put(pool: &Pool<Sqlite>, n: u128, old: &Old) {
        let sql = "insert into subscriptions (id, tenant_id, event_type, url, is_active, description, filters, profile,
                 retry_schedule, secrets, active_since, filters_changed_at, discard_through, created_at, updated_at,
                 deleted_at)
             values ($1, $2, 'a.b', 'https://a.example/', $3, '', '{}', 'standard', '[5]', x'', $4, $5, $6, 10, 10, $7)";
        let query = sqlx::query(sql).bind(Uuid::from_u128(n)).bind(TENANT).bind(old.is_active).bind(old.active_since);
        let query = query.bind(old.filters_changed_at).bind(old.discard_through).bind(old.deleted_at);
        query.execute(pool.acquire().await.expect("a connection").raw()).await.expect("inserted");
    }

    /// What a subscription was for an event of this time: its standing, and whether that is exact; nothing, if it was not yet.
    async fn held(pool: &Pool<Sqlite>, n: u128, at: i64) -> Option<(Standing, bool)> {
        let (id, now) = (SubscriptionId::from(Uuid::from_u128(n)), Timestamp::from_micros(at));
        let mut db = pool.acquire().await.expect("a connection");
        let sql = format!("select {}", holding("$1", "$2", "$3", "$4"));
        let query = Query::<Sqlite>::assembled(sql).id(TENANT).id(id.uuid()).bind(None::<i64>).time(now);
        let number: Option<i64> = query.row(&mut db).await.expect("read").expect("a row").get(0).expect("a number");
        let then = get::<Sqlite>(&mut db, TENANT.into(), id, number?, (None, now)).await.expect("read");
        then.map(|then| (then.standing, then.is_exact))
    }

    #[tokio::test]
    async fn what_is_known_of_the_time_before_versions_is_pieced_together() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("test.db");
        let pool = open_pool(&path, 1, false);
        migrate::sqlite_to(&pool, 1).await.expect("migrates");
        let olds = [
            PLAIN,
            Old { is_active: 0, discard_through: Some(20), ..PLAIN },
            Old { active_since: 30, discard_through: Some(20), ..PLAIN },
            Old { is_active: 0, active_since: 30, discard_through: Some(40), ..PLAIN },
            Old { is_active: 0, ..PLAIN },
            Old { active_since: 30, ..PLAIN },
            Old { deleted_at: Some(20), filters_changed_at: 15, ..PLAIN },
        ];
        for (n, old) in (0..).zip(&olds) {
            put(&pool, n, old).await;
        }
        migrate::sqlite(&pool, &path, Schema::Migrate, true).await.expect("migrates");

        let (on, off, gone) =
            (Some((Standing::Active, true)), Some((Standing::Inactive, true)), Some((Standing::Deleted, true)));
        let unsure = Some((Standing::Active, false));
        let expected = [
            [None, on, on, on, on],
            [None, on, off, off, off],
            [None, on, off, on, on],
            [None, on, on, on, off],
            [None, off, off, off, off],
            [None, off, off, on, on],
            [None, unsure, gone, gone, gone],
        ];
        for (n, expected) in (0..).zip(expected) {
            for (at, expected) in [9, 14, 25, 35, 45].into_iter().zip(expected) {
                assert_eq!(held(&pool, n, at).await, expected, "number {n} at {at}");
            }
        }
        let ended = "select count(*) from subscription_versions where until is null";
        let ended: i64 = sqlx::query_scalar(ended)
            .fetch_one(pool.acquire().await.expect("a connection").raw())
            .await
            .expect("counted");
        assert_eq!(ended, 7, "one of each holds");
    }

    #[tokio::test]
    async fn the_version_that_held_is_found_by_the_key() {
        let plan = plan_of(&format!("select {}", holding("?1", "?2", "?3", "?4"))).await;
        assert!(
            plan.iter().any(|step| step.contains("USING PRIMARY KEY (tenant_id=? AND subscription_id=?")),
            "{plan:?}"
        );
    }
}
