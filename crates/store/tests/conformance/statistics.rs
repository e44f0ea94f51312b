//! What was written down, counted.

use std::time::Duration;

use postrider_core::Timestamp;
use postrider_core::attempt::AttemptOutcome;
use postrider_core::delivery::FailReason;
use postrider_core::lifecycle::Decision;
use postrider_core::tally::{Tally, Width};
use postrider_store::{Retention, Whose};

use crate::fixture::Fixture;

const EXHAUSTED: Decision = Decision::Failed(FailReason::RetriesExhausted);
/// Until all that was begun has ended, and the minute of events is over.
const LATER: Duration = Duration::from_secs(120);

async fn roll_up(f: &Fixture) {
    while f.stores.queue.roll_up().await.expect("counted") {}
}

async fn tallies(f: &Fixture, whose: Whose, width: Width) -> Vec<(Timestamp, Tally)> {
    let (since, until) = (Timestamp::from_micros(0), f.now() + LATER);
    f.stores.statistics.tallies(whose, width, since, until).await.expect("read")
}

async fn sum(f: &Fixture, whose: Whose, width: Width) -> Tally {
    let mut sum = Tally::default();
    tallies(f, whose, width).await.iter().for_each(|(_, tally)| sum.add(tally));
    sum
}

pub(crate) async fn all_is_counted_once_for_everybody_it_concerns(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, Decision::Delivered, Some(f.answered(200))).await;
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, EXHAUSTED, Some(f.answered(500))).await;
    // A test is no delivery, and counts for nobody.
    f.stores.journal.record_test(f.tenant, &f.answered(200)).await.expect("recorded");
    roll_up(&f).await;
    assert!(tallies(&f, Whose::All, Width::Minute).await.is_empty(), "too young");
    f.clock.advance(LATER);
    roll_up(&f).await;
    roll_up(&f).await;
    let of_subscription = Whose::Subscription(f.tenant, subscription.id);
    for width in Width::ALL {
        for whose in [Whose::All, Whose::Tenant(f.tenant), of_subscription] {
            let tally = sum(&f, whose, width).await;
            assert_eq!((tally.attempts(), tally.delivered(), tally.failed), (2, 1, 1), "{whose:?}");
            assert_eq!(tally.attempts_with(AttemptOutcome::HttpError), 1);
            assert!(tally.latency.quantile(0.5).is_some());
            assert_eq!(tally.events, if whose == of_subscription { 0 } else { 2 }, "{whose:?}");
        }
    }
    // More of the same minute is added to it.
    let before = tallies(&f, Whose::All, Width::Hour).await.len();
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, Decision::Delivered, Some(f.answered(200))).await;
    f.clock.advance(LATER);
    roll_up(&f).await;
    assert_eq!(sum(&f, Whose::All, Width::Hour).await.delivered(), 2);
    assert!(tallies(&f, Whose::All, Width::Hour).await.len() <= before + 1);
    let (since, until) = (f.now() + LATER, f.now() + LATER * 2);
    let later = f.stores.statistics.tallies(Whose::All, Width::Minute, since, until).await.expect("read");
    assert!(later.is_empty(), "the period counts");
}

pub(crate) async fn whoever_fails_is_known_until_it_succeeds(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    for _ in 0..2 {
        let claimed = f.publish_and_take().await;
        f.settle(&claimed, EXHAUSTED, Some(f.answered(500))).await;
        f.clock.advance(LATER);
        roll_up(&f).await;
    }
    let failing = f.stores.statistics.failing(f.tenant).await.expect("read");
    assert_eq!((failing[0].0, failing[0].1.attempts), (subscription.id, 2));
    assert!(failing[0].1.last_at.since(failing[0].1.since) >= LATER);
    assert_eq!(f.stores.statistics.failing_by_tenant().await.expect("read"), [(f.tenant, 1)]);
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, Decision::Delivered, Some(f.answered(200))).await;
    f.clock.advance(LATER);
    roll_up(&f).await;
    assert!(f.stores.statistics.failing(f.tenant).await.expect("read").is_empty());
}

pub(crate) async fn more_than_one_step_is_counted_in_several(mut f: Fixture) {
    const TIMES: i64 = 1_050;
    f.subscribe("https://a.example/hook").await;
    for _ in 0..TIMES {
        let claimed = f.publish_and_take().await;
        f.settle(&claimed, EXHAUSTED, Some(f.answered(500))).await;
    }
    f.clock.advance(LATER);
    // Two at once, as two nodes would.
    let (one, other) = tokio::join!(f.stores.queue.roll_up(), f.stores.queue.roll_up());
    assert!(one.expect("counted") || other.expect("counted"), "there is more");
    roll_up(&f).await;
    let tally = sum(&f, Whose::Tenant(f.tenant), Width::Minute).await;
    assert_eq!((tally.attempts(), tally.failed, tally.events), (TIMES, TIMES, TIMES));
}

pub(crate) async fn what_waits_is_counted(mut f: Fixture) {
    let one = f.subscribe("https://a.example/1").await;
    f.subscribe("https://a.example/2").await;
    let begun = f.now();
    f.publish().await;
    while let Some(claimed) = f.handed() {
        let due_at = begun + Duration::from_secs(60);
        f.settle(&claimed, Decision::Retry(due_at), Some(f.answered(500))).await;
    }
    for (whose, pending) in [
        (Whose::All, 2),
        (Whose::Tenant(f.tenant), 2),
        (Whose::Subscription(f.tenant, one.id), 1),
        (Whose::Tenant(postrider_core::TenantId::NIL), 0),
    ] {
        let waiting = f.stores.statistics.waiting(whose).await.expect("counted");
        assert_eq!((waiting.pending, waiting.is_exact), (pending, true), "{whose:?}");
        assert_eq!(waiting.oldest_due_at.is_some(), pending > 0);
    }
    f.stores.statistics.nodes().await.expect("read");
}

pub(crate) async fn tallies_go_by_their_own_retention(mut f: Fixture) {
    const DAY: Duration = Duration::from_secs(86_400);
    f.subscribe("https://a.example/hook").await;
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, Decision::Delivered, Some(f.answered(200))).await;
    f.clock.advance(DAY * 2);
    roll_up(&f).await;
    let prune = async |statistics| {
        let retention = Retention { payloads: DAY, deliveries: DAY, statistics };
        while f.stores.queue.prune(retention).await.expect("pruned") {}
    };
    prune(DAY * 3).await;
    assert_eq!(sum(&f, Whose::All, Width::Minute).await.delivered(), 1, "kept longer than the log");
    prune(DAY).await;
    assert!(tallies(&f, Whose::All, Width::Minute).await.is_empty());
    assert!(tallies(&f, Whose::All, Width::Hour).await.is_empty());
}
