//! How claims end.

use std::time::Duration;

use postrider_core::attempt::AttemptOutcome;
use postrider_core::delivery::{DeliveryState, DiscardReason, FailReason};
use postrider_core::lanes::LaneId;
use postrider_core::lifecycle::Decision;
use postrider_core::target_url::TargetUrl;
use postrider_store::SettingsChange;

use crate::fixture::Fixture;

const EXHAUSTED: Decision = Decision::Failed(FailReason::RetriesExhausted);
const LEASE: Duration = Duration::from_secs(30);

pub(crate) async fn an_end_is_recorded_with_its_attempt_and_statistics(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let claimed = f.publish_and_take().await;
    let sent = f.answered(200);
    f.settle(&claimed, Decision::Delivered, Some(sent.clone())).await;
    let view = f.delivery(claimed.id).await;
    assert_eq!(
        (view.delivery.state, view.delivery.reason, view.delivery.next_attempt_at),
        (DeliveryState::Delivered, None, None)
    );
    let attempt = &view.attempts[0];
    assert_eq!((attempt.number, attempt.outcome, attempt.status), (1, AttemptOutcome::Success, Some(200)));
    assert_eq!((attempt.timings, attempt.started_at), (sent.timings, sent.started_at));
    assert_eq!(attempt.response_body, b"\0not text\xff");
    assert_eq!(attempt.response_headers, r#"{"Server":"test"}"#);
    assert_eq!(attempt.remote_address.as_deref(), Some("192.0.2.1:443"));
    let found = f.stores.journal.attempt(f.tenant, attempt.log_id).await.expect("read");
    assert_eq!(found.as_ref(), Some(attempt));
    let stats = f.stats(subscription.id).await;
    assert_eq!((stats.successful, stats.failed, stats.last_triggered_at), (1, 0, Some(sent.started_at)));
}

pub(crate) async fn a_retry_waits_for_its_time(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let claimed = f.publish_and_take().await;
    let due_at = f.now() + Duration::from_secs(5);
    f.settle(&claimed, Decision::Retry(due_at), Some(f.unanswered())).await;
    let view = f.delivery(claimed.id).await;
    assert_eq!((view.delivery.state, view.delivery.next_attempt_at), (DeliveryState::Pending, Some(due_at)));
    assert_eq!((view.attempts[0].status, view.attempts[0].message.as_str()), (None, "Timed out after 15 s"));
    let stats = f.stats(subscription.id).await;
    assert_eq!((stats.successful, stats.failed), (0, 0), "only ends count");
    assert!(stats.last_triggered_at.is_some());
}

pub(crate) async fn an_outcome_whose_commit_was_not_heard_of_counts_once(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let first = f.publish_and_take().await;
    let retry = Decision::Retry(f.now());
    let failed = f.answered(500);
    f.settle(&first, retry.clone(), Some(failed.clone())).await;
    f.settle(&first, retry, Some(failed)).await;
    let second = f.stores.queue.claim(subscription.lane, 1).await.expect("claimed").remove(0);
    assert_eq!((second.tries, second.attempts), (1, 1));
    let answered = f.answered(200);
    f.settle(&second, Decision::Delivered, Some(answered.clone())).await;
    f.settle(&second, Decision::Delivered, Some(answered)).await;
    let view = f.delivery(first.id).await;
    let numbers: Vec<i64> = view.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!((view.delivery.state, numbers), (DeliveryState::Delivered, vec![1, 2]));
    let stats = f.stats(subscription.id).await;
    assert_eq!((stats.successful, stats.failed), (1, 0));
}

pub(crate) async fn a_late_failure_changes_nothing_but_is_kept(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let late = f.publish_and_take().await;
    f.clock.advance(LEASE);
    let newer = f.stores.queue.claim(subscription.lane, 1).await.expect("claimed").remove(0);
    f.settle(&late, EXHAUSTED, Some(f.answered(500))).await;
    assert_eq!(f.delivery(late.id).await.delivery.state, DeliveryState::Pending);
    f.settle(&newer, Decision::Delivered, Some(f.answered(200))).await;
    f.settle(&late, EXHAUSTED, Some(f.answered(500))).await;
    let view = f.delivery(late.id).await;
    assert_eq!(view.delivery.state, DeliveryState::Delivered);
    assert_eq!(view.attempts.len(), 2, "one for each claim");
    let stats = f.stats(subscription.id).await;
    assert_eq!((stats.successful, stats.failed), (1, 0));
}

pub(crate) async fn a_late_success_is_a_fact(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let late = f.publish_and_take().await;
    f.clock.advance(LEASE);
    let newer = f.stores.queue.claim(subscription.lane, 1).await.expect("claimed").remove(0);
    f.settle(&newer, EXHAUSTED, Some(f.answered(500))).await;
    assert_eq!(f.stats(subscription.id).await.failed, 1);
    f.settle(&late, Decision::Delivered, Some(f.answered(200))).await;
    f.settle(&late, Decision::Delivered, Some(f.answered(200))).await;
    let view = f.delivery(late.id).await;
    assert_eq!((view.delivery.state, view.delivery.reason), (DeliveryState::Delivered, None));
    let stats = f.stats(subscription.id).await;
    assert_eq!((stats.successful, stats.failed), (1, 0), "the failure is taken back, the success counts once");
}

pub(crate) async fn deactivating_discards_what_is_pending_for_good(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let in_flight = f.publish_and_take().await;
    let set = |is_active| SettingsChange { is_active: Some(is_active), ..SettingsChange::default() };
    let update = |change| f.stores.catalogue.update_subscription(f.tenant, subscription.id, change);
    assert!(update(set(false)).await.expect("stored"));
    let delivery = f.delivery(in_flight.id).await.delivery;
    assert_eq!((delivery.state, delivery.reason.as_deref()), (DeliveryState::Discarded, Some("webhook_inactive")));
    assert_eq!(f.publish().await.deliveries, 0);
    assert!(update(set(true)).await.expect("stored"));
    f.clock.advance(LEASE);
    assert!(f.stores.queue.claim(subscription.lane, 9).await.expect("asked").is_empty(), "nothing is revived");
    f.settle(&in_flight, EXHAUSTED, Some(f.answered(500))).await;
    assert_eq!(f.delivery(in_flight.id).await.delivery.state, DeliveryState::Discarded);
    let stats = f.stats(subscription.id).await;
    assert_eq!((stats.successful, stats.failed), (0, 0), "discarded ones do not count");
}

pub(crate) async fn deleting_discards_and_keeps_the_log(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, Decision::Retry(f.now()), Some(f.answered(500))).await;
    assert!(f.stores.catalogue.delete_subscription(f.tenant, subscription.id).await.expect("deleted"));
    let view = f.delivery(claimed.id).await;
    assert_eq!(view.delivery.reason.as_deref(), Some(DiscardReason::WebhookDeleted.name()));
    assert_eq!((view.delivery.url.as_str(), view.attempts.len()), ("https://a.example/hook", 1));
}

