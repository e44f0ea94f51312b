//! Rows of `subscriptions` and their statistics.

use postrider_core::catalogue::Changed;
use postrider_core::cursor::Page;
use postrider_core::event_type::EventTypeName;
use postrider_core::filter::Filter;
use postrider_core::headers::StaticHeaders;
use postrider_core::lanes::LaneId;
use postrider_core::schedule::RetrySchedule;
use postrider_core::secret::Secrets;
use postrider_core::subscription::{AttemptTimeout, Settings, Subscription, TargetStats};
use postrider_core::target_url::TargetUrl;
use postrider_core::vault::{Place, Vault};
use postrider_core::{SubscriptionId, TenantId, Timestamp};
use uuid::Uuid;

use super::query::{note_unreadable, readable, readable_page, with_spare};
use super::{Dialect, Query, Row};
use crate::db::Connection;
use crate::error::{Result, StoreError};

const COLUMNS: &str = "s.id, s.tenant_id, s.event_type, s.url, s.is_active, s.description, s.filters, s.profile,
    s.retry_schedule, s.timeout_seconds, s.headers, s.secrets, s.discard_through, s.created_at,
    s.updated_at, s.active_since, s.filters_changed_at, s.discard_before";

const STATS: &str = "
    (select cast(coalesce(sum(t.successful), 0) as bigint) from target_stats t where t.target_id = s.id),
    (select cast(coalesce(sum(t.failed), 0) as bigint) from target_stats t where t.target_id = s.id),
    (select max(t.last_attempt_at) from target_stats t where t.target_id = s.id),
    (select cast(coalesce(sum(t.turned_away), 0) as bigint) from filter_stats t where t.subscription_id = s.id)";

const SECRETS: &str = "subscriptions.secrets";
const HEADERS: &str = "subscriptions.headers";

fn place(tenant_id: TenantId, id: SubscriptionId, column: &'static str) -> Place {
    Place { tenant_id, row: id.uuid(), column }
}

fn seal_secrets(vault: &Vault, tenant_id: TenantId, id: SubscriptionId, secrets: &Secrets) -> Vec<u8> {
    vault.seal(place(tenant_id, id, SECRETS), &secrets.to_plain())
}

fn seal_headers(vault: &Vault, tenant_id: TenantId, id: SubscriptionId, headers: &StaticHeaders) -> Option<Vec<u8>> {
    (!headers.is_empty()).then(|| vault.seal(place(tenant_id, id, HEADERS), &headers.to_plain()))
}

fn schedule_text(schedule: &RetrySchedule) -> String {
    serde_json::to_string(schedule.seconds()).unwrap_or_default()
}

fn read<DB: Dialect>(row: &Row<DB>, vault: &Vault) -> Result<Subscription> {
    let id: SubscriptionId = row.id(0)?;
    let tenant_id: TenantId = row.id(1)?;
    let url = row.parsed(3, "a subscription's URL", TargetUrl::from_stored)?;
    let headers = match row.get::<Option<Vec<u8>>>(10)? {
        Some(sealed) => {
            let plain = vault.open(place(tenant_id, id, HEADERS), &sealed)?;
            StaticHeaders::from_plain(&plain).ok_or(StoreError::Damaged("a subscription's headers"))?
        }
        None => StaticHeaders::default(),
    };
    let secrets = vault.open(place(tenant_id, id, SECRETS), &row.get::<Vec<u8>>(11)?)?;
    Ok(Subscription {
        id,
        tenant_id,
        event_type: row.parsed(2, "a subscription's event type", EventTypeName::parse)?,
        lane: LaneId::of(tenant_id, &url),
        settings: Settings {
            url,
            is_active: row.get::<i64>(4)? != 0,
            description: row.get(5)?,
            filters: row.parsed(6, "a filter", |text| Filter::compile(text).ok())?,
            profile: row.get(7)?,
            retry_schedule: row
                .parsed(8, "a retry schedule", |text| RetrySchedule::new(serde_json::from_str(text).ok()?))?,
            timeout: row.get::<Option<i64>>(9)?.map(read_timeout).transpose()?,
            headers,
        },
        secrets: Secrets::from_plain(&secrets).ok_or(StoreError::Damaged("a subscription's secrets"))?,
        discard_through: row.maybe_time(12)?,
        created_at: row.time(13)?,
        updated_at: row.time(14)?,
        active_since: row.time(15)?,
        filters_changed_at: row.time(16)?,
        discard_before: row.get(17)?,
    })
}

fn read_timeout(seconds: i64) -> Result<AttemptTimeout> {
    AttemptTimeout::from_seconds(seconds).ok_or(StoreError::Damaged("a timeout"))
}

fn read_stats<DB: Dialect>(row: &Row<DB>) -> Result<TargetStats> {
    Ok(TargetStats {
        successful: row.get(18)?,
        failed: row.get(19)?,
        filtered: row.get(21)?,
        last_triggered_at: row.maybe_time(20)?,
    })
}

