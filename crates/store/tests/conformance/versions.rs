//! What is decided by the version of the catalogue, and by no clock.

use std::time::Duration;

use postrider_core::Timestamp;
use postrider_core::delivery::DeliveryState;
use postrider_core::event_type::EventTypeName;
use postrider_core::filter::Filter;
use postrider_core::replay::{ReplayScope, ReplayStatus};
use postrider_core::subscription::Subscription;
use postrider_store::SettingsChange;

use crate::fixture::Fixture;

/// By how much the clocks of two nodes differ.
const APART: Duration = Duration::from_millis(5);

fn active(is_active: bool) -> SettingsChange {
    SettingsChange { is_active: Some(is_active), ..SettingsChange::default() }
}

async fn change(f: &Fixture, subscription: &Subscription, change: SettingsChange) {
    assert!(f.stores.catalogue.update_subscription(f.tenant, subscription.id, change).await.expect("stored"));
}

async fn missed(f: &Fixture, subscription: &Subscription) -> i64 {
    let scope = ReplayScope {
        subscription_id: Some(subscription.id),
        event_type: None,
        status: ReplayStatus::Undelivered,
        since: Timestamp::from_micros(0),
        until: f.now() + Duration::from_secs(1),
    };
    f.stores.replays.preview_replay(f.tenant, &scope).await.expect("counted").count.count
}

/// Webhooks are switched on and off between the answer and the fan-out, on nodes whose clocks are ahead and behind.
pub(crate) async fn deliveries_are_as_many_as_were_promised(f: Fixture) {
    const TARGETS: usize = 1_500;
    let mut webhooks = Vec::new();
    for n in 0..TARGETS {
        webhooks.push(f.subscribe(&format!("https://a.example/{n}")).await);
    }
    let off = &webhooks[1_200..1_400];
    for webhook in off {
        change(&f, webhook, active(false)).await;
    }
    let receipt = f.publish().await;
    assert_eq!(receipt.deliveries, 1_300);
    let accepted = f.now();
    for (n, webhook) in webhooks.iter().enumerate() {
        f.clock.set(if n % 2 == 0 { accepted + APART } else { accepted - APART });
        match n {
            0..100 => change(&f, webhook, active(false)).await,
            100..200 => {
                change(&f, webhook, active(false)).await;
                change(&f, webhook, active(true)).await;
            }
            200..300 => drop(f.stores.catalogue.delete_subscription(f.tenant, webhook.id).await.expect("deleted")),
            1_200..1_400 => change(&f, webhook, active(true)).await,
            _ => {}
        }
    }
    f.clock.set(accepted - APART);
    f.subscribe("https://a.example/late").await;
    while f.stores.queue.fan_out().await.expect("made").is_some() {}
    let event = f.stores.journal.event(f.tenant, receipt.id).await.expect("read").expect("there");
    assert_eq!(event.counts.pending, receipt.deliveries);
}

/// What a node accepted whose clock is ahead is discarded like everything else.
pub(crate) async fn what_is_of_the_future_is_discarded_too(f: Fixture) {
    let webhook = f.subscribe("https://a.example/hook").await;
    let now = f.now();
    f.clock.set(now + APART);
    let receipt = f.publish().await;
    f.clock.set(now);
    change(&f, &webhook, active(false)).await;
    change(&f, &webhook, active(true)).await;
    assert_eq!(f.deliveries_of(receipt.id).await[0].delivery.state, DeliveryState::Discarded);
    f.stores.journal.replay(f.tenant, receipt.id, None).await.expect("opened");
    assert_eq!(f.deliveries_of(receipt.id).await[0].delivery.state, DeliveryState::Pending);
    f.clock.set(now + APART);
    let claimed = f.stores.queue.claim(webhook.lane, 1).await.expect("claimed").remove(0);
    let catalogue = f.stores.queue.snapshot(f.tenant).await.expect("read").expect("there");
    let webhook = catalogue.get(webhook.id).expect("there");
    let closed = postrider_core::lifecycle::closed_to(webhook, claimed.opened_version, claimed.opened_at);
    assert_eq!(closed, None, "it was opened after that");
}

/// What was opened before versions were kept is discarded by its time, and what was opened since the last deactivation is not.
pub(crate) async fn what_has_no_version_is_judged_by_its_time(f: Fixture) {
    let webhook = f.subscribe("https://a.example/hook").await;
    let earlier = f.publish().await;
    change(&f, &webhook, active(false)).await;
    change(&f, &webhook, active(true)).await;
    let later = f.publish().await;
    f.change("update deliveries set opened_version = null, state = 0").await;
    let catalogue = f.stores.queue.snapshot(f.tenant).await.expect("read").expect("there");
    let now = catalogue.get(webhook.id).expect("there");
    let closed = |at| postrider_core::lifecycle::closed_to(now, None, at).is_some();
    assert_eq!((closed(earlier.created_at), closed(later.created_at)), (true, false));
    change(&f, &webhook, active(false)).await;
    assert_eq!(f.deliveries_of(later.id).await[0].delivery.state, DeliveryState::Discarded);
    assert_eq!(f.number("select cast(count(*) as text) from deliveries where state = 0").await, 0);
}

