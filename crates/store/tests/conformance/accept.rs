//! Accepting events.

use std::collections::HashSet;
use std::sync::Arc;

use postrider_core::delivery::DeliveryState;
use postrider_core::lanes::LaneLimits;
use postrider_store::{PublishError, Urgency};

use crate::fixture::{Fixture, draft};

pub(crate) async fn makes_the_event_and_its_deliveries_durable(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    f.subscribe_in(&f.stores, f.tenant, "all", "https://b.example/").await;
    f.subscribe_in(&f.stores, f.tenant, "case.resolved", "https://c.example/").await;
    let receipt = f.publish().await;
    assert_eq!((receipt.deliveries, receipt.duplicate), (2, false));
    let claimed = f.handed().expect("handed over");
    assert_eq!((claimed.target.subscription_id(), claimed.claim, claimed.tries), (Some(subscription.id), 1, 0));
    assert_eq!(&*claimed.event.draft.payload, r#"{"id":"é","n":1.10}"#);

    let (beside, _inbox) = f.beside(LaneLimits::default()).await;
    let event = beside.journal.event(f.tenant, receipt.id).await.expect("read").expect("there");
    assert_eq!(event.payload.as_deref(), Some(r#"{"id":"é","n":1.10}"#));
    assert_eq!((event.resource_id.as_deref(), event.metadata.as_deref()), (Some("é"), Some(r#"{"a":1}"#)));
    assert_eq!(event.counts.pending, 2);
    let states: Vec<_> = f.deliveries_of(receipt.id).await.iter().map(|view| view.delivery.state).collect();
    assert_eq!(states, [DeliveryState::Pending; 2]);
}

pub(crate) async fn hands_over_while_there_are_slots_and_queues_the_rest(f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let (stores, mut inbox) = f.beside(LaneLimits { total: 10, per_lane: 2, ..LaneLimits::default() }).await;
    for _ in 0..3 {
        stores.journal.publish(f.tenant, vec![draft(None)], Urgency::Pressing).await.remove(0).expect("accepted");
    }
    let first = inbox.handed.try_recv().expect("a slot");
    let second = inbox.handed.try_recv().expect("a slot");
    assert!(inbox.handed.try_recv().is_err(), "the lane is full");
    assert!(inbox.due.take().contains(&subscription.lane), "somebody is told of the third");
    let rows = stores.queue.claim(subscription.lane, 9).await.expect("claimed");
    assert_eq!(rows.len(), 1, "the two that were handed over are leased");
    drop((first, second));
}

pub(crate) async fn queues_behind_rows_that_wait(mut f: Fixture) {
    f.subscribe("https://a.example/hook").await;
    let (stores, mut inbox) = f.beside(LaneLimits { total: 10, per_lane: 1, ..LaneLimits::default() }).await;
    stores.journal.publish(f.tenant, vec![draft(None), draft(None)], Urgency::Pressing).await;
    drop(inbox.handed.try_recv().expect("the first has a slot"));
    assert!(inbox.handed.try_recv().is_err());
    stores.journal.publish(f.tenant, vec![draft(None)], Urgency::Pressing).await;
    assert!(inbox.handed.try_recv().is_err(), "there is a slot, but another waits");
    assert!(f.handed().is_none(), "other processes hear nothing");
}

pub(crate) async fn a_key_publishes_once(f: Fixture) {
    f.subscribe("https://a.example/hook").await;
    let first = f.publish_draft(draft(Some("k"))).await;
    let again = f.publish_draft(draft(Some("k"))).await;
    assert!(again.duplicate);
    assert_eq!((again.id, again.created_at, again.deliveries), (first.id, first.created_at, first.deliveries));
    let mut other = draft(Some("k"));
    other.payload = "{}".into();
    let refused = f.stores.journal.publish(f.tenant, vec![other], Urgency::Pressing).await.remove(0);
    assert!(matches!(refused, Err(PublishError::KeyReused)), "{refused:?}");
    let elsewhere = f.stores.catalogue.create_tenant("second", "standard").await.expect("stored").expect("free").id;
    let theirs = f
        .stores
        .journal
        .publish(elsewhere, vec![draft(Some("k"))], Urgency::Pressing)
        .await
        .remove(0)
        .expect("accepted");
    assert!(!theirs.duplicate, "keys belong to their tenant");
}

pub(crate) async fn a_hundred_at_once_make_one_event(f: Fixture) {
    f.subscribe("https://a.example/hook").await;
    let journal = Arc::clone(&f.stores.journal);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (journal, tenant) = (Arc::clone(&journal), f.tenant);
            tokio::spawn(
                async move { journal.publish(tenant, vec![draft(Some("k"))], Urgency::Pressing).await.remove(0) },
            )
        })
        .collect();
    let mut receipts = Vec::new();
    for task in tasks {
        receipts.push(task.await.expect("no panic").expect("a good answer"));
    }
    assert!(receipts.iter().all(|receipt| receipt.id == receipts[0].id));
    assert_eq!(receipts.iter().filter(|receipt| !receipt.duplicate).count(), 1);
    assert_eq!(f.deliveries_of(receipts[0].id).await.len(), 1);
}

pub(crate) async fn uses_a_subscription_made_by_another_process(f: Fixture) {
    assert_eq!(f.publish().await.deliveries, 0);
    let (beside, _inbox) = f.beside(LaneLimits::default()).await;
    f.subscribe_in(&beside, f.tenant, "case.opened", "https://a.example/hook").await;
    assert_eq!(f.publish().await.deliveries, 1, "the remembered catalogue was stale");
}

pub(crate) async fn does_not_use_one_deleted_by_another_process(f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    assert_eq!(f.publish().await.deliveries, 1);
    let (beside, _inbox) = f.beside(LaneLimits::default()).await;
    assert!(beside.catalogue.delete_subscription(f.tenant, subscription.id).await.expect("deleted"));
    assert_eq!(f.publish().await.deliveries, 0);
}

pub(crate) async fn patient_events_are_accepted_alone_and_beside_others(f: Fixture) {
    let journal = &f.stores.journal;
    let patient = || journal.publish(f.tenant, vec![draft(None), draft(None)], Urgency::Patient);
    let (alone, beside, pressing) = (patient().await, patient(), f.publish_draft(draft(None)));
    let (beside, pressing) = tokio::join!(beside, pressing);
    let ids: HashSet<_> = alone.into_iter().chain(beside).map(|result| result.expect("accepted").id).collect();
    assert_eq!(ids.len(), 4);
    for id in ids.into_iter().chain([pressing.id]) {
        assert!(journal.event(f.tenant, id).await.expect("read").is_some());
    }
}

pub(crate) async fn a_batch_answers_in_order(f: Fixture) {
    f.publish_draft(draft(Some("b"))).await;
    let mut other = draft(Some("b"));
    other.payload = "{}".into();
    let batch = vec![draft(Some("a")), draft(Some("b")), draft(None), draft(Some("a")), other];
    let results = f.stores.journal.publish(f.tenant, batch, Urgency::Pressing).await;
    let duplicates: Vec<_> =
        results.iter().map(|result| result.as_ref().ok().map(|receipt| receipt.duplicate)).collect();
    assert_eq!(duplicates, [Some(false), Some(true), Some(false), Some(true), None]);
}