/// Makes one, at a version of its tenant's catalogue.
pub(super) async fn insert<DB: Dialect>(
    db: &mut Connection<DB>,
    vault: &Vault,
    subscription: &Subscription,
    version: i64,
) -> Result<()> {
    let Subscription { id, tenant_id, settings, .. } = subscription;
    Query::<DB>::new(
        "insert into subscriptions (id, tenant_id, event_type, url, is_active, description, filters, profile,
             retry_schedule, timeout_seconds, headers, secrets, created_at, updated_at, active_since,
             filters_changed_at, version)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    )
    .id(id.uuid())
    .id(tenant_id.uuid())
    .bind(subscription.event_type.to_string())
    .bind(settings.url.to_string())
    .bind(i64::from(settings.is_active))
    .bind(settings.description.clone())
    .bind(settings.filters.source().to_owned())
    .bind(settings.profile.clone())
    .bind(schedule_text(&settings.retry_schedule))
    .bind(settings.timeout.map(AttemptTimeout::seconds))
    .bind(seal_headers(vault, *tenant_id, *id, &settings.headers))
    .bind(seal_secrets(vault, *tenant_id, *id, &subscription.secrets))
    .time(subscription.created_at)
    .time(subscription.updated_at)
    .time(subscription.active_since)
    .time(subscription.filters_changed_at)
    .bind(version)
    .run(db)
    .await?;
    Ok(())
}

/// A living subscription, as it is in this transaction.
pub(super) async fn get<DB: Dialect>(
    db: &mut Connection<DB>,
    vault: &Vault,
    tenant_id: TenantId,
    id: SubscriptionId,
) -> Result<Option<Subscription>> {
    let sql =
        format!("select {COLUMNS} from subscriptions s where s.tenant_id = $1 and s.id = $2 and s.deleted_at is null");
    let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(id.uuid());
    query.row(db).await?.map(|row| read(&row, vault)).transpose()
}

/// Whether there is one that was not deleted.
pub(super) async fn is_living<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    id: SubscriptionId,
) -> Result<bool> {
    let query =
        Query::<DB>::new("select id from subscriptions where tenant_id = $1 and id = $2 and deleted_at is null");
    Ok(query.id(tenant_id.uuid()).id(id.uuid()).row(db).await?.is_some())
}

pub(super) async fn get_with_stats<DB: Dialect>(
    db: &mut Connection<DB>,
    vault: &Vault,
    tenant_id: TenantId,
    id: SubscriptionId,
) -> Result<Option<(Subscription, TargetStats)>> {
    let sql = format!(
        "select {COLUMNS}, {STATS} from subscriptions s
         where s.tenant_id = $1 and s.id = $2 and s.deleted_at is null"
    );
    let query = Query::<DB>::assembled(sql).id(tenant_id.uuid()).id(id.uuid());
    query.row(db).await?.map(|row| Ok((read(&row, vault)?, read_stats(&row)?))).transpose()
}

/// Newest first; all of them without a page.
pub(super) async fn list<DB: Dialect>(
    db: &mut Connection<DB>,
    vault: &Vault,
    tenant_id: TenantId,
    page: Option<Page>,
) -> Result<Vec<(Subscription, TargetStats)>> {
    let sql = format!(
        "select {COLUMNS}, {STATS} from subscriptions s
         where s.tenant_id = $1 and s.id < $2 and s.deleted_at is null order by s.id desc limit $3"
    );
    let rows = Query::<DB>::assembled(sql)
        .id(tenant_id.uuid())
        .id(page.and_then(|page| page.before).unwrap_or(Uuid::max()))
        .bind(page.map_or(i64::MAX, with_spare))
        .rows(db)
        .await?;
    let read = |row: &Row<DB>| Ok((read(row, vault)?, read_stats(row)?));
    Ok(match page {
        Some(page) => readable_page("subscriptions", page, &rows, read),
        None => readable("subscriptions", &rows, read),
    })
}

/// The subscriptions of a tenant that were changed since a version of its catalogue; all living ones without a version.
pub(super) async fn changed_since<DB: Dialect>(
    db: &mut Connection<DB>,
    vault: &Vault,
    tenant_id: TenantId,
    version: Option<i64>,
) -> Result<Vec<(SubscriptionId, Changed)>> {
    let sql = select_changed(version.is_some());
    let rows = Query::<DB>::assembled(sql).id(tenant_id.uuid()).bind(version.unwrap_or(0)).rows(db).await?;
    let now = |row: &Row<DB>| {
        let id = row.id(0)?;
        if row.get::<bool>(18)? {
            return Ok((id, Changed::Deleted));
        }
        let readable = note_unreadable("subscriptions", row, read(row, vault));
        Ok((id, readable.map_or(Changed::Unreadable, |subscription| Changed::Is(Box::new(subscription)))))
    };
    Ok(readable("subscriptions", &rows, now))
}

/// What was changed since a version, or all that there is.
fn select_changed(since: bool) -> String {
    let condition = if since { "s.version > $2" } else { "s.version >= $2 and s.deleted_at is null" };
    format!(
        "select {COLUMNS}, s.deleted_at is not null
         from subscriptions s where s.tenant_id = $1 and {condition}"
    )
}

