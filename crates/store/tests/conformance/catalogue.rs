//! Tenants, keys, event types and subscriptions.

use std::time::Duration;

use postrider_core::api_key::{PlainKey, Scopes};
use postrider_core::cursor::Page;
use postrider_core::event_type::{EventType, EventTypeName};
use postrider_core::secret::SigningSecret;
use postrider_core::vault::MasterKey;
use postrider_store::{CredentialError, Maker, NewApiKey, Rotation, TypeChange};

use crate::fixture::Fixture;

pub(crate) async fn a_tenant_name_is_free_again_after_its_deletion(f: Fixture) {
    let catalogue = &f.stores.catalogue;
    assert!(catalogue.create_tenant("first", "standard").await.expect("asked").is_none(), "taken");
    assert!(catalogue.delete_tenant(f.tenant).await.expect("deleted"));
    assert!(!catalogue.delete_tenant(f.tenant).await.expect("asked"), "once");
    assert!(catalogue.tenant(f.tenant).await.expect("read").is_none());
    assert!(catalogue.create_tenant("first", "standard").await.expect("stored").is_some());
}

pub(crate) async fn deleting_a_tenant_ends_its_keys_and_subscriptions(f: Fixture) {
    f.subscribe("https://a.example/hook").await;
    let event = f.publish().await;
    let key = PlainKey::generate(&f.world);
    f.stores.catalogue.create_api_key(new_key(&f, &key)).await.expect("stored");
    f.stores.catalogue.delete_tenant(f.tenant).await.expect("deleted");
    assert!(f.stores.catalogue.api_key_by_hash(&key.hash()).await.expect("read").is_none());
    assert!(f.stores.catalogue.snapshot(f.tenant).await.expect("read").is_none());
    assert_eq!(f.deliveries_of(event.id).await[0].delivery.reason.as_deref(), Some("webhook_deleted"));
}

fn new_key(f: &Fixture, key: &PlainKey) -> NewApiKey {
    NewApiKey {
        maker: Maker::Installation,
        tenant_id: f.tenant,
        name: "k".to_owned(),
        scopes: Scopes::all(),
        expires_at: None,
        hash: key.hash(),
    }
}

pub(crate) async fn a_key_is_found_by_its_hash_until_revoked(f: Fixture) {
    let catalogue = &f.stores.catalogue;
    let key = PlainKey::generate(&f.world);
    let made = catalogue.create_api_key(new_key(&f, &key)).await.expect("stored");
    let again = catalogue.create_api_key(new_key(&f, &key)).await;
    assert!(matches!(again, Err(CredentialError::Taken)), "this very key");
    assert_eq!(catalogue.api_key_by_hash(&key.hash()).await.expect("read"), Some(made.clone()));
    let other = catalogue.create_tenant("second", "standard").await.expect("stored").expect("free").id;
    catalogue.note_use(other, made.id).await.expect("asked");
    assert_eq!(catalogue.api_key_by_hash(&key.hash()).await.expect("read").and_then(|key| key.last_used_at), None);
    catalogue.note_use(f.tenant, made.id).await.expect("noted");
    assert!(catalogue.api_keys(f.tenant, Page::default()).await.expect("read")[0].last_used_at.is_some());
    assert!(!catalogue.revoke_api_key(other, made.id).await.expect("asked"), "another tenant's");
    assert!(catalogue.revoke_api_key(f.tenant, made.id).await.expect("revoked"));
    assert_eq!(catalogue.api_key_by_hash(&key.hash()).await.expect("read"), None);
}

pub(crate) async fn custom_types_are_known_at_once(f: Fixture) {
    let catalogue = &f.stores.catalogue;
    let name = EventTypeName::parse("our.own").expect("a name");
    let known = || async { catalogue.snapshot(f.tenant).await.expect("read").expect("there").knows(&name) };
    assert!(!known().await);
    let own = EventType {
        name: name.clone(),
        group: "G".to_owned(),
        description: "D".to_owned(),
        profile: None,
        custom: true,
    };
    assert!(catalogue.create_event_type(f.tenant, own.clone()).await.expect("stored"));
    assert!(!catalogue.create_event_type(f.tenant, own.clone()).await.expect("asked"), "once");
    assert!(known().await);
    let change = TypeChange { group: None, description: Some("E".to_owned()) };
    let changed = catalogue.update_event_type(f.tenant, &name, change).await.expect("stored").expect("there");
    assert_eq!((changed.group.as_str(), changed.description.as_str()), ("G", "E"));
    assert!(catalogue.delete_event_type(f.tenant, &name).await.expect("deleted"));
    assert!(!known().await);
}

