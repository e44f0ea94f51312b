//! [`Accounts`] on a database: rows of `users`, `sessions` and `portal_links`.

use async_trait::async_trait;
use postrider_core::api_key::KeyHash;
use postrider_core::cursor::Page;
use postrider_core::password::HashedPassword;
use postrider_core::role::Role;
use postrider_core::user::{PortalLink, SessionLimits, User};
use postrider_core::{PortalLinkId, TenantId, Timestamp, UserId};
use uuid::Uuid;

use super::query::{readable_page, with_spare};
use super::{Dialect, Query, Row, Sql, makers};
use crate::accounts::{Accounts, NewUser};
use crate::credentials::{CredentialError, Maker};
use crate::db::Connection;
use crate::error::Result;
use crate::shares::Who;

const USER: &str = "id, name, role, tenant_id, created_at, password_set_at";

fn user<DB: Dialect>(row: &Row<DB>) -> Result<User> {
    Ok(User {
        id: row.id(0)?,
        name: row.get(1)?,
        role: row.parsed(2, "a role", Role::named)?,
        tenant_id: row.get::<Option<Uuid>>(3)?.map(TenantId::from),
        created_at: row.time(4)?,
        password_set_at: row.time(5)?,
    })
}

fn portal_link<DB: Dialect>(row: &Row<DB>) -> Result<PortalLink> {
    Ok(PortalLink {
        id: row.id(0)?,
        tenant_id: row.id(1)?,
        role: row.parsed(2, "a role", Role::named)?,
        expires_at: row.time(3)?,
    })
}

/// Ends what belongs to a tenant's people.
pub(super) async fn delete_all<DB: Dialect>(db: &mut Connection<DB>, tenant_id: TenantId) -> Result<()> {
    Query::<DB>::new("delete from users where tenant_id = $1").id(tenant_id.uuid()).run(db).await?;
    Query::<DB>::new("delete from portal_links where tenant_id = $1").id(tenant_id.uuid()).run(db).await?;
    Ok(())
}

impl<DB: Dialect> Sql<DB> {
    /// One statement that changes something; how many rows it did.
    pub(super) async fn change(&self, query: Query<DB>) -> Result<u64> {
        let mut tx = self.begin().await?;
        let changed = query.run(&mut tx).await?;
        tx.commit().await?;
        Ok(changed)
    }
}

#[async_trait]
impl<DB: Dialect> Accounts for Sql<DB> {
    async fn create_user(&self, new: NewUser) -> Result<User, CredentialError> {
        let now = self.world.now();
        let NewUser { maker, name, role, tenant_id, password } = new;
        let user = User { id: self.world.new_id_at(now), name, role, tenant_id, created_at: now, password_set_at: now };
        let query = Query::<DB>::new(
            "insert into users (id, name, role, tenant_id, password, created_at, password_set_at)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (name) do nothing",
        )
        .id(user.id.uuid())
        .bind(user.name.clone())
        .bind(user.role.name().to_owned())
        .bind(user.tenant_id.map(TenantId::uuid))
        .bind(password.0)
        .time(now)
        .time(now);
        let mut tx = self.begin().await?;
        makers::lock::<DB>(&mut tx, maker, tenant_id, now).await?;
        if query.run(&mut tx).await? == 0 {
            return Err(CredentialError::Taken);
        }
        tx.commit().await?;
        Ok(user)
    }

    async fn users(&self, tenant_id: Option<TenantId>, page: Page) -> Result<Vec<User>> {
        let sql = match tenant_id {
            Some(_) => {
                format!("select {USER} from users where tenant_id = $1 and id < $2 order by id desc limit $3")
            }
            None => format!("select {USER} from users where id < $1 order by id desc limit $2"),
        };
        let query = Query::<DB>::assembled(sql);
        let query = tenant_id.into_iter().fold(query, |query, id| query.id(id.uuid()));
        let query = query.id(page.before.unwrap_or(Uuid::max())).bind(with_spare(page));
        let rows = query.rows(&mut *self.reader(tenant_id.map_or(Who::Operator, Who::Tenant)).await?).await?;
        Ok(readable_page("users", page, &rows, user))
    }

    async fn user(&self, id: UserId) -> Result<Option<User>> {
        let query = Query::<DB>::assembled(format!("select {USER} from users where id = $1")).id(id.uuid());
        query.row(&mut self.lookup().await?).await?.as_ref().map(user).transpose()
    }

    async fn user_named(&self, name: &str) -> Result<Option<(User, HashedPassword)>> {
        let query = Query::<DB>::assembled(format!("select {USER}, password from users where name = $1"));
        let row = query.bind(name.to_owned()).row(&mut self.lookup().await?).await?;
        row.as_ref().map(|row| Ok((user(row)?, HashedPassword(row.get(6)?)))).transpose()
    }