/// Ids and URLs of all living subscriptions of a tenant.
pub(super) async fn living_lanes<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
) -> Result<Vec<(SubscriptionId, LaneId)>> {
    let query = Query::<DB>::new("select id, url from subscriptions where tenant_id = $1 and deleted_at is null");
    let rows = query.id(tenant_id.uuid()).rows(db).await?;
    let read = |row: &Row<DB>| {
        let url = row.parsed(1, "a subscription's URL", TargetUrl::from_stored)?;
        Ok((row.id(0)?, LaneId::of(tenant_id, &url)))
    };
    Ok(readable("subscriptions", &rows, read))
}

/// What is sealed of a subscription.
pub(super) struct Sealed {
    pub(super) tenant_id: TenantId,
    pub(super) id: SubscriptionId,
    pub(super) secrets: Vec<u8>,
}

/// The next living subscriptions, whosever they are.
pub(super) async fn sealed_after<DB: Dialect>(db: &mut Connection<DB>, after: SubscriptionId) -> Result<Vec<Sealed>> {
    let query = Query::<DB>::new(
        "select tenant_id, id, secrets from subscriptions where deleted_at is null and id > $1 order by id limit 100",
    );
    let rows = query.id(after.uuid()).rows(db).await?;
    let read = |row: &Row<DB>| Ok(Sealed { tenant_id: row.id(0)?, id: row.id(1)?, secrets: row.get(2)? });
    Ok(readable("subscriptions", &rows, read))
}

/// Whether the secrets of any living subscription open; `None` if there are none.
pub(super) async fn opens_any<DB: Dialect>(db: &mut Connection<DB>, vault: &Vault) -> Result<Option<bool>> {
    let (mut found, mut after) = (None, SubscriptionId::NIL);
    loop {
        let page = sealed_after::<DB>(db, after).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = last.id;
        let opens = |sealed: &Sealed| vault.open(place(sealed.tenant_id, sealed.id, SECRETS), &sealed.secrets).is_ok();
        if page.iter().any(opens) {
            return Ok(Some(true));
        }
        found = Some(false);
    }
}

/// Writes settings, secrets and what belongs to them, at a version of its tenant's catalogue.
pub(super) async fn update<DB: Dialect>(
    db: &mut Connection<DB>,
    vault: &Vault,
    subscription: &Subscription,
    version: i64,
) -> Result<()> {
    let Subscription { id, tenant_id, settings, .. } = subscription;
    Query::<DB>::new(
        "update subscriptions set url = $3, is_active = $4, description = $5, filters = $6, profile = $7,
             retry_schedule = $8, timeout_seconds = $9, headers = $10, secrets = $11, discard_through = $12,
             updated_at = $13, active_since = $14, filters_changed_at = $15, discard_before = $16, version = $17
         where tenant_id = $1 and id = $2",
    )
    .id(tenant_id.uuid())
    .id(id.uuid())
    .bind(settings.url.to_string())
    .bind(i64::from(settings.is_active))
    .bind(settings.description.clone())
    .bind(settings.filters.source().to_owned())
    .bind(settings.profile.clone())
    .bind(schedule_text(&settings.retry_schedule))
    .bind(settings.timeout.map(AttemptTimeout::seconds))
    .bind(seal_headers(vault, *tenant_id, *id, &settings.headers))
    .bind(seal_secrets(vault, *tenant_id, *id, &subscription.secrets))
    .bind(subscription.discard_through.map(Timestamp::as_micros))
    .time(subscription.updated_at)
    .time(subscription.active_since)
    .time(subscription.filters_changed_at)
    .bind(subscription.discard_before)
    .bind(version)
    .run(db)
    .await?;
    Ok(())
}

/// Marks as deleted, and wipes what no log needs: secrets and headers.
pub(super) async fn delete<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    id: SubscriptionId,
    version: i64,
    now: Timestamp,
) -> Result<()> {
    Query::<DB>::new(
        "update subscriptions set deleted_at = $3, updated_at = $3, headers = null, secrets = $4, version = $5
         where tenant_id = $1 and id = $2",
    )
    .id(tenant_id.uuid())
    .id(id.uuid())
    .time(now)
    .bind(Vec::<u8>::new())
    .bind(version)
    .run(db)
    .await?;
    Ok(())
}

/// The same with all of a tenant.
pub(super) async fn delete_all<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    now: Timestamp,
) -> Result<()> {
    let query = Query::<DB>::new(
        "update subscriptions set deleted_at = $2, updated_at = $2, headers = null, secrets = $3
         where tenant_id = $1 and deleted_at is null",
    );
    query.id(tenant_id.uuid()).time(now).bind(Vec::<u8>::new()).run(db).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::plan::plan_of;

    #[tokio::test]
    async fn what_changed_is_found_by_its_version() {
        let plan = plan_of(&select_changed(true)).await;
        assert!(plan[0].contains("INDEX subscriptions_by_version (tenant_id=? AND version>?)"), "{plan:?}");
    }
}
