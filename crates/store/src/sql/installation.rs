//! The row of `installation`: which programs may serve, and with which master key.

use postrider_core::TenantId;
use postrider_core::vault::{Place, VaultError};
use uuid::Uuid;

use super::{Dialect, Query, Sql, callback_secrets, subscriptions};
use crate::db::Connection;
use crate::error::{Result, StoreError};
use crate::shares::Who;
use crate::version::Version;

/// What the canary says.
const TEXT: &[u8] = b"postrider";

/// Where it is kept, as what is sealed names its place.
fn place() -> Place {
    Place { tenant_id: TenantId::from(Uuid::nil()), row: Uuid::nil(), column: "installation.canary" }
}

/// The least version of a program that may serve.
pub(crate) async fn least_version<DB: Dialect>(db: &mut Connection<DB>) -> Result<Version> {
    let row = Query::<DB>::new("select least_version from installation where id = 1").row(db).await?;
    let row = row.ok_or(StoreError::Damaged("the row of `installation` is missing"))?;
    row.get(0).map(Version::from_stored)
}

impl<DB: Dialect> Sql<DB> {
    /// Proves that the master key is the one that this database is sealed with; makes it so, if nothing is sealed yet.
    pub(super) async fn check_canary(&self) -> Result<()> {
        let known = self.canary().await?;
        match known.as_deref().map(|canary| self.open_canary(canary)) {
            // One that is damaged says nothing, and is replaced.
            None | Some(Err(StoreError::Vault(VaultError::Damaged))) => {}
            Some(result) => return result,
        }
        let mut reader = self.reader(Who::Background).await?;
        let found = [
            subscriptions::opens_any::<DB>(&mut reader, &self.vault).await?,
            callback_secrets::opens_any::<DB>(&mut reader, &self.vault).await?,
        ];
        drop(reader);
        // Values that are damaged say nothing; of another key's, none opens.
        if !found.contains(&Some(true)) && found.contains(&Some(false)) {
            return Err(VaultError::UnknownKey.into());
        }
        let query =
            Query::<DB>::new("update installation set canary = $1 where id = 1 and (canary is null or canary = $2)");
        self.change(query.bind(self.vault.seal(place(), TEXT)).bind(known)).await?;
        // That of whoever was first holds.
        let canary = self.canary().await?.ok_or(StoreError::Damaged("the canary is missing"))?;
        self.open_canary(&canary)
    }

    /// Seals the canary anew if the key before the current one sealed it.
    pub(super) async fn reseal_canary(&self) -> Result<()> {
        let Some(canary) = self.canary().await?.filter(|canary| !self.vault.is_current(canary)) else { return Ok(()) };
        self.open_canary(&canary)?;
        let query = Query::<DB>::new("update installation set canary = $1 where id = 1 and canary = $2");
        self.change(query.bind(self.vault.seal(place(), TEXT)).bind(canary)).await.map(drop)
    }

    fn open_canary(&self, canary: &[u8]) -> Result<()> {
        self.vault.open(place(), canary)?;
        Ok(())
    }

    async fn canary(&self) -> Result<Option<Vec<u8>>> {
        let query = Query::<DB>::new("select canary from installation where id = 1");
        let row = query.row(&mut self.lookup().await?).await?;
        Ok(row.map(|row| row.get(0)).transpose()?.flatten())
    }
}
