//! Credentials are made only while whoever makes them, and their tenant, live.

use std::time::Duration;

use postrider_core::api_key::{ApiKey, KeyHash, PlainKey, Scopes};
use postrider_core::cursor::Page;
use postrider_core::password::HashedPassword;
use postrider_core::role::Role;
use postrider_core::user::{PortalLink, User};
use postrider_core::{TenantId, Timestamp};
use postrider_store::{CredentialError, Maker, NewApiKey, NewUser};
use sqlx::{Connection, Executor, PgConnection};

use crate::fixture::Fixture;

const MINUTE: Duration = Duration::from_secs(60);

async fn make_key(f: &Fixture, maker: Maker, expires_at: Option<Timestamp>) -> Result<ApiKey, CredentialError> {
    f.clock.advance(Duration::from_micros(1));
    let hash = PlainKey::generate(&f.world).hash();
    let new = NewApiKey { maker, tenant_id: f.tenant, name: "k".to_owned(), scopes: Scopes::all(), expires_at, hash };
    f.stores.catalogue.create_api_key(new).await
}

async fn make_user(f: &Fixture, maker: Maker, tenant_id: Option<TenantId>) -> Result<User, CredentialError> {
    f.clock.advance(Duration::from_micros(1));
    let role = if tenant_id.is_some() { Role::TenantViewer } else { Role::Operator };
    let (name, password) = (format!("u{}", f.now().as_micros()), HashedPassword("x".to_owned()));
    f.stores.accounts.create_user(NewUser { maker, name, role, tenant_id, password }).await
}

async fn make_link(f: &Fixture, maker: Maker) -> Result<PortalLink, CredentialError> {
    let (role, expires_at) = (Role::TenantAdmin, f.now() + MINUTE);
    let link = PortalLink { id: f.world.new_id(), tenant_id: f.tenant, role, expires_at };
    let hash = PlainKey::generate(&f.world).hash();
    f.stores.accounts.put_portal_link(&link, &hash, maker).await.map(|()| link)
}

/// Who is signed in, by a session of this hash.
async fn signed_in(f: &Fixture, hash: u8) -> (Maker, KeyHash) {
    let user = make_user(f, Maker::Installation, None).await.expect("made");
    let session = KeyHash([hash; 32]);
    assert!(f.stores.accounts.begin_session(&session, "x", f.now() + MINUTE).await.expect("begun"));
    (Maker::User { id: user.id, password_set_at: user.password_set_at, session }, session)
}

/// Each kind of credential, by a maker.
async fn all_are_refused(f: &Fixture, maker: Maker) {
    let gone = |error: Option<CredentialError>| matches!(error, Some(CredentialError::MakerGone));
    assert!(gone(make_key(f, maker, None).await.err()), "{maker:?}");
    assert!(gone(make_user(f, maker, None).await.err()), "{maker:?}");
    assert!(gone(make_link(f, maker).await.err()), "{maker:?}");
    let user = make_user(f, Maker::Installation, None).await.expect("made");
    let set = f.stores.accounts.set_password(user.id, &HashedPassword("y".to_owned()), maker).await;
    assert!(gone(set.err()), "{maker:?}");
}

pub(crate) async fn who_was_revoked_makes_none(f: Fixture) {
    let (catalogue, accounts) = (&f.stores.catalogue, &f.stores.accounts);
    let key = make_key(&f, Maker::Installation, None).await.expect("made");
    let made = make_key(&f, Maker::ApiKey(key.id), None).await.expect("made");
    assert!(catalogue.revoke_api_key(f.tenant, key.id).await.expect("revoked"));
    all_are_refused(&f, Maker::ApiKey(key.id)).await;
    assert_eq!(catalogue.api_keys(f.tenant, Page::default()).await.expect("read"), [made], "nothing was made");

    let expiring = make_key(&f, Maker::Installation, Some(f.now() + MINUTE)).await.expect("made");
    let (signed_out, session) = signed_in(&f, 1).await;
    make_user(&f, signed_out, Some(f.tenant)).await.expect("made while signed in");
    accounts.end_session(&session).await.expect("ended");
    all_are_refused(&f, signed_out).await;

    let (other_password, _) = signed_in(&f, 2).await;
    let Maker::User { id, .. } = other_password else { unreachable!("it is") };
    f.clock.advance(Duration::from_secs(1));
    accounts.set_password(id, &HashedPassword("y".to_owned()), Maker::Installation).await.expect("set");
    all_are_refused(&f, other_password).await;

    let link = make_link(&f, Maker::Installation).await.expect("made");
    let session = KeyHash([3; 32]);
    assert!(accounts.begin_session(&session, "x", f.now() + MINUTE).await.expect("begun"));
    let by_link = Maker::PortalLink { id: link.id, session };
    make_key(&f, by_link, None).await.expect("made while the link lives");
    assert!(accounts.delete_portal_link(link.id).await.expect("deleted"));
    all_are_refused(&f, by_link).await;

    f.clock.advance(MINUTE);
    all_are_refused(&f, Maker::ApiKey(expiring.id)).await;
}

pub(crate) async fn a_deleted_tenant_gets_none(f: Fixture) {
    f.stores.catalogue.delete_tenant(f.tenant).await.expect("deleted");
    let maker = Maker::Installation;
    let no_tenant =
        |error: Option<CredentialError>| matches!(error, Some(CredentialError::NoTenant(id)) if id == f.tenant);
    assert!(no_tenant(make_key(&f, maker, None).await.err()));
    assert!(no_tenant(make_user(&f, maker, Some(f.tenant)).await.err()));
    assert!(no_tenant(make_link(&f, maker).await.err()));
}

/// A revocation that is under way is waited for: if it commits, nothing is made.
pub(crate) async fn a_revocation_under_way_is_waited_for(f: Fixture) {
    let key = make_key(&f, Maker::Installation, None).await.expect("made");
    for (revoke, expected) in [("delete from api_keys", true), ("update tenants set deleted_at = 1", false)] {
        let mut revoker = PgConnection::connect(&f.database.url()).await.expect("a server");
        revoker.execute("begin").await.expect("begun");
        revoker.execute(revoke).await.expect("revoked");
        let (made, committed) = tokio::join!(make_key(&f, Maker::ApiKey(key.id), None), async {
            let waiting = "select cast(count(*) as text) from pg_locks where not granted";
            while f.number(waiting).await == 0 {
                tokio::task::yield_now().await;
            }
            revoker.execute(if expected { "rollback" } else { "commit" }).await.map(drop)
        });
        committed.expect("ended");
        assert_eq!(made.is_ok(), expected, "{revoke}: {made:?}");
    }
}
