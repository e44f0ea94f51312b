//! What the API sees of people: who they are, and that they are signed in.

use async_trait::async_trait;
use postrider_core::api_key::KeyHash;
use postrider_core::cursor::Page;
use postrider_core::password::HashedPassword;
use postrider_core::role::Role;
use postrider_core::user::{PortalLink, User};
use postrider_core::{PortalLinkId, TenantId, Timestamp, UserId};

use crate::credentials::{CredentialError, Maker};
use crate::error::Result;

/// Somebody to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Who adds them.
    pub maker: Maker,
    /// What they sign in with.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Where; none for operators.
    pub tenant_id: Option<TenantId>,
    /// What they prove themselves by.
    pub password: HashedPassword,
}

/// Users, their sessions, and links that sign in.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Adds a user.
    ///
    /// # Errors
    /// [`CredentialError`]; `Taken` if there is one of that name.
    async fn create_user(&self, new: NewUser) -> Result<User, CredentialError>;
    /// Users, newest first; those of one tenant, or all.
    async fn users(&self, tenant_id: Option<TenantId>, page: Page) -> Result<Vec<User>>;
    /// One user.
    async fn user(&self, id: UserId) -> Result<Option<User>>;
    /// The user of that name, with the password.
    async fn user_named(&self, name: &str) -> Result<Option<(User, HashedPassword)>>;
    /// Sets a password: what the user is signed in with is over. False if there is no such user.
    ///
    /// # Errors
    /// [`CredentialError`]; `MakerGone` if `maker` is there no longer.
    async fn set_password(&self, id: UserId, password: &HashedPassword, maker: Maker) -> Result<bool, CredentialError>;
    /// Removes a user. False if there is none.
    async fn delete_user(&self, id: UserId) -> Result<bool>;

    /// Begins a session that knows this until it ends. Forgets those that have ended. False if there is such a one.
    async fn begin_session(&self, hash: &KeyHash, data: &str, ends_at: Timestamp) -> Result<bool>;
    /// Keeps what a session knows now. False if it has ended.
    async fn keep_session(&self, hash: &KeyHash, data: &str, ends_at: Timestamp) -> Result<bool>;
    /// What a session knows, if it has not ended.
    async fn session(&self, hash: &KeyHash) -> Result<Option<String>>;
    /// Ends a session.
    async fn end_session(&self, hash: &KeyHash) -> Result<()>;

    /// Keeps a link that signs in. Forgets those by which nobody can be signed in any more.
    ///
    /// # Errors
    /// [`CredentialError`]; `NoTenant` if its tenant was deleted meanwhile.
    async fn put_portal_link(&self, link: &PortalLink, hash: &KeyHash, maker: Maker) -> Result<(), CredentialError>;
    /// A link that can still be used.
    async fn unused_portal_link(&self, hash: &KeyHash) -> Result<Option<PortalLink>>;
    /// Uses up a link; `None` if there is none that can be used.
    async fn take_portal_link(&self, hash: &KeyHash) -> Result<Option<PortalLink>>;
    /// A link, used or not, as long as somebody may be signed in by it.
    async fn portal_link(&self, id: PortalLinkId) -> Result<Option<PortalLink>>;
    /// Ends a link, and what was begun by it. False if there is none.
    async fn delete_portal_link(&self, id: PortalLinkId) -> Result<bool>;
}
