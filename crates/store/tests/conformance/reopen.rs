//! Ended deliveries, opened again by hand.

use postrider_core::delivery::{DeliveryState, FailReason};
use postrider_core::lifecycle::Decision;
use postrider_store::{ReopenError, SettingsChange};

use crate::fixture::Fixture;

const EXHAUSTED: Decision = Decision::Failed(FailReason::RetriesExhausted);

pub(crate) async fn a_retry_goes_on_counting_and_takes_the_old_end_back(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, EXHAUSTED, Some(f.answered(500))).await;
    assert_eq!(f.stats(subscription.id).await.failed, 1);
    let sent = f.stores.journal.sent(f.tenant, claimed.id).await.expect("read").expect("there");
    assert_eq!((sent.view.attempts.len(), sent.event.map(|event| event.id)), (1, Some(claimed.event.id)));
    assert!(sent.profile.is_some());
    let opened = f.stores.journal.retry(f.tenant, claimed.id).await.expect("opened").delivery;
    assert_eq!((opened.state, opened.reason, opened.next_attempt_at), (DeliveryState::Pending, None, Some(f.now())));
    let stats = f.stats(subscription.id).await;
    assert_eq!((stats.successful, stats.failed), (0, 0));
    assert!(f.inbox.due.take().contains(&subscription.lane));
    let again = f.stores.queue.claim(subscription.lane, 1).await.expect("claimed").remove(0);
    assert_eq!((again.id, again.tries, again.attempts, again.claim), (claimed.id, 0, 1, 4));
    f.settle(&claimed, EXHAUSTED, None).await;
    assert_eq!(f.delivery(claimed.id).await.delivery.state, DeliveryState::Pending, "the old claim is worth nothing");
    f.settle(&again, Decision::Delivered, Some(f.answered(200))).await;
    let numbers: Vec<_> = f.delivery(claimed.id).await.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(f.stats(subscription.id).await.successful, 1);
}

pub(crate) async fn a_pending_delivery_cannot_be_retried(mut f: Fixture) {
    f.subscribe("https://a.example/hook").await;
    let claimed = f.publish_and_take().await;
    assert!(matches!(f.stores.journal.retry(f.tenant, claimed.id).await, Err(ReopenError::Pending)));
}

pub(crate) async fn an_inactive_or_deleted_target_cannot_be_retried(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, EXHAUSTED, Some(f.answered(500))).await;
    let off = SettingsChange { is_active: Some(false), ..SettingsChange::default() };
    f.stores.catalogue.update_subscription(f.tenant, subscription.id, off).await.expect("stored");
    assert!(matches!(f.stores.journal.retry(f.tenant, claimed.id).await, Err(ReopenError::Inactive)));
    f.stores.catalogue.delete_subscription(f.tenant, subscription.id).await.expect("deleted");
    assert!(matches!(f.stores.journal.retry(f.tenant, claimed.id).await, Err(ReopenError::Deleted)));
    assert_eq!(f.delivery(claimed.id).await.delivery.state, DeliveryState::Failed);
}

pub(crate) async fn a_replay_opens_what_ended(mut f: Fixture) {
    f.subscribe("https://a.example/1").await;
    let inactive = f.subscribe("https://a.example/2").await;
    let event = f.publish().await;
    let (first, second) = (f.handed().expect("handed over"), f.handed().expect("handed over"));
    f.settle(&first, Decision::Delivered, Some(f.answered(200))).await;
    f.settle(&second, EXHAUSTED, Some(f.answered(500))).await;
    let off = SettingsChange { is_active: Some(false), ..SettingsChange::default() };
    f.stores.catalogue.update_subscription(f.tenant, inactive.id, off).await.expect("stored");
    assert_eq!(f.stores.journal.replay(f.tenant, event.id, None).await.expect("opened"), 1);
    let states: Vec<_> = f.deliveries_of(event.id).await.iter().map(|view| view.delivery.state).collect();
    assert!(states.contains(&DeliveryState::Pending) && states.contains(&DeliveryState::Failed), "{states:?}");
    let named = f.stores.journal.replay(f.tenant, event.id, Some(inactive.id)).await;
    assert!(matches!(named, Err(ReopenError::Inactive)));
}

pub(crate) async fn a_replay_makes_what_was_missing(f: Fixture) {
    let event = f.publish().await;
    assert_eq!(event.deliveries, 0);
    let late = f.subscribe("https://a.example/hook").await;
    let replay = || f.stores.journal.replay(f.tenant, event.id, Some(late.id));
    assert_eq!(replay().await.expect("made"), 1);
    assert_eq!(f.deliveries_of(event.id).await.len(), 1);
    assert!(matches!(replay().await, Err(ReopenError::Pending)));
    let unknown = f.stores.journal.replay(f.tenant, event.id, Some(f.world.new_id())).await;
    assert!(matches!(unknown, Err(ReopenError::NotFound)));
}
