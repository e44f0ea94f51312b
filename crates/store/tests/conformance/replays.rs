//! Periods sent again.

use postrider_core::Timestamp;
use postrider_core::cursor::Page;
use postrider_core::delivery::{DeliveryState, FailReason};
use postrider_core::lifecycle::Decision;
use postrider_core::replay::{Count, Replay, ReplayScope, ReplayState, ReplayStatus};
use postrider_core::{SubscriptionId, TenantId};
use postrider_store::{SettingsChange, Urgency};
use uuid::Uuid;

use crate::fixture::Fixture;

const EXHAUSTED: Decision = Decision::Failed(FailReason::RetriesExhausted);
const FAST: u32 = 1_000;

fn all(f: &Fixture, subscription_id: Option<SubscriptionId>) -> ReplayScope {
    ReplayScope {
        subscription_id,
        event_type: None,
        status: ReplayStatus::Undelivered,
        since: Timestamp::from_micros(0),
        until: f.now(),
    }
}

async fn make(f: &Fixture, scope: &ReplayScope, rate: u32) -> Replay {
    let count = f.stores.replays.preview_replay(f.tenant, scope).await.expect("counted").count;
    f.stores.replays.create_replay(f.tenant, scope.clone(), rate, count).await.expect("made")
}

async fn find(f: &Fixture, replay: &Replay) -> Replay {
    f.stores.replays.find_replay(f.tenant, replay.id).await.expect("read").expect("there")
}

/// Goes on until nothing is running.
async fn run(f: &Fixture) {
    while let Some(at) = f.stores.queue.replay().await.expect("a step") {
        f.clock.set(at.max(f.now()));
    }
}

async fn fail(f: &mut Fixture, times: usize) {
    for _ in 0..times {
        let claimed = f.publish_and_take().await;
        f.settle(&claimed, EXHAUSTED, Some(f.answered(500))).await;
    }
    f.clock.advance(std::time::Duration::from_secs(1));
}

pub(crate) async fn what_failed_is_opened_at_its_rate(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    fail(&mut f, 3).await;
    let replay = make(&f, &all(&f, None), 1).await;
    assert_eq!(replay.total, Count { count: 3, is_exact: true });
    let begun = f.now();
    run(&f).await;
    assert!(f.now().since(begun) >= std::time::Duration::from_secs(3), "one a second");
    let ended = find(&f, &replay).await;
    assert_eq!((ended.state, ended.replayed, ended.skipped), (ReplayState::Finished, 3, 0));
    assert!(f.inbox.due.take().contains(&subscription.lane));
    let stats = f.stats(subscription.id).await;
    assert_eq!((stats.successful, stats.failed), (0, 0), "the old ends are taken back");
    let claimed = f.stores.queue.claim(subscription.lane, 9).await.expect("claimed").remove(0);
    f.settle(&claimed, Decision::Delivered, Some(f.answered(200))).await;
    let attempts = f.delivery(claimed.id).await.attempts;
    assert_eq!(attempts.iter().map(|attempt| attempt.replay_id).collect::<Vec<_>>(), [None, Some(replay.id)]);
}

pub(crate) async fn what_was_missed_is_made(f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let active = |is_active| SettingsChange { is_active: Some(is_active), ..SettingsChange::default() };
    let change = |change| f.stores.catalogue.update_subscription(f.tenant, subscription.id, change);
    change(active(false)).await.expect("stored");
    let event = f.publish().await;
    f.clock.advance(std::time::Duration::from_secs(1));
    let scope = all(&f, Some(subscription.id));
    let skipping = make(&f, &scope, FAST).await;
    run(&f).await;
    assert_eq!(find(&f, &skipping).await.skipped, 1, "it is inactive");
    change(active(true)).await.expect("stored");
    let preview = f.stores.replays.preview_replay(f.tenant, &scope).await.expect("counted");
    assert_eq!((preview.count.count, preview.sample[0].event_id), (1, event.id));
    assert!(preview.sample[0].delivery.is_none());
    let replay = make(&f, &scope, FAST).await;
    run(&f).await;
    assert_eq!(find(&f, &replay).await.replayed, 1);
    assert_eq!(f.deliveries_of(event.id).await[0].delivery.state, DeliveryState::Pending);
    assert_eq!(f.stores.replays.preview_replay(f.tenant, &scope).await.expect("counted").count.count, 0);
}

