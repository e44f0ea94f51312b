//! Locks of whoever makes a credential, and of its tenant, until the transaction ends.

use postrider_core::api_key::KeyHash;
use postrider_core::{TenantId, Timestamp};

use super::{Dialect, Query, tenants};
use crate::credentials::{CredentialError, Maker};
use crate::db::Connection;
use crate::error::Result;

/// Proves that a credential may be made in a tenant, or for the operator's people, and that this stays so until the transaction
/// ends. Tenants are locked first, as who deletes one does.
pub(super) async fn lock<DB: Dialect>(
    db: &mut Connection<DB>,
    maker: Maker,
    tenant_id: Option<TenantId>,
    now: Timestamp,
) -> Result<(), CredentialError> {
    if let Some(id) = tenant_id
        && tenants::locked_version::<DB>(db, id).await?.is_none()
    {
        return Err(CredentialError::NoTenant(id));
    }
    let lives = match maker {
        Maker::Installation => true,
        Maker::ApiKey(id) => {
            let sql = "select 1 from api_keys where id = $1 and (expires_at is null or expires_at > $2)";
            is_there::<DB>(db, sql, |query| query.id(id.uuid()).time(now)).await?
        }
        Maker::User { id, password_set_at, session } => {
            let sql = "select 1 from users where id = $1 and password_set_at = $2";
            is_there::<DB>(db, sql, |query| query.id(id.uuid()).time(password_set_at)).await?
                && has_session::<DB>(db, session, now).await?
        }
        Maker::PortalLink { id, session } => {
            let sql = "select 1 from portal_links where id = $1";
            is_there::<DB>(db, sql, |query| query.id(id.uuid())).await? && has_session::<DB>(db, session, now).await?
        }
    };
    if lives { Ok(()) } else { Err(CredentialError::MakerGone) }
}

async fn has_session<DB: Dialect>(db: &mut Connection<DB>, session: KeyHash, now: Timestamp) -> Result<bool> {
    let sql = "select 1 from sessions where hash = $1 and ends_at > $2";
    is_there::<DB>(db, sql, |query| query.bind(session.0.to_vec()).time(now)).await
}

async fn is_there<DB: Dialect>(
    db: &mut Connection<DB>,
    sql: &str,
    bind: impl FnOnce(Query<DB>) -> Query<DB>,
) -> Result<bool> {
    let query = Query::<DB>::assembled(format!("{sql} {}", DB::SHARED_LOCK));
    Ok(bind(query).row(db).await?.is_some())
}