    async fn set_password(&self, id: UserId, password: &HashedPassword, maker: Maker) -> Result<bool, CredentialError> {
        let now = self.world.now();
        let query = Query::<DB>::new("update users set password = $2, password_set_at = $3 where id = $1");
        let mut tx = self.begin().await?;
        makers::lock::<DB>(&mut tx, maker, None, now).await?;
        let is_set = query.id(id.uuid()).bind(password.0.clone()).time(now).run(&mut tx).await? == 1;
        tx.commit().await?;
        Ok(is_set)
    }

    async fn delete_user(&self, id: UserId) -> Result<bool> {
        Ok(self.change(Query::<DB>::new("delete from users where id = $1").id(id.uuid())).await? == 1)
    }

    async fn begin_session(&self, hash: &KeyHash, data: &str, ends_at: Timestamp) -> Result<bool> {
        let mut tx = self.begin().await?;
        let ended = Query::<DB>::new("delete from sessions where ends_at <= $1");
        ended.time(self.world.now()).run(&mut tx).await?;
        let query = Query::<DB>::new(
            "insert into sessions (hash, data, ends_at) values ($1, $2, $3) on conflict (hash) do nothing",
        );
        let begun = query.bind(hash.0.to_vec()).bind(data.to_owned()).time(ends_at).run(&mut tx).await?;
        tx.commit().await?;
        Ok(begun == 1)
    }

    async fn keep_session(&self, hash: &KeyHash, data: &str, ends_at: Timestamp) -> Result<bool> {
        let query = Query::<DB>::new("update sessions set data = $2, ends_at = $3 where hash = $1 and ends_at > $4");
        let query = query.bind(hash.0.to_vec()).bind(data.to_owned()).time(ends_at).time(self.world.now());
        Ok(self.change(query).await? == 1)
    }

    async fn session(&self, hash: &KeyHash) -> Result<Option<String>> {
        let query = Query::<DB>::new("select data from sessions where hash = $1 and ends_at > $2");
        let query = query.bind(hash.0.to_vec()).time(self.world.now());
        query.row(&mut self.lookup().await?).await?.map(|row| row.get(0)).transpose()
    }

    async fn end_session(&self, hash: &KeyHash) -> Result<()> {
        self.change(Query::<DB>::new("delete from sessions where hash = $1").bind(hash.0.to_vec())).await.map(drop)
    }

    async fn put_portal_link(&self, link: &PortalLink, hash: &KeyHash, maker: Maker) -> Result<(), CredentialError> {
        let mut tx = self.begin().await?;
        makers::lock::<DB>(&mut tx, maker, Some(link.tenant_id), self.world.now()).await?;
        let ended = Query::<DB>::new("delete from portal_links where expires_at <= $1");
        ended.time(self.world.now() - SessionLimits::USUAL.absolute).run(&mut tx).await?;
        Query::<DB>::new(
            "insert into portal_links (hash, id, tenant_id, role, expires_at) values ($1, $2, $3, $4, $5)",
        )
        .bind(hash.0.to_vec())
        .id(link.id.uuid())
        .id(link.tenant_id.uuid())
        .bind(link.role.name().to_owned())
        .time(link.expires_at)
        .run(&mut tx)
        .await?;
        Ok(tx.commit().await?)
    }

    async fn take_portal_link(&self, hash: &KeyHash) -> Result<Option<PortalLink>> {
        let mut tx = self.begin().await?;
        let query = Query::<DB>::new(
            "update portal_links set used_at = $2 where hash = $1 and expires_at > $2 and used_at is null
             returning id, tenant_id, role, expires_at",
        );
        let row = query.bind(hash.0.to_vec()).time(self.world.now()).row(&mut tx).await?;
        let link = row.as_ref().map(portal_link).transpose()?;
        tx.commit().await?;
        Ok(link)
    }

    async fn unused_portal_link(&self, hash: &KeyHash) -> Result<Option<PortalLink>> {
        let query = Query::<DB>::new(
            "select id, tenant_id, role, expires_at from portal_links
             where hash = $1 and expires_at > $2 and used_at is null",
        );
        let query = query.bind(hash.0.to_vec()).time(self.world.now());
        query.row(&mut self.lookup().await?).await?.as_ref().map(portal_link).transpose()
    }

    async fn portal_link(&self, id: PortalLinkId) -> Result<Option<PortalLink>> {
        let query = Query::<DB>::new("select id, tenant_id, role, expires_at from portal_links where id = $1");
        query.id(id.uuid()).row(&mut self.lookup().await?).await?.as_ref().map(portal_link).transpose()
    }

    async fn delete_portal_link(&self, id: PortalLinkId) -> Result<bool> {
        Ok(self.change(Query::<DB>::new("delete from portal_links where id = $1").id(id.uuid())).await? == 1)
    }
}
