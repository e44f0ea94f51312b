//! What the sender is to be told: written down with what it tells of, and published from there, once.

use postrider_core::event::EventDraft;
use postrider_core::event_type::{EventType, EventTypeName};
use postrider_core::notice::{EVENT_TYPES, GROUP, Notice, OPERATIONS_TENANT};
use postrider_core::{TenantId, Timestamp};
use uuid::Uuid;

use super::dialect::{Cells, RowSet};
use super::ids::IDS;
use super::upkeep::Work;
use super::{Dialect, Query, Row, Sql, event_types, tenants};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::journal::{PublishError, Urgency};
use crate::shares::Who;

/// Notices told in one step.
const STEP: i64 = 100;

/// The event types of the tenant that is told.
pub(super) async fn insert_types<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    now: Timestamp,
) -> Result<()> {
    for (name, description) in EVENT_TYPES {
        let name = EventTypeName::parse(name).ok_or(StoreError::Damaged("an event type's name"))?;
        let (group, description) = (GROUP.to_owned(), description.to_owned());
        let event_type = EventType { name, group, description, profile: None, custom: true };
        event_types::insert::<DB>(db, tenant_id, &event_type, now).await?;
    }
    Ok(())
}

/// The tenant that is told, if it was made.
pub(super) async fn listener<DB: Dialect>(db: &mut Connection<DB>) -> Result<Option<TenantId>> {
    Ok(tenants::get_named::<DB>(db, OPERATIONS_TENANT).await?.map(|tenant| tenant.id))
}

/// A notice as it is kept.
struct Kept {
    id: Uuid,
    draft: EventDraft,
}

impl<DB: Dialect> Sql<DB> {
    /// Writes down something to tell, in the transaction of what it tells of; unless there is nobody to tell.
    pub(super) async fn put_notice(&self, db: &mut Connection<DB>, notice: &Notice) -> Result<()> {
        if listener::<DB>(db).await?.is_none() {
            return Ok(());
        }
        self.insert_notice(db, notice).await
    }

    /// The same, where it is known that somebody is to be told.
    pub(super) async fn insert_notice(&self, db: &mut Connection<DB>, notice: &Notice) -> Result<()> {
        let now = self.world.now();
        let query = Query::<DB>::new("insert into notices (id, event_type, payload, at) values ($1, $2, $3, $4)");
        let id = self.world.new_id_at::<postrider_core::EventId>(now).uuid();
        let query = query.id(id).bind(notice.event_type().to_owned()).bind(notice.payload().to_string());
        query.time(now).run(db).await?;
        Ok(())
    }

    /// Publishes the oldest notices. Whether there are more.
    pub(super) async fn tell_step(&self) -> Result<bool> {
        let mut reader = self.reader(Who::Background).await?;
        let sql = "select id, event_type, payload, at from notices order by id limit $1";
        let step = STEP.min(i64::try_from(self.page_limit(Work::Notices)).unwrap_or(STEP));
        let rows = Query::<DB>::new(sql).bind(step).rows(&mut reader).await?;
        if rows.is_empty() {
            return Ok(false);
        }
        let mut kept: Vec<Kept> = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: Uuid = row.get(0)?;
            match read(row) {
                Ok(readable) => kept.push(readable),
                Err(_) if self.is_passed_over(Work::Notices, id) => {}
                Err(error) => self.note_passed_over(Work::Notices, id, &format_args!("notice {id}"), &error),
            }
        }
        let listener = listener::<DB>(&mut reader).await?;
        drop(reader);
        let told = match listener {
            Some(tenant_id) => {
                let results = self
                    .publish_all(tenant_id, kept.iter().map(|kept| kept.draft.clone()).collect(), Urgency::Pressing)
                    .await;
                // Published before: the same key.
                let is_told = |result: &Result<_, PublishError>| !matches!(result, Err(PublishError::Store(_)));
                kept.iter().zip(&results).filter(|(_, result)| is_told(result)).map(|(kept, _)| kept.id).collect()
            }
            // There is nobody to tell any more.
            None => kept.iter().map(|kept| kept.id).collect::<Vec<_>>(),
        };
        let is_all = told.len() == kept.len();
        let is_forgotten = self.forget(told).await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == step);
        Ok(!is_forgotten || (is_all && !kept.is_empty() && is_full))
    }

    /// Deletes notices that were published. False if the page did not end in time: the notices are published again, and their
    /// idempotency keys make them duplicates.
    async fn forget(&self, ids: Vec<Uuid>) -> Result<bool> {
        let mut rows = DB::Rows::new(IDS);
        for id in ids {
            rows.uuid(Some(id));
            rows.end_row();
        }
        let sql = format!("delete from notices where id in (select r.id from {} r)", DB::Rows::source(IDS, 1));
        let mut page = self.begin_page(Work::Notices).await?;
        let done = Query::<DB>::assembled(sql).bind_rows(rows).run(&mut page.tx).await;
        Ok(self.end_page(page, done).await?.is_some())
    }
}

fn read<DB: Dialect>(row: &Row<DB>) -> Result<Kept> {
    let id: Uuid = row.get(0)?;
    let event_type = row.parsed(1, "an event type's name", EventTypeName::parse)?;
    let draft = EventDraft {
        occurred_at: Some(row.time(3)?),
        idempotency_key: Some(id.to_string()),
        ..EventDraft::new(event_type, row.get::<String>(2)?.into())
    };
    Ok(Kept { id, draft })
}
