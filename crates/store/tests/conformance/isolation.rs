//! Another tenant's rows.

use postrider_core::cursor::Page;
use postrider_core::lifecycle::Decision;
use postrider_store::{DeliveryFilter, EventFilter, ReopenError, SettingsChange};

use crate::fixture::Fixture;

pub(crate) async fn another_tenants_ids_are_as_good_as_none(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, Decision::Delivered, Some(f.answered(200))).await;
    let log_id = f.delivery(claimed.id).await.attempts[0].log_id;
    let (catalogue, journal) = (&f.stores.catalogue, &f.stores.journal);
    let other = catalogue.create_tenant("second", "standard").await.expect("stored").expect("free").id;

    assert!(catalogue.subscription(other, subscription.id).await.expect("read").is_none());
    assert!(!catalogue.update_subscription(other, subscription.id, SettingsChange::default()).await.expect("asked"));
    assert!(!catalogue.delete_subscription(other, subscription.id).await.expect("asked"));
    assert!(catalogue.subscriptions(other, None).await.expect("read").is_empty());
    assert!(journal.event(other, claimed.event.id).await.expect("read").is_none());
    assert!(journal.events(other, &EventFilter::default(), Page::default()).await.expect("read").items.is_empty());
    assert!(journal.delivery(other, claimed.id).await.expect("read").is_none());
    assert!(
        journal.deliveries(other, &DeliveryFilter::default(), Page::default()).await.expect("read").items.is_empty()
    );
    assert!(journal.deliveries_of(other, claimed.event.id).await.expect("read").is_empty());
    assert!(journal.deliveries_of_each(other, &[claimed.event.id]).await.expect("read").is_empty());
    assert!(journal.attempt(other, log_id).await.expect("read").is_none());
    assert!(matches!(journal.retry(other, claimed.id).await, Err(ReopenError::NotFound)));
    assert!(matches!(journal.replay(other, claimed.event.id, None).await, Err(ReopenError::NotFound)));
}