pub(crate) async fn a_new_url_takes_pending_deliveries_along(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, Decision::Retry(f.now()), Some(f.answered(500))).await;
    let url = TargetUrl::from_stored("https://b.example/hook").expect("a URL");
    let change = SettingsChange { url: Some(url.clone()), ..SettingsChange::default() };
    f.stores.catalogue.update_subscription(f.tenant, subscription.id, change).await.expect("stored");
    assert_eq!(f.delivery(claimed.id).await.delivery.url, "https://b.example/hook");
    assert!(f.stores.queue.claim(subscription.lane, 9).await.expect("asked").is_empty());
    assert_eq!(f.stores.queue.claim(LaneId::of(f.tenant, &url), 9).await.expect("claimed").len(), 1);
}

pub(crate) async fn a_receiver_that_is_gone_ends_only_the_subscription_it_was_asked_by(f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let gone = |url| f.stores.queue.deactivate(f.tenant, subscription.id, url);
    assert!(!gone("https://a.example/former").await.expect("asked"), "it has another URL by now");
    let is_active = async || {
        let found = f.stores.catalogue.subscription(f.tenant, subscription.id).await.expect("read");
        found.expect("there").0.settings.is_active
    };
    assert!(is_active().await);
    assert!(gone("https://a.example/hook").await.expect("deactivated"));
    assert!(!is_active().await);
}
