//! Claims are leases in the row.

use std::time::Duration;

use postrider_core::lanes::{LaneId, LaneLimits};
use postrider_core::lifecycle::MARK_PAUSE;

use postrider_store::{Backlog, Urgency};

use crate::fixture::Fixture;

/// The timeout of the fixture's subscriptions and the margin of a lease.
const LEASE: Duration = Duration::from_secs(15 + 15);
/// Of a row of the table whose target names no timeout: it may be the longest.
const LONGEST_LEASE: Duration = Duration::from_secs(30 + 15);

pub(crate) async fn nobody_else_claims_until_the_lease_ends(mut f: Fixture) {
    let lane = f.subscribe("https://a.example/hook").await.lane;
    let handed = f.publish_and_take().await;
    assert_eq!(handed.lease_until, f.now() + LEASE);
    f.clock.advance(LEASE - Duration::from_micros(1));
    assert!(f.stores.queue.claim(lane, 9).await.expect("asked").is_empty());
    f.clock.advance(Duration::from_micros(1));
    let (beside, _inbox) = f.beside(LaneLimits::default()).await;
    let claimed = beside.queue.claim(lane, 9).await.expect("claimed");
    assert_eq!((claimed.len(), claimed[0].id, claimed[0].claim), (1, handed.id, 2));
    assert!(f.stores.queue.claim(lane, 9).await.expect("asked").is_empty(), "leased again");
}

pub(crate) async fn the_longest_due_goes_first(f: Fixture) {
    let lane = f.subscribe("https://a.example/hook").await.lane;
    let (stores, _inbox) = f.beside(LaneLimits { total: 0, per_lane: 0, ..LaneLimits::default() }).await;
    let mut published = Vec::new();
    for _ in 0..3 {
        f.clock.advance(Duration::from_secs(1));
        let result =
            stores.journal.publish(f.tenant, vec![crate::fixture::draft(None)], Urgency::Pressing).await.remove(0);
        published.push(result.expect("accepted").id);
    }
    let first = stores.queue.claim(lane, 2).await.expect("claimed");
    let rest = stores.queue.claim(lane, 2).await.expect("claimed");
    let mut order: Vec<_> = first.iter().map(|claimed| claimed.event.id).collect();
    order.sort_unstable();
    assert_eq!(order, published[..2]);
    assert_eq!(rest.iter().map(|claimed| claimed.event.id).collect::<Vec<_>>(), published[2..]);
}

pub(crate) async fn nothing_is_claimed_before_it_is_due(mut f: Fixture) {
    let lane = f.subscribe("https://a.example/hook").await.lane;
    let claimed = f.publish_and_take().await;
    let due_at = f.now() + Duration::from_secs(5);
    f.settle(&claimed, postrider_core::lifecycle::Decision::Retry(due_at), Some(f.unanswered())).await;
    let due = f.stores.queue.lanes_due(None, 9).await.expect("read");
    assert_eq!(due.iter().map(|due| (due.lane, due.at)).collect::<Vec<_>>(), [(lane, due_at)]);
    f.clock.advance(Duration::from_secs(5) - Duration::from_micros(1));
    assert!(f.stores.queue.claim(lane, 9).await.expect("asked").is_empty());
    f.clock.advance(Duration::from_micros(1));
    let again = f.stores.queue.claim(lane, 9).await.expect("claimed");
    assert_eq!((again[0].id, again[0].claim, again[0].tries, again[0].attempts), (claimed.id, 3, 1, 1));
}

pub(crate) async fn lanes_are_found_page_by_page(f: Fixture) {
    let mut lanes: Vec<LaneId> = Vec::new();
    for n in 0..5 {
        lanes.push(f.subscribe(&format!("https://a.example/{n}")).await.lane);
    }
    f.publish().await;
    f.publish().await;
    lanes.sort_unstable();
    let queue = &f.stores.queue;
    let page = |after| async move { queue.lanes_due(after, 2).await.expect("read") };
    let mut found: Vec<LaneId> = Vec::new();
    while let Some(more) = Some(page(found.last().copied()).await).filter(|more| !more.is_empty()) {
        found.extend(more.iter().map(|due| due.lane));
    }
    assert_eq!(found, lanes);
}

pub(crate) async fn an_abandoned_row_is_free_and_keeps_its_strike(mut f: Fixture) {
    let lane = f.subscribe("https://a.example/hook").await.lane;
    let claimed = f.publish_and_take().await;
    f.stores.queue.abandon(f.tenant, claimed.id, claimed.claim).await.expect("abandoned");
    let again = f.stores.queue.claim(lane, 9).await.expect("claimed");
    assert_eq!((again[0].id, again[0].claim, again[0].strikes), (claimed.id, 2, 2));
    f.stores.queue.abandon(f.tenant, claimed.id, claimed.claim).await.expect("asked");
    assert!(f.stores.queue.claim(lane, 9).await.expect("asked").is_empty(), "the claim was another's");
}