pub(crate) async fn rotation_keeps_both_secrets(f: Fixture) {
    let before = f.subscribe("https://a.example/hook").await;
    let next = SigningSecret::generate(&f.world);
    let previous_until = f.now() + Duration::from_secs(60);
    let rotation = Rotation { next: next.clone(), previous_until };
    assert!(f.stores.catalogue.rotate_secret(f.tenant, before.id, rotation).await.expect("stored"));
    let catalogue = f.stores.catalogue.snapshot(f.tenant).await.expect("read").expect("there");
    let secrets = &catalogue.get(before.id).expect("there").secrets;
    let signing: Vec<_> = secrets.signing_at(f.now()).cloned().collect();
    assert_eq!(signing, [next.clone(), before.secrets.current().clone()]);
    assert_eq!(secrets.signing_at(previous_until).cloned().collect::<Vec<_>>(), [next]);
}

pub(crate) async fn lists_are_stable_under_inserts(f: Fixture) {
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(f.subscribe(&format!("https://a.example/{n}")).await.id);
    }
    made.reverse();
    let page = |before| Some(Page { before, limit: 2 });
    let (catalogue, tenant) = (&f.stores.catalogue, f.tenant);
    let list = |page| async move { catalogue.subscriptions(tenant, page).await.expect("read") };
    let ids =
        |list: Vec<(postrider_core::subscription::Subscription, _)>| list.iter().map(|(s, _)| s.id).collect::<Vec<_>>();
    let first = ids(list(page(None)).await);
    f.subscribe("https://a.example/late").await;
    let second = ids(list(page(Some(first[1].uuid()))).await);
    let third = ids(list(page(Some(second[1].uuid()))).await);
    assert_eq!([first, second, third].concat(), made);
    assert_eq!(list(None).await.len(), 6);
}

pub(crate) async fn tenants_and_keys_are_listed_and_found(f: Fixture) {
    let catalogue = &f.stores.catalogue;
    f.clock.advance(Duration::from_micros(1));
    let second = catalogue.create_tenant("second", "standard").await.expect("stored").expect("a free name");
    let names: Vec<String> =
        catalogue.tenants(Page::default()).await.expect("read").into_iter().map(|t| t.name).collect();
    assert_eq!(names, ["second", "first"], "newest first");
    assert_eq!(catalogue.tenant_named("second").await.expect("read").map(|found| found.id), Some(second.id));
    assert!(catalogue.tenant_named("third").await.expect("read").is_none());
    let key = PlainKey::generate(&f.world);
    let new = NewApiKey {
        maker: Maker::Installation,
        tenant_id: second.id,
        name: "k".to_owned(),
        scopes: Scopes::all(),
        expires_at: None,
        hash: key.hash(),
    };
    catalogue.create_api_key(new).await.expect("stored");
    let names = async |tenant_id| {
        let keys = catalogue.api_keys(tenant_id, Page::default()).await.expect("read");
        keys.into_iter().map(|key| key.name).collect::<Vec<_>>()
    };
    assert_eq!((names(second.id).await, names(f.tenant).await), (vec!["k".to_owned()], vec![]));
}

pub(crate) async fn the_vault_is_tried_on_what_is_there(f: Fixture) {
    f.stores.catalogue.check_vault().await.expect("nothing is sealed yet");
    f.subscribe("https://a.example/hook").await;
    f.stores.catalogue.check_vault().await.expect("it opens");
    let other = MasterKey::parse("HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=").expect("a key");
    let with_other = f.sealing(other, None).await;
    assert!(with_other.catalogue.check_vault().await.is_err(), "the canary is another's");

    // A database that has none yet takes it from a key that opens what is there; what is damaged does not count.
    f.subscribe("https://a.example/newest").await;
    f.change("update subscriptions set secrets = substr(secrets, 1, 5) where url like '%newest'").await;
    f.change("update installation set canary = null").await;
    assert!(with_other.catalogue.check_vault().await.is_err(), "it opens nothing");
    assert_eq!(f.number("select cast(count(canary) as text) from installation").await, 0);
    f.stores.catalogue.check_vault().await.expect("it opens one");
    assert_eq!(f.number("select cast(count(canary) as text) from installation").await, 1);
    f.change("update installation set canary = substr(canary, 1, 40)").await;
    assert!(with_other.catalogue.check_vault().await.is_err(), "what is damaged is nobody's");
    f.stores.catalogue.check_vault().await.expect("it opens one");
    assert!(with_other.catalogue.check_vault().await.is_err(), "it is this key's again");
}

pub(crate) async fn a_new_master_key_seals_all_anew(f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let old = MasterKey::development();
    let new = MasterKey::parse("HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=").expect("a key");
    let rotated = f.sealing(new.clone(), Some(old.clone())).await;
    assert_eq!(rotated.catalogue.reseal().await.expect("resealed"), 1);
    assert_eq!(rotated.catalogue.reseal().await.expect("looked"), 0, "once");
    let only_new = f.sealing(new, None).await;
    let found = only_new.catalogue.subscription(f.tenant, subscription.id).await.expect("read").expect("there").0;
    assert_eq!(found.secrets, subscription.secrets);
    assert!(f.sealing(old, None).await.catalogue.check_vault().await.is_err(), "the old key opens nothing");
}
