//! Events with very many targets.

use std::time::Duration;

use postrider_core::delivery::DeliveryState;
use postrider_store::{DeliveryFilter, SettingsChange};

use crate::fixture::Fixture;

pub(crate) async fn many_targets_are_made_in_chunks(mut f: Fixture) {
    const TARGETS: i64 = 1001;
    let mut last = None;
    for n in 0..TARGETS {
        last = Some(f.subscribe(&format!("https://a.example/{n}")).await);
    }
    let receipt = f.publish().await;
    assert_eq!(receipt.deliveries, TARGETS);
    assert!(f.handed().is_none(), "made afterwards");
    let last = last.expect("made");
    f.stores.catalogue.delete_subscription(f.tenant, last.id).await.expect("deleted");
    f.subscribe("https://a.example/late").await;

    let mut chunks = Vec::new();
    while let Some(lanes) = f.stores.queue.fan_out().await.expect("made") {
        chunks.push(lanes.len());
    }
    assert_eq!(chunks, [1000, 1]);
    let event = f.stores.journal.event(f.tenant, receipt.id).await.expect("read").expect("there");
    assert_eq!(event.counts.pending, TARGETS, "one for each that matched when it was accepted");
    let filter = DeliveryFilter { subscription_id: Some(last.id), ..DeliveryFilter::default() };
    let of_deleted = f.stores.journal.deliveries(f.tenant, &filter, postrider_core::cursor::Page::default()).await;
    assert_eq!(
        of_deleted.expect("read").items[0].delivery.state,
        DeliveryState::Pending,
        "ends discarded when it is claimed"
    );
}

pub(crate) async fn a_replay_meanwhile_does_not_stop_it(f: Fixture) {
    const TARGETS: i64 = 1001;
    let mut last = None;
    for n in 0..TARGETS {
        last = Some(f.subscribe(&format!("https://a.example/{n}")).await);
    }
    let receipt = f.publish().await;
    let last = last.expect("made");
    assert_eq!(f.stores.journal.replay(f.tenant, receipt.id, Some(last.id)).await.expect("made"), 1);
    while f.stores.queue.fan_out().await.expect("made").is_some() {}
    let event = f.stores.journal.event(f.tenant, receipt.id).await.expect("read").expect("there");
    assert_eq!(event.counts.pending, TARGETS);
    assert_eq!(f.look("select cast(sum(made) as text) from tenant_stats").await, [TARGETS.to_string()]);
}

pub(crate) async fn only_who_was_active_at_the_accept_gets_it(f: Fixture) {
    let paused = f.subscribe("https://a.example/paused").await;
    let set = |is_active| {
        let change = SettingsChange { is_active: Some(is_active), ..SettingsChange::default() };
        f.stores.catalogue.update_subscription(f.tenant, paused.id, change)
    };
    set(false).await.expect("changed");
    for n in 0..1001 {
        f.subscribe(&format!("https://a.example/{n}")).await;
    }
    let receipt = f.publish().await;
    f.clock.advance(Duration::from_micros(1));
    set(true).await.expect("changed");
    while f.stores.queue.fan_out().await.expect("made").is_some() {}
    let event = f.stores.journal.event(f.tenant, receipt.id).await.expect("read").expect("there");
    assert_eq!((receipt.deliveries, event.counts.pending), (1001, 1001));
}