pub(crate) async fn a_clock_that_was_set_back_delays_nothing(mut f: Fixture) {
    let hour = Duration::from_secs(3600);
    let lane = f.subscribe("https://a.example/hook").await.lane;
    let start = f.now();
    f.clock.advance(hour);
    let claimed = f.publish_and_take().await;
    let due_at = f.now() + Duration::from_secs(5);
    f.settle(&claimed, postrider_core::lifecycle::Decision::Retry(due_at), Some(f.unanswered())).await;
    f.clock.set(start);
    let (stores, _inbox) = f.serving().await;
    assert!(stores.queue.claim(lane, 9).await.expect("asked").is_empty(), "not before its time");
    f.clock.advance(Duration::from_secs(6));
    assert_eq!(stores.queue.claim(lane, 9).await.expect("claimed").len(), 1, "not an hour later");
}

/// More than have their deliveries made with the event.
const TARGETS: i64 = 1001;

/// The lane of the last.
async fn subscribe_very_many(f: &Fixture) -> LaneId {
    let mut lane = LaneId(0);
    for n in 0..TARGETS {
        lane = f.subscribe(&format!("https://a.example/{n}")).await.lane;
    }
    lane
}

pub(crate) async fn a_clock_that_was_set_back_delays_none_of_very_many(f: Fixture) {
    let start = f.now();
    let lane = subscribe_very_many(&f).await;
    f.clock.advance(Duration::from_secs(3600));
    f.publish().await;
    f.clock.set(start);
    let (stores, _inbox) = f.serving().await;
    while stores.queue.fan_out().await.expect("made").is_some() {}
    assert_eq!(stores.queue.claim(lane, 9).await.expect("claimed").len(), 1, "at once, not an hour later");
}

/// More than are moved at once, each once, and the rest of them if the process that began it ended.
pub(crate) async fn what_waits_is_moved_in_pages(mut f: Fixture) {
    const MANY: i64 = 2_500;
    const HOUR: Duration = Duration::from_secs(3_600);
    f.subscribe("https://a.example/hook").await;
    let claimed = f.publish_and_take().await;
    f.settle(
        &claimed,
        postrider_core::lifecycle::Decision::Retry(f.now() + Duration::from_secs(5)),
        Some(f.answered(500)),
    )
    .await;
    let copy = format!(
        "with recursive n(n) as (select 1 union all select n + 1 from n where n < {MANY})
         insert into deliveries (tenant_id, id, event_id, target_kind, target_id, profile, lane, state, due_at,
             lease_until, claim, node, strikes, tries, attempts, created_at, opened_at)
         select tenant_id, RANDOM_ID, RANDOM_ID, target_kind, target_id, profile, lane, state, due_at, 0, claim, node, 0,
             tries, attempts, created_at, opened_at from deliveries cross join n"
    );
    f.change(&copy).await;
    let due =
        "select cast(due_at as text) || ' ' || cast(count(*) as text) from deliveries group by due_at order by due_at";
    let in_5_seconds = (f.now() + Duration::from_secs(5)).as_micros();
    f.clock.set(f.now() - HOUR);
    drop(f.serving().await);
    // The newest that was written down is the end of the attempt, which took 3 µs.
    let earlier = in_5_seconds - i64::try_from(HOUR.as_micros()).expect("an hour") - 3;
    assert_eq!(f.look(due).await, [format!("{earlier} {}", MANY + 1)]);
    assert_eq!(f.number("select cast(count(*) as text) from clock_rollbacks").await, 0);

    // As if the process had ended after the first thousand of another rollback, by a second.
    let begun = format!(
        "insert into clock_rollbacks select 1, 1000000, {}, tenant_id, id from deliveries order by tenant_id, id
         limit 1 offset 999",
        f.now().as_micros()
    );
    f.change(&begun).await;
    f.change("delete from events").await;
    f.change("delete from attempts").await;
    drop(f.serving().await);
    let (rest, moved) = (MANY - 999, earlier - 1_000_000);
    assert_eq!(f.look(due).await, [format!("{moved} {rest}"), format!("{earlier} 1000")]);
}

pub(crate) async fn a_clock_that_was_set_back_hides_nobody(mut f: Fixture) {
    let start = f.now();
    f.clock.advance(Duration::from_secs(3600));
    subscribe_very_many(&f).await;
    f.clock.set(start);
    let (stores, _inbox) = f.serving().await;
    f.stores = stores;
    let receipt = f.publish().await;
    while f.stores.queue.fan_out().await.expect("made").is_some() {}
    let event = f.stores.journal.event(f.tenant, receipt.id).await.expect("read").expect("there");
    assert_eq!(event.counts.pending, TARGETS, "each that is there gets it, though it was made later by the clock");
}

pub(crate) async fn who_serves_next_frees_all_leases(mut f: Fixture) {
    let lane = f.subscribe("https://a.example/hook").await.lane;
    f.publish_and_take().await;
    assert_eq!(f.stores.queue.claim(lane, 9).await.expect("asked").len(), 0);
    let (next, _inbox) = f.serving().await;
    assert_eq!(next.queue.claim(lane, 9).await.expect("claimed").len(), 1);
}