pub(crate) async fn who_came_later_missed_nothing(f: Fixture) {
    f.publish().await;
    let webhook = f.subscribe("https://a.example/hook").await;
    change(&f, &webhook, active(false)).await;
    f.publish().await;
    change(&f, &webhook, active(true)).await;
    assert_eq!(missed(&f, &webhook).await, 1, "what it would have had, and not what was before it");
}

pub(crate) async fn what_was_missed_was_to_be_had_then(f: Fixture) {
    let webhook = f.subscribe("https://a.example/hook").await;
    let filtered = |source: &str| SettingsChange {
        filters: Some(Filter::compile(source).expect("usable")),
        ..SettingsChange::default()
    };
    change(&f, &webhook, active(false)).await;
    change(&f, &webhook, filtered(r#"{"n": 7}"#)).await;
    f.publish().await;
    assert_eq!(missed(&f, &webhook).await, 0, "it would have been turned away");
    change(&f, &webhook, filtered("{}")).await;
    change(&f, &webhook, active(true)).await;
    assert_eq!(missed(&f, &webhook).await, 0, "and stays so");
    change(&f, &webhook, active(false)).await;
    let wanted = f.publish().await;
    change(&f, &webhook, filtered(r#"{"n": 7}"#)).await;
    change(&f, &webhook, active(true)).await;
    assert_eq!(missed(&f, &webhook).await, 1);
    let explained = f.stores.journal.explain(f.tenant, wanted.id, webhook.id).await.expect("read").expect("there");
    let failed: Vec<_> =
        explained.checks.iter().filter(|check| check.passed == Some(false)).map(|check| check.check).collect();
    assert_eq!(failed, ["active"], "{:?}", explained.checks);
}

/// All rows but the changed one are made unreadable: were they read again, nobody would get anything.
pub(crate) async fn a_change_reads_nothing_but_what_changed(f: Fixture) {
    let mut webhooks = Vec::new();
    for n in 0..20 {
        webhooks.push(f.subscribe(&format!("https://a.example/{n}")).await);
    }
    f.stores.catalogue.snapshot(f.tenant).await.expect("read").expect("there");
    f.change("update subscriptions set retry_schedule = 'damaged'").await;
    let new = f.subscribe("https://a.example/new").await;
    assert_eq!(f.publish().await.deliveries, 21);
    change(&f, &new, active(false)).await;
    assert_eq!(f.publish().await.deliveries, 20);
    f.stores.catalogue.delete_subscription(f.tenant, new.id).await.expect("deleted");
    let own = EventTypeName::parse("own.type").expect("a name");
    assert!(!f.stores.catalogue.snapshot(f.tenant).await.expect("read").expect("there").knows(&own));
    assert_eq!(f.publish().await.deliveries, 20);
}

/// As if a process had ended right after its change.
pub(crate) async fn what_a_call_left_is_done_afterwards(mut f: Fixture) {
    let webhook = f.subscribe("https://a.example/hook").await;
    let other = f.subscribe("https://b.example/hook").await;
    for _ in 0..3 {
        f.publish().await;
    }
    while f.handed().is_some() {}
    f.change(&format!(
        "insert into bulk_jobs (id, tenant_id, work, target_kind, target_id, lane, before_version, reason, created_at)
         select RANDOM_ID, tenant_id, 0, 0, id, {}, 99, 'webhook_inactive', 0
         from subscriptions where url = 'https://a.example/hook'",
        webhook.lane.0
    ))
    .await;
    assert_eq!(f.stores.journal.left_to_discard(f.tenant, webhook.id).await.expect("counted"), 3);
    assert_eq!(f.stores.journal.left_to_discard(f.tenant, other.id).await.expect("counted"), 0);
    // One that nobody can read is in nobody's way.
    f.change(
        "insert into bulk_jobs (id, tenant_id, work, target_kind, target_id, lane, before_version, created_at)
         select tenant_id, tenant_id, 77, 0, tenant_id, 1, 1, 0 from subscriptions limit 1",
    )
    .await;
    while f.stores.queue.do_bulk_work().await.expect("done") {}
    assert_eq!(f.look("select cast(count(*) as text) from bulk_jobs").await, ["1"]);
    let states = "select cast(count(*) as text) from deliveries where state = 3 and reason = 'webhook_inactive'";
    assert_eq!(f.look(states).await, ["3"]);
    assert_eq!(f.look("select cast(count(*) as text) from deliveries where state = 0").await, ["3"]);
    assert_eq!(f.stores.journal.left_to_discard(f.tenant, webhook.id).await.expect("counted"), 0);
}

/// Versions go with the events that they were for, but for the one that still holds.
pub(crate) async fn old_versions_go(f: Fixture) {
    let webhook = f.subscribe("https://a.example/hook").await;
    for is_active in [false, true, false, true] {
        change(&f, &webhook, active(is_active)).await;
        f.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(f.number("select cast(count(*) as text) from subscription_versions").await, 5);
    f.clock.advance(Duration::from_secs(25 * 60 * 60));
    let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
    let retention = postrider_store::Retention { payloads: hours(1), deliveries: hours(1), statistics: hours(1) };
    while f.stores.queue.prune(retention).await.expect("pruned") {}
    assert_eq!(f.number("select cast(count(*) as text) from subscription_versions").await, 1);
    assert_eq!(f.publish().await.deliveries, 1);
}
