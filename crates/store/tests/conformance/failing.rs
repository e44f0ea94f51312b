//! Subscriptions that fail, and who is told.

use std::time::Duration;

use postrider_core::TenantId;
use postrider_core::cursor::Page;
use postrider_core::delivery::{DeliveryState, FailReason};
use postrider_core::lifecycle::Decision;
use postrider_core::notice::OPERATIONS_TENANT;
use postrider_core::subscription::Subscription;
use postrider_store::{AuditFilter, EventFilter, SettingsChange};

use crate::fixture::Fixture;

const EXHAUSTED: Decision = Decision::Failed(FailReason::RetriesExhausted);
const DAY: Duration = Duration::from_secs(86_400);
const PATIENCE: Duration = Duration::from_secs(5 * 86_400);

async fn operations(f: &Fixture) -> TenantId {
    f.stores.catalogue.create_tenant(OPERATIONS_TENANT, "standard").await.expect("made").expect("new").id
}

/// What was told, the first first.
async fn told(f: &Fixture, listener: TenantId) -> Vec<String> {
    while f.stores.queue.tell().await.expect("told") {}
    let events = f.stores.journal.events(listener, &EventFilter::default(), Page::default()).await.expect("read");
    events.items.into_iter().rev().map(|event| event.event_type).collect()
}

/// One more attempt fails, a while later.
async fn fail(f: &mut Fixture, later: Duration) {
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, EXHAUSTED, Some(f.answered(500))).await;
    f.clock.advance(Duration::from_secs(10));
    while f.stores.queue.roll_up().await.expect("counted") {}
    f.stores.queue.look_after_failing(PATIENCE).await.expect("looked after");
    f.clock.advance(later);
}

async fn now(f: &Fixture, subscription: &Subscription) -> Subscription {
    let catalogue = f.stores.catalogue.newest_snapshot(f.tenant).await.expect("read").expect("there");
    catalogue.get(subscription.id).expect("there").as_ref().clone()
}

pub(crate) async fn it_is_told_warned_of_and_deactivated(mut f: Fixture) {
    let listener = operations(&f).await;
    let subscription = f.subscribe("https://a.example/hook").await;
    fail(&mut f, DAY).await;
    assert!(told(&f, listener).await.is_empty(), "one failure is none");
    fail(&mut f, DAY * 2).await;
    assert_eq!(told(&f, listener).await, ["webhook.failing"]);
    fail(&mut f, Duration::ZERO).await;
    fail(&mut f, DAY * 2).await;
    assert_eq!(told(&f, listener).await, ["webhook.failing", "webhook.failing"], "each once");
    f.stores.queue.look_after_failing(PATIENCE).await.expect("looked after");
    assert!(now(&f, &subscription).await.settings.is_active, "who is sent nothing is not to blame");
    fail(&mut f, Duration::ZERO).await;
    assert!(!now(&f, &subscription).await.settings.is_active);
    assert_eq!(told(&f, listener).await.last().map(String::as_str), Some("webhook.deactivated"));
    let filter = AuditFilter { action: Some("webhook.deactivated".to_owned()), ..AuditFilter::default() };
    let audit = f.stores.journal.audit_entries(f.tenant, &filter, Page::default()).await.expect("read");
    assert_eq!(audit[0].actor.kind(), "postrider");
    // Activated again, it begins anew.
    let on = SettingsChange { is_active: Some(true), ..SettingsChange::default() };
    f.stores.catalogue.update_subscription(f.tenant, subscription.id, on).await.expect("stored");
    assert!(f.stores.statistics.failing(f.tenant).await.expect("read").is_empty());
}

pub(crate) async fn each_failed_delivery_is_told_to_who_subscribes(mut f: Fixture) {
    f.subscribe("https://a.example/hook").await;
    let listener = operations(&f).await;
    fail(&mut f, Duration::ZERO).await;
    assert!(told(&f, listener).await.is_empty(), "nobody asked");
    f.subscribe_in(&f.stores, listener, "delivery.failed", "https://ops.example/").await;
    let failed = f.publish_and_take().await;
    f.settle(&failed, EXHAUSTED, Some(f.answered(500))).await;
    f.clock.advance(Duration::from_secs(10));
    while f.stores.queue.roll_up().await.expect("counted") {}
    assert_eq!(told(&f, listener).await, ["delivery.failed"]);
    // Of its own failures nobody is told: each would make one more.
    let own = f.handed().expect("handed over");
    f.settle(&own, EXHAUSTED, Some(f.answered(500))).await;
    f.clock.advance(Duration::from_secs(10));
    while f.stores.queue.roll_up().await.expect("counted") {}
    assert_eq!(told(&f, listener).await, ["delivery.failed"]);
    f.stores.catalogue.delete_tenant(listener).await.expect("deleted");
    assert!(!f.stores.queue.tell().await.expect("told"), "there is nobody");
}

pub(crate) async fn a_receiver_that_is_gone_is_told(mut f: Fixture) {
    let listener = operations(&f).await;
    let subscription = f.subscribe("https://a.example/hook").await;
    let claimed = f.publish_and_take().await;
    let url = "https://a.example/hook";
    assert!(!f.stores.queue.deactivate(f.tenant, subscription.id, "https://b.example/").await.expect("asked"));
    assert!(f.stores.queue.deactivate(f.tenant, subscription.id, url).await.expect("deactivated"));
    assert!(!f.stores.queue.deactivate(f.tenant, subscription.id, url).await.expect("asked"), "once");
    assert_eq!(told(&f, listener).await, ["webhook.deactivated"]);
    assert_eq!(f.delivery(claimed.id).await.delivery.state, DeliveryState::Discarded);
}
