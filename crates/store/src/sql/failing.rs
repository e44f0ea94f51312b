//! Subscriptions that fail: warnings, and in the end deactivation.

use std::time::Duration;

use postrider_core::audit::{Actor, AuditEntry};
use postrider_core::failing::{Remedy, Streak, remedy};
use postrider_core::notice::Notice;
use postrider_core::{SubscriptionId, TenantId};

use super::catalogue::of_the_store;
use super::query::readable;
use super::{Dialect, Query, Row, Sql, audit};
use crate::catalogue::SettingsChange;
use crate::db::Connection;
use crate::error::Result;
use crate::shares::Who;

/// What is known of one that fails.
struct Failing {
    tenant_id: TenantId,
    id: SubscriptionId,
    url: String,
    streak: Streak,
    warnings: i64,
}

impl<DB: Dialect> Sql<DB> {
    /// Looks at all that fail, and does what is due.
    pub(super) async fn warn_or_deactivate(&self, patience: Duration) -> Result<()> {
        let query = Query::<DB>::new(
            "select f.tenant_id, f.subscription_id, s.url, f.since, f.last_at, f.attempts, f.warnings
             from failing f join subscriptions s on s.id = f.subscription_id
             where s.is_active = 1 and s.deleted_at is null and f.last_at > f.since",
        );
        let rows = query.rows(&mut *self.reader(Who::Background).await?).await?;
        for failing in readable("failing", &rows, read) {
            let done = match remedy(failing.streak, failing.warnings, patience) {
                Remedy::Wait => Ok(()),
                Remedy::Warn(warnings) => self.warn(&failing, warnings, patience).await,
                Remedy::Deactivate => self.deactivate_failing(&failing).await,
            };
            match done {
                Err(error) if !error.is_temporary() => {
                    tracing::error!(webhook_id = %failing.id, %error, "a failing webhook cannot be looked after");
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Tells once, whichever node is first.
    async fn warn(&self, failing: &Failing, warnings: i64, patience: Duration) -> Result<()> {
        let mut tx = self.begin().await?;
        let query = Query::<DB>::new(
            "update failing set warnings = $2 where subscription_id = $1 and since = $3 and warnings < $2",
        );
        let is_first = query.id(failing.id.uuid()).bind(warnings).time(failing.streak.since).run(&mut tx).await? == 1;
        if is_first {
            let Failing { tenant_id, id, streak, .. } = *failing;
            let (url, deactivates_at) = (failing.url.clone(), streak.since + patience);
            let notice = Notice::WebhookFailing { tenant_id, id, url, streak, deactivates_at };
            self.put_notice(&mut tx, &notice).await?;
            tx.commit().await?;
            tracing::warn!(webhook_id = %id, failing_since = %streak.since, "a webhook fails");
        }
        Ok(())
    }

    async fn deactivate_failing(&self, failing: &Failing) -> Result<()> {
        let Failing { tenant_id, id, streak, .. } = *failing;
        if self.deactivate_by_itself(tenant_id, id, &failing.url, Some(streak)).await? {
            tracing::warn!(webhook_id = %id, failing_since = %streak.since, "a webhook failed for too long: it is inactive now");
        }
        Ok(())
    }

    /// Deactivates a subscription that still leads to `url`, with notice and an entry of the audit log.
    pub(super) async fn deactivate_by_itself(
        &self,
        tenant_id: TenantId,
        id: SubscriptionId,
        url: &str,
        streak: Option<Streak>,
    ) -> Result<bool> {
        let change = SettingsChange { is_active: Some(false), ..SettingsChange::default() };
        let notice = Notice::WebhookDeactivated { tenant_id, id, url: url.to_owned(), streak };
        let is_meant = |now: &postrider_core::subscription::Subscription| {
            now.settings.is_active && now.settings.url.as_str() == url
        };
        of_the_store(self.change_subscription(tenant_id, id, change, is_meant, Some(&notice)).await)
    }

    /// Writes down what the program did by itself, and whom to tell.
    pub(super) async fn note_deed(
        &self,
        db: &mut Connection<DB>,
        tenant_id: TenantId,
        id: SubscriptionId,
        notice: &Notice,
    ) -> Result<()> {
        let at = self.world.now();
        let entry = AuditEntry {
            id: self.world.new_id_at(at),
            tenant_id,
            at,
            actor: Actor::Postrider,
            action: notice.event_type().to_owned(),
            object_id: Some(id.to_string()),
            request_id: None,
            remote_address: None,
        };
        audit::insert::<DB>(db, &entry).await?;
        self.put_notice(db, notice).await
    }
}

/// A subscription that is activated again begins anew.
pub(super) async fn forgive<DB: Dialect>(db: &mut Connection<DB>, id: SubscriptionId) -> Result<()> {
    Query::<DB>::new("delete from failing where subscription_id = $1").id(id.uuid()).run(db).await?;
    Ok(())
}

fn read<DB: Dialect>(row: &Row<DB>) -> Result<Failing> {
    Ok(Failing {
        tenant_id: row.id(0)?,
        id: row.id(1)?,
        url: row.get(2)?,
        streak: Streak { since: row.time(3)?, last_at: row.time(4)?, attempts: row.get(5)? },
        warnings: row.get(6)?,
    })
}
