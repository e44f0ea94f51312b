//! Who signs in, and stays signed in.

use std::time::Duration;

use postrider_core::api_key::KeyHash;
use postrider_core::cursor::Page;
use postrider_core::password::HashedPassword;
use postrider_core::profile::STANDARD;
use postrider_core::role::Role;
use postrider_core::user::{PortalLink, User};
use postrider_core::{TenantId, UserId};
use postrider_store::{CredentialError, Maker, NewUser};

use crate::fixture::Fixture;

const MINUTE: Duration = Duration::from_secs(60);

fn password(text: &str) -> HashedPassword {
    HashedPassword(text.to_owned())
}

async fn add(f: &Fixture, name: &str, tenant_id: Option<TenantId>) -> Option<User> {
    f.clock.advance(Duration::from_micros(1));
    let role = if tenant_id.is_some() { Role::TenantViewer } else { Role::Operator };
    let new =
        NewUser { maker: Maker::Installation, name: name.to_owned(), role, tenant_id, password: password("first") };
    match f.stores.accounts.create_user(new).await {
        Err(CredentialError::Taken) => None,
        made => Some(made.expect("stored")),
    }
}

pub(crate) async fn users_are_found_by_name_and_listed_by_tenant(f: Fixture) {
    let accounts = &f.stores.accounts;
    let operator = add(&f, "olga", None).await.expect("free");
    let theirs = add(&f, "tom", Some(f.tenant)).await.expect("free");
    assert_eq!(add(&f, "olga", Some(f.tenant)).await, None, "a name is one user's in all tenants");
    let list = async |tenant| accounts.users(tenant, Page::default()).await.expect("read");
    assert_eq!(list(None).await, [theirs.clone(), operator.clone()]);
    assert_eq!(list(Some(f.tenant)).await, std::slice::from_ref(&theirs));
    assert_eq!(accounts.user(operator.id).await.expect("read"), Some(operator.clone()));
    assert_eq!(accounts.user_named("olga").await.expect("read"), Some((operator.clone(), password("first"))));
    assert_eq!(accounts.user_named("nobody").await.expect("read"), None);
    f.clock.advance(MINUTE);
    assert!(accounts.set_password(operator.id, &password("second"), Maker::Installation).await.expect("stored"));
    let (changed, hashed) = accounts.user_named("olga").await.expect("read").expect("there");
    assert_eq!((changed.password_set_at, hashed), (f.now(), password("second")));
    assert!(accounts.delete_user(operator.id).await.expect("stored"));
    assert!(!accounts.delete_user(operator.id).await.expect("stored"));
    assert!(!accounts.set_password(UserId::NIL, &password("x"), Maker::Installation).await.expect("stored"));
    assert_eq!(accounts.user(operator.id).await.expect("read"), None);
}

pub(crate) async fn a_deleted_tenant_has_no_users(f: Fixture) {
    let other = f.stores.catalogue.create_tenant("second", STANDARD).await.expect("stored").expect("free").id;
    let user = add(&f, "tom", Some(other)).await.expect("free");
    f.stores.catalogue.delete_tenant(other).await.expect("stored");
    assert_eq!(f.stores.accounts.user(user.id).await.expect("read"), None);
}

pub(crate) async fn a_session_lasts_until_it_ends(f: Fixture) {
    let (accounts, hash) = (&f.stores.accounts, KeyHash([1; 32]));
    let known = async || accounts.session(&hash).await.expect("read");
    assert_eq!(known().await, None);
    assert!(accounts.begin_session(&hash, "one", f.now() + MINUTE).await.expect("stored"));
    assert!(!accounts.begin_session(&hash, "another", f.now() + MINUTE).await.expect("stored"));
    assert!(accounts.keep_session(&hash, "two", f.now() + 2 * MINUTE).await.expect("stored"));
    f.clock.advance(MINUTE);
    assert_eq!(known().await.as_deref(), Some("two"));
    f.clock.advance(MINUTE);
    assert_eq!(known().await, None);
    assert!(!accounts.keep_session(&hash, "late", f.now() + MINUTE).await.expect("stored"));
    assert!(accounts.begin_session(&hash, "three", f.now() + MINUTE).await.expect("stored"));
    accounts.end_session(&hash).await.expect("stored");
    assert!(!accounts.keep_session(&hash, "after all", f.now() + MINUTE).await.expect("stored"));
    assert_eq!(known().await, None);
}

pub(crate) async fn a_portal_link_is_used_once(f: Fixture) {
    let accounts = &f.stores.accounts;
    let link = |byte: u8| {
        let link = PortalLink {
            id: f.world.new_id(),
            tenant_id: f.tenant,
            role: Role::TenantAdmin,
            expires_at: f.now() + MINUTE,
        };
        (link, KeyHash([byte; 32]))
    };
    let ((first, first_hash), (second, second_hash)) = (link(1), link(2));
    accounts.put_portal_link(&first, &first_hash, Maker::Installation).await.expect("stored");
    accounts.put_portal_link(&second, &second_hash, Maker::Installation).await.expect("stored");
    assert_eq!(accounts.unused_portal_link(&first_hash).await.expect("read").as_ref(), Some(&first));
    assert_eq!(accounts.take_portal_link(&first_hash).await.expect("read").as_ref(), Some(&first));
    assert_eq!(accounts.unused_portal_link(&first_hash).await.expect("read"), None);
    assert_eq!(accounts.take_portal_link(&first_hash).await.expect("read"), None, "it is used up");
    f.clock.advance(MINUTE);
    assert_eq!(accounts.take_portal_link(&second_hash).await.expect("read"), None, "it is too late");
    assert_eq!(accounts.portal_link(first.id).await.expect("read").as_ref(), Some(&first), "somebody may be signed in");
    assert!(accounts.delete_portal_link(first.id).await.expect("stored"));
    assert!(!accounts.delete_portal_link(first.id).await.expect("stored"));
    assert_eq!(accounts.portal_link(first.id).await.expect("read"), None);
}
