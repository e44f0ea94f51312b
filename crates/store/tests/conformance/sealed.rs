//! Secrets at rest.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postrider_core::api_key::{PlainKey, Scopes};
use postrider_core::headers::StaticHeaders;
use postrider_store::{Maker, NewApiKey, SettingsChange};

use crate::fixture::{Database, Fixture};

pub(crate) async fn no_secret_can_be_read_from_the_file(f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let header = ("Authorization".to_owned(), "Bearer sentinel-header-value".to_owned());
    let headers = StaticHeaders::new(vec![header]).expect("permitted");
    let change = SettingsChange { headers: Some(headers.clone()), ..SettingsChange::default() };
    f.stores.catalogue.update_subscription(f.tenant, subscription.id, change).await.expect("stored");
    let key = PlainKey::generate(&f.world);
    let new = NewApiKey {
        maker: Maker::Installation,
        tenant_id: f.tenant,
        name: "k".to_owned(),
        scopes: Scopes::all(),
        expires_at: None,
        hash: key.hash(),
    };
    f.stores.catalogue.create_api_key(new).await.expect("stored");
    let read = f.stores.catalogue.subscription(f.tenant, subscription.id).await.expect("read").expect("there").0;
    assert_eq!((read.secrets, read.settings.headers), (subscription.secrets.clone(), headers));

    let mut stored = Vec::new();
    let Database::Sqlite(folder) = &f.database else { unreachable!("PostgreSQL's files are not ours to read") };
    for entry in std::fs::read_dir(folder.path()).expect("a folder") {
        stored.extend(std::fs::read(entry.expect("a file").path()).expect("readable"));
    }
    let secret = subscription.secrets.current();
    let raw_key = BASE64_STANDARD.decode(&secret.reveal()["whsec_".len()..]).expect("base64");
    for hidden in [secret.reveal().as_bytes(), &raw_key, b"sentinel-header-value", key.reveal().as_bytes()] {
        assert!(!stored.windows(hidden.len()).any(|window| window == hidden));
    }
    assert!(stored.windows(17).any(|window| window == b"https://a.example"), "the search does find things");
}
