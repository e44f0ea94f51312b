//! Rows of `callback_secrets`: what signs a tenant's callbacks and one-off events.

use std::collections::HashMap;

use postrider_core::catalogue::CallbackSecrets;
use postrider_core::secret::Secrets;
use postrider_core::vault::{Place, Vault};
use postrider_core::{TenantId, Timestamp};
use uuid::Uuid;

use super::query::{note_unreadable, readable};
use super::{Dialect, Query, Row, Sql, tenants};
use crate::catalogue::Rotation;
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::shares::Who;

const SECRETS: &str = "callback_secrets.secrets";

impl<DB: Dialect> Sql<DB> {
    /// Puts a new secret in charge of a tenant's callbacks in one format. Whether there was one before.
    pub(super) async fn change_callback_secret(
        &self,
        tenant_id: TenantId,
        profile: &str,
        rotation: Rotation,
    ) -> Result<bool> {
        let mut change = self.change_of_living(tenant_id).await?;
        let now = self.world.now();
        let sealed = sealed_by_profile::<DB>(&mut change.tx, tenant_id, profile).await?;
        let old = sealed.as_ref().map(|sealed| sealed.open(&self.vault)).transpose()?;
        let secrets = match &old {
            Some(old) => old.rotated(rotation.next, now, rotation.previous_until),
            None => Secrets::new(rotation.next),
        };
        let id = sealed.map_or_else(|| self.world.new_id_at(now), |sealed| sealed.id);
        put::<DB>(&mut change.tx, &self.vault, tenant_id, profile, id, &secrets, now).await?;
        tenants::note_secrets::<DB>(&mut change.tx, tenant_id, change.version).await?;
        self.commit_change(change).await?;
        Ok(old.is_some())
    }

    /// Seals anew what another key than the current one sealed.
    pub(super) async fn reseal_callback_secrets(&self) -> Result<u64> {
        let mut resealed = 0;
        let rows = Query::<DB>::new("select id, tenant_id, profile, secrets from callback_secrets");
        for row in rows.rows(&mut *self.reader(Who::Background).await?).await? {
            let sealed = Sealed::read(&row)?;
            if self.vault.is_current(&sealed.secrets) {
                continue;
            }
            let Some(mut change) = self.begin_change(sealed.tenant_id).await? else { continue };
            let found = sealed_by_profile::<DB>(&mut change.tx, sealed.tenant_id, &sealed.profile).await?;
            let Some(found) = found else { continue };
            let secrets = match found.open(&self.vault) {
                Ok(secrets) => secrets,
                Err(error) => {
                    tracing::error!(tenant_id = %found.tenant_id, %error, "a callback secret cannot be sealed anew");
                    continue;
                }
            };
            let now = self.world.now();
            put::<DB>(&mut change.tx, &self.vault, found.tenant_id, &found.profile, found.id, &secrets, now).await?;
            self.commit_change(change).await?;
            resealed += 1;
        }
        Ok(resealed)
    }
}

/// Secrets as they are stored.
struct Sealed {
    id: Uuid,
    tenant_id: TenantId,
    profile: String,
    secrets: Vec<u8>,
}

impl Sealed {
    fn read<DB: Dialect>(row: &Row<DB>) -> Result<Self> {
        Ok(Self { id: row.get(0)?, tenant_id: row.id(1)?, profile: row.get(2)?, secrets: row.get(3)? })
    }

    fn open(&self, vault: &Vault) -> Result<Secrets> {
        let plain = vault.open(place(self.tenant_id, self.id), &self.secrets)?;
        Secrets::from_plain(&plain).ok_or(StoreError::Damaged("a callback secret"))
    }
}

fn place(tenant_id: TenantId, id: Uuid) -> Place {
    Place { tenant_id, row: id, column: SECRETS }
}

async fn sealed_by_profile<DB: Dialect>(
    db: &mut Connection<DB>,
    tenant_id: TenantId,
    profile: &str,
) -> Result<Option<Sealed>> {
    let query = Query::<DB>::new(
        "select id, tenant_id, profile, secrets from callback_secrets where tenant_id = $1 and profile = $2",
    );
    query.id(tenant_id.uuid()).bind(profile.to_owned()).row(db).await?.as_ref().map(Sealed::read).transpose()
}

/// A tenant's callback secrets, by format.
pub(super) async fn of_tenant<DB: Dialect>(
    db: &mut Connection<DB>,
    vault: &Vault,
    tenant_id: TenantId,
) -> Result<HashMap<String, CallbackSecrets>> {
    let query = Query::<DB>::new("select id, tenant_id, profile, secrets from callback_secrets where tenant_id = $1");
    let rows = query.id(tenant_id.uuid()).rows(db).await?;
    let read = |row: &Row<DB>| {
        let opened = note_unreadable("callback_secrets", row, Sealed::read(row).and_then(|sealed| sealed.open(vault)));
        Ok((row.get(2)?, opened.map_or(CallbackSecrets::Unreadable, CallbackSecrets::Known)))
    };
    Ok(readable("callback_secrets", &rows, read).into_iter().collect())
}

/// Whether any opens; `None` if there are none.
pub(super) async fn opens_any<DB: Dialect>(db: &mut Connection<DB>, vault: &Vault) -> Result<Option<bool>> {
    let query = Query::<DB>::new("select id, tenant_id, profile, secrets from callback_secrets");
    let rows = query.rows(db).await?;
    let opens = |row: &Row<DB>| Sealed::read(row).and_then(|sealed| sealed.open(vault)).is_ok();
    Ok((!rows.is_empty()).then(|| rows.iter().any(opens)))
}

async fn put<DB: Dialect>(
    db: &mut Connection<DB>,
    vault: &Vault,
    tenant_id: TenantId,
    profile: &str,
    id: Uuid,
    secrets: &Secrets,
    now: Timestamp,
) -> Result<()> {
    Query::<DB>::new(
        "insert into callback_secrets (tenant_id, profile, id, secrets, updated_at) values ($1, $2, $3, $4, $5)
         on conflict (tenant_id, profile) do update set secrets = excluded.secrets, updated_at = excluded.updated_at",
    )
    .id(tenant_id.uuid())
    .bind(profile.to_owned())
    .id(id)
    .bind(vault.seal(place(tenant_id, id), &secrets.to_plain()))
    .time(now)
    .run(db)
    .await?;
    Ok(())
}

/// Deletes all of a tenant.
pub(super) async fn delete_all<DB: Dialect>(db: &mut Connection<DB>, tenant_id: TenantId) -> Result<()> {
    Query::<DB>::new("delete from callback_secrets where tenant_id = $1").id(tenant_id.uuid()).run(db).await?;
    Ok(())
}