pub(crate) async fn what_is_paused_or_canceled_does_not_go_on(mut f: Fixture) {
    f.subscribe("https://a.example/hook").await;
    fail(&mut f, 2).await;
    let replay = make(&f, &all(&f, None), 1).await;
    f.stores.queue.replay().await.expect("a step");
    let turn = |next| f.stores.replays.turn_replay(f.tenant, replay.id, next);
    assert!(!turn(ReplayState::Running).await.expect("asked"), "it runs");
    assert!(turn(ReplayState::Paused).await.expect("paused"));
    run(&f).await;
    assert_eq!(find(&f, &replay).await.replayed, 1);
    assert!(turn(ReplayState::Running).await.expect("resumed"));
    assert!(turn(ReplayState::Canceled).await.expect("canceled"));
    run(&f).await;
    let ended = find(&f, &replay).await;
    assert_eq!((ended.state, ended.replayed), (ReplayState::Canceled, 1));
    assert!(!turn(ReplayState::Running).await.expect("asked"), "it has ended");
}

pub(crate) async fn replays_are_of_one_tenant(mut f: Fixture) {
    f.subscribe("https://a.example/hook").await;
    fail(&mut f, 1).await;
    let replay = make(&f, &all(&f, None), 1).await;
    let other = TenantId::from(Uuid::from_u128(7));
    let replays = &f.stores.replays;
    assert!(replays.find_replay(other, replay.id).await.expect("read").is_none());
    assert!(!replays.turn_replay(other, replay.id, ReplayState::Paused).await.expect("asked"));
    assert_eq!(replays.preview_replay(other, &replay.scope).await.expect("counted").count.count, 0);
    assert_eq!(replays.replays(other, Page::default()).await.expect("read").len(), 0);
    assert_eq!(replays.replays(f.tenant, Page::default()).await.expect("read").len(), 1);
    f.stores.catalogue.delete_tenant(f.tenant).await.expect("deleted");
    run(&f).await;
    assert_eq!(find(&f, &replay).await.state, ReplayState::Canceled);
}

/// More than are looked at once, so that the place of one page leads to the next.
pub(crate) async fn long_periods_are_gone_through_in_pages(f: Fixture) {
    const EVENTS: i64 = 2_100;
    let subscription = f.subscribe("https://a.example/hook").await;
    let off = SettingsChange { is_active: Some(false), ..SettingsChange::default() };
    f.stores.catalogue.update_subscription(f.tenant, subscription.id, off).await.expect("stored");
    for _ in 0..EVENTS / 100 {
        let drafts = (0..100).map(|_| crate::fixture::draft(None)).collect();
        f.stores.journal.publish(f.tenant, drafts, Urgency::Pressing).await;
    }
    f.clock.advance(std::time::Duration::from_secs(1));
    let preview = f.stores.replays.preview_replay(f.tenant, &all(&f, Some(subscription.id))).await.expect("counted");
    assert_eq!((preview.count, preview.sample.len()), (Count { count: EVENTS, is_exact: true }, 10));
}

/// One that cannot go on is left for later, and holds up no other.
pub(crate) async fn one_that_cannot_go_on_waits(mut f: Fixture) {
    f.subscribe("https://a.example/hook").await;
    fail(&mut f, 1).await;
    let broken = make(&f, &all(&f, None), FAST).await;
    f.change("alter table reopenings rename to elsewhere").await;
    let now = f.now();
    f.stores.queue.replay().await.expect("a step");
    assert!(f.stores.queue.replay().await.expect("a step").is_some_and(|at| at > now), "not at once");
    f.change("alter table elsewhere rename to reopenings").await;
    run(&f).await;
    assert_eq!(find(&f, &broken).await.replayed, 1);
}

/// What cannot be read is passed over, and the rest is sent again.
pub(crate) async fn one_that_cannot_be_read_is_passed_over(mut f: Fixture) {
    let spoiled = f.subscribe("https://a.example/spoiled").await;
    f.subscribe("https://a.example/hook").await;
    f.publish().await;
    while let Some(claimed) = f.handed() {
        f.settle(&claimed, EXHAUSTED, Some(f.answered(500))).await;
    }
    f.clock.advance(std::time::Duration::from_secs(1));
    let replay = make(&f, &all(&f, None), FAST).await;
    f.change("update subscriptions set retry_schedule = 'x' where url = 'https://a.example/spoiled'").await;
    run(&f).await;
    let ended = find(&f, &replay).await;
    assert_eq!((ended.state, ended.replayed, ended.skipped), (ReplayState::Finished, 1, 1));
    let failed = "select cast(count(*) as text) from deliveries where state = 2";
    assert_eq!((f.number(failed).await, spoiled.settings.is_active), (1, true), "it stays as it was");
}