pub(crate) async fn strikes_count_claims_without_a_trace(mut f: Fixture) {
    let lane = f.subscribe("https://a.example/hook").await.lane;
    let claimed = f.publish_and_take().await;
    assert_eq!(claimed.strikes, 1);
    let mut last = claimed;
    for strikes in 2..=4 {
        f.clock.advance(LONGEST_LEASE);
        last = f.stores.queue.claim(lane, 1).await.expect("claimed").remove(0);
        assert_eq!((last.strikes, last.marks), (strikes, 0));
    }
    f.stores.queue.give_back(&[(f.tenant, last.id, last.claim)]).await.expect("given back");
    let again = f.stores.queue.claim(lane, 1).await.expect("claimed").remove(0);
    assert_eq!(again.strikes, 1, "a give-back is a trace");
}

pub(crate) async fn a_mark_needs_the_claim(mut f: Fixture) {
    let lane = f.subscribe("https://a.example/hook").await.lane;
    let claimed = f.publish_and_take().await;
    let mark = |claim| f.stores.queue.mark(f.tenant, claimed.id, claim);
    assert!(!mark(claimed.claim + 1).await.expect("asked"));
    assert!(mark(claimed.claim).await.expect("marked"));
    f.stores.queue.abandon(f.tenant, claimed.id, claimed.claim).await.expect("abandoned");
    assert!(f.stores.queue.claim(lane, 1).await.expect("asked").is_empty(), "not first thing after a restart");
    f.clock.advance(MARK_PAUSE);
    let again = f.stores.queue.claim(lane, 1).await.expect("claimed").remove(0);
    assert_eq!(again.marks, 1);
    f.stores.queue.give_back(&[(f.tenant, again.id, again.claim)]).await.expect("given back");
    assert_eq!(f.stores.queue.claim(lane, 1).await.expect("claimed")[0].marks, 0, "a give-back is a trace");
}

pub(crate) async fn what_waits_is_counted(mut f: Fixture) {
    assert_eq!(f.stores.queue.backlogs().await.expect("read"), []);
    let lane = f.subscribe("https://a.example/hook").await.lane;
    let own = async |tenant| f.stores.journal.backlog(tenant, lane).await.expect("read");
    assert_eq!(own(f.tenant).await, Backlog { pending: 0, oldest_due_at: None });
    let first = f.publish_and_take().await;
    f.publish().await;
    let two = Backlog { pending: 2, oldest_due_at: Some(first.opened_at) };
    assert_eq!(f.stores.queue.backlogs().await.expect("read"), [(lane, two)]);
    let own = async |tenant| f.stores.journal.backlog(tenant, lane).await.expect("read");
    assert_eq!(own(f.tenant).await, two);
    assert_eq!(own(postrider_core::TenantId::from(uuid::Uuid::nil())).await.pending, 0, "nobody else's");
    assert_eq!(f.stores.journal.count_pending(f.tenant).await.expect("counted"), 2);
}

pub(crate) async fn a_sender_sees_what_is_true_this_moment(f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let found = async || {
        let snapshot = f.stores.queue.snapshot(f.tenant).await.expect("read").expect("there");
        snapshot.get(subscription.id).is_some()
    };
    assert!(found().await);
    f.stores.catalogue.delete_subscription(f.tenant, subscription.id).await.expect("deleted");
    assert!(!found().await);
}

/// What was claimed and cannot be looked up is as if it had not been claimed.
pub(crate) async fn a_failed_look_up_gives_the_claim_back(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    for _ in 0..3 {
        f.publish().await;
    }
    while let Some(claimed) = f.handed() {
        f.stores.queue.give_back(&[(f.tenant, claimed.id, claimed.claim)]).await.expect("given back");
    }
    let (other, _inbox) = f.beside(LaneLimits::default()).await;
    f.change("alter table events rename to elsewhere").await;
    assert!(other.queue.claim(subscription.lane, 9).await.is_err(), "their events cannot be read");
    f.change("alter table elsewhere rename to events").await;
    let traces = "select cast(count(*) as text) from deliveries where lease_until > 0 or strikes > 0";
    assert_eq!(f.number(traces).await, 0);
    assert_eq!(other.queue.claim(subscription.lane, 9).await.expect("claimed").len(), 3);
}

/// What nobody can send is left alone for a while, and counts as never claimed.
pub(crate) async fn what_is_put_off_is_left_alone(mut f: Fixture) {
    let lane = f.subscribe("https://a.example/hook").await.lane;
    let claimed = f.publish_and_take().await;
    let until = f.now() + Duration::from_secs(60);
    f.stores.queue.put_off(f.tenant, claimed.id, claimed.claim, until).await.expect("put off");
    assert!(f.stores.queue.claim(lane, 9).await.expect("asked").is_empty());
    f.clock.advance(Duration::from_secs(61));
    let again = f.stores.queue.claim(lane, 9).await.expect("claimed");
    assert_eq!((again.len(), again[0].strikes), (1, 1));
}
