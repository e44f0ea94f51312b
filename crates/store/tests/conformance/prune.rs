//! Retention.

use std::time::Duration;

use postrider_core::delivery::FailReason;
use postrider_core::event::EventDraft;
use postrider_core::lifecycle::Decision;
use postrider_core::tenant::PayloadRetention;
use postrider_store::{Claimed, ReopenError, Retention, TenantChange};

use sqlx::{Connection, Executor, SqliteConnection};

use crate::fixture::{Database, Fixture, draft};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn prune(f: &Fixture, payloads: Duration, deliveries: Duration) {
    while f.stores.queue.prune(Retention { payloads, deliveries, statistics: deliveries }).await.expect("pruned") {}
}

/// Deliveries made and pruned, as the tenant's statistics say, and the rows that are there.
async fn balance(f: &Fixture) -> (i64, i64, i64) {
    let sql = "select sum(made) || '|' || sum(pruned) || '|' || (select count(*) from deliveries) from tenant_stats";
    let text = f.look(sql).await.remove(0);
    let numbers: Vec<i64> = text.split('|').map(|n| n.parse().expect("a number")).collect();
    (numbers[0], numbers[1], numbers[2])
}

pub(crate) async fn ended_events_go_and_balance_stays(mut f: Fixture) {
    let subscription = f.subscribe("https://a.example/hook").await;
    let ended = f.publish_and_take().await;
    f.settle(&ended, Decision::Delivered, Some(f.answered(200))).await;
    let log_id = f.delivery(ended.id).await.attempts[0].log_id;
    let pending = f.publish_and_take().await;
    let stats = f.stats(subscription.id).await;
    f.clock.advance(DAY);
    prune(&f, HOUR, HOUR).await;
    assert!(f.stores.journal.event(f.tenant, ended.event.id).await.expect("read").is_none());
    assert!(f.stores.journal.delivery(f.tenant, ended.id).await.expect("read").is_none());
    assert!(f.stores.journal.attempt(f.tenant, log_id).await.expect("read").is_none());
    assert!(f.stores.journal.event(f.tenant, pending.event.id).await.expect("read").is_some());
    assert_eq!(f.stats(subscription.id).await, stats, "retention never lowers statistics");
    assert_eq!(balance(&f).await, (2, 1, 1));
}

/// Notes the transaction of each row that is changed or deleted, where transactions have numbers.
async fn watch_transactions(f: &Fixture) {
    if matches!(f.database, Database::Sqlite(_)) {
        return;
    }
    f.change("create table watched (transaction bigint)").await;
    f.change(
        "create function watch() returns trigger language plpgsql as
         $$ begin insert into watched values (txid_current()); return old; end $$",
    )
    .await;
    for table in ["deliveries", "attempts"] {
        let watch =
            format!("create trigger watch after update or delete on {table} for each row execute function watch()");
        f.change(&watch).await;
    }
}

/// No transaction touched more rows than a page has.
async fn assert_pages_were_small(f: &Fixture) {
    if matches!(f.database, Database::Sqlite(_)) {
        return;
    }
    let rows = "select cast(max(n) as text) from (select count(*) as n from watched group by transaction) t";
    let most = f.number(rows).await;
    assert!((1..=1_000).contains(&most), "{most} rows in one transaction");
    let transactions = f.number("select cast(count(distinct transaction) as text) from watched").await;
    assert!(transactions >= 5, "{transactions}");
}

/// An event that 2,501 targets have got, each at its second attempt.
async fn publish_wide(f: &mut Fixture) -> Claimed {
    f.subscribe("https://a.example/hook").await;
    let wide = f.publish_and_take().await;
    f.settle(&wide, Decision::Delivered, Some(f.answered(200))).await;
    f.change(
        "insert into deliveries (tenant_id, id, event_id, target_kind, target_id, profile, lane, state, due_at,
             lease_until, claim, node, strikes, tries, attempts, created_at, opened_at, settled_at)
         with recursive n (i) as (select 1 union all select i + 1 from n where i < 2500)
         select tenant_id, RANDOM_ID, event_id, target_kind, RANDOM_ID, profile, lane, state, due_at, lease_until, claim,
             node, strikes, tries, 2, created_at, opened_at, settled_at from deliveries cross join n",
    )
    .await;
    f.change(
        "insert into attempts (tenant_id, delivery_id, claim, number, started_at, outcome, http_status, message, url,
             request_headers, response_headers, response_body, total_us, late)
         select d.tenant_id, d.id, n.i, n.i, a.started_at, a.outcome, a.http_status, a.message, a.url, a.request_headers,
             a.response_headers, a.response_body, a.total_us, a.late
         from deliveries d cross join (select 1 as i union all select 2) n cross join attempts a where d.attempts = 2",
    )
    .await;
    f.change("update events set delivery_count = 2501").await;
    f.change("update tenant_stats set made = made + 2500").await;
    wide
}

pub(crate) async fn wide_events_go_in_pages(mut f: Fixture) {
    const BODIES: &str = "select cast(count(*) as text) from attempts where response_body is not null";
    const ROWS: &str = "select cast((select count(*) from deliveries) + (select count(*) from attempts) as text)";
    let wide = publish_wide(&mut f).await;
    f.clock.advance(DAY);
    watch_transactions(&f).await;
    let step = async |f: &Fixture, payloads, deliveries| {
        f.stores.queue.prune(Retention { payloads, deliveries, statistics: DAY * 90 }).await.expect("pruned")
    };
    assert_eq!(f.number(BODIES).await, 5_001);
    while step(&f, HOUR, DAY * 30).await {
        assert_eq!(f.number(BODIES).await > 0, has_payload(&f, &wide).await, "the payload goes last");
    }
    assert_eq!((f.number(BODIES).await, has_payload(&f, &wide).await), (0, false));
    assert_pages_were_small(&f).await;

    assert_eq!(f.number(ROWS).await, 2_501 + 5_001);
    while step(&f, HOUR, HOUR).await {
        let (made, pruned, rows) = balance(&f).await;
        assert_eq!(made, pruned + rows);
    }
    assert_eq!(f.number(ROWS).await, 0);
    assert_pages_were_small(&f).await;
    assert!(f.stores.journal.event(f.tenant, wide.event.id).await.expect("read").is_none());
}

/// Says how long the fixture's tenant keeps payloads.
async fn keep_payloads(f: &Fixture, payload_retention: PayloadRetention) {
    let change = TenantChange { payload_retention: Some(payload_retention), ..TenantChange::default() };
    f.stores.catalogue.update_tenant(f.tenant, change).await.expect("changed");
}

async fn has_payload(f: &Fixture, claimed: &Claimed) -> bool {
    let event = f.stores.journal.event(f.tenant, claimed.event.id).await.expect("read").expect("kept");
    event.payload.is_some()
}

pub(crate) async fn payloads_go_when_all_have_them(mut f: Fixture) {
    keep_payloads(&f, PayloadRetention::OnSuccess).await;
    f.subscribe("https://a.example/hook").await;
    let [pending, delivered, failed] =
        [f.publish_and_take().await, f.publish_and_take().await, f.publish_and_take().await];
    f.settle(&delivered, Decision::Delivered, Some(f.answered(200))).await;
    f.settle(&failed, Decision::Failed(FailReason::RetriesExhausted), Some(f.answered(500))).await;
    prune(&f, DAY, DAY).await;
    assert_eq!(
        (has_payload(&f, &pending).await, has_payload(&f, &delivered).await, has_payload(&f, &failed).await),
        (true, false, true)
    );
    assert!(f.delivery(delivered.id).await.attempts[0].response_body.is_empty());
    f.settle(&pending, Decision::Delivered, Some(f.answered(200))).await;
    prune(&f, DAY, DAY).await;
    assert!(!has_payload(&f, &pending).await, "it is looked at again");
    // More than one step.
    let mut many = Vec::new();
    for _ in 0..250 {
        many.push(f.publish_and_take().await);
        f.settle(&many[many.len() - 1], Decision::Delivered, None).await;
    }
    prune(&f, DAY, DAY).await;
    for claimed in &many {
        assert!(!has_payload(&f, claimed).await);
    }
}

/// Events that failed and were opened again are looked at until everybody has them, however long that takes.
pub(crate) async fn payloads_go_when_a_retry_succeeds(mut f: Fixture) {
    keep_payloads(&f, PayloadRetention::OnSuccess).await;
    let subscription = f.subscribe("https://a.example/hook").await;
    let mut failed = Vec::new();
    for _ in 0..3 {
        let claimed = f.publish_and_take().await;
        f.settle(&claimed, Decision::Failed(FailReason::RetriesExhausted), Some(f.answered(500))).await;
        failed.push(claimed);
    }
    prune(&f, DAY, DAY).await;
    f.clock.advance(Duration::from_secs(600));
    prune(&f, DAY, DAY).await;
    for claimed in &failed {
        f.stores.journal.retry(f.tenant, claimed.id).await.expect("opened");
        f.clock.advance(Duration::from_secs(1));
    }
    let settle = async |decision: Decision, id| {
        let mut claimed = f.stores.queue.claim(subscription.lane, 9).await.expect("claimed");
        claimed.retain(|claimed| claimed.id == id);
        f.settle(&claimed[0], decision, Some(f.answered(200))).await;
        f.clock.advance(Duration::from_secs(61));
    };
    settle(Decision::Delivered, failed[1].id).await;
    prune(&f, DAY, DAY).await;
    assert!(!has_payload(&f, &failed[1]).await, "the next round wipes it");
    f.clock.advance(Duration::from_secs(600));
    prune(&f, DAY, DAY).await;
    assert!(has_payload(&f, &failed[0]).await && has_payload(&f, &failed[2]).await, "they are pending");
    settle(Decision::Delivered, failed[0].id).await;
    settle(Decision::Failed(FailReason::RetriesExhausted), failed[2].id).await;
    prune(&f, DAY, DAY).await;
    assert!(!has_payload(&f, &failed[0]).await && has_payload(&f, &failed[2]).await);
    f.clock.advance(Duration::from_secs(600));
    prune(&f, DAY, DAY).await;
    f.stores.journal.retry(f.tenant, failed[2].id).await.expect("opened");
    settle(Decision::Delivered, failed[2].id).await;
    prune(&f, DAY, DAY).await;
    assert!(!has_payload(&f, &failed[2]).await, "at the second retry");
}

pub(crate) async fn what_is_wiped_is_not_in_the_file(mut f: Fixture) {
    keep_payloads(&f, PayloadRetention::OnSuccess).await;
    f.subscribe("https://a.example/hook").await;
    // One that fits into a page, and one that does not.
    for size in [10, 20_000] {
        let payload = format!(r#"{{"name":"{}"}}"#, "sentinel".repeat(size));
        f.publish_draft(EventDraft { payload: payload.into(), ..draft(None) }).await;
        let claimed = f.handed().expect("handed over");
        f.settle(&claimed, Decision::Delivered, Some(f.answered(200))).await;
    }
    let file = f.database.url().replace("sqlite://", "");
    let has_it = async || {
        let mut connection = SqliteConnection::connect(&f.database.url()).await.expect("opens");
        connection.execute("pragma wal_checkpoint(truncate)").await.expect("written back");
        String::from_utf8_lossy(&std::fs::read(&file).expect("read")).contains("sentinel")
    };
    assert!(has_it().await, "it can be seen while it is there");
    prune(&f, DAY, DAY).await;
    assert!(!has_it().await);
}

pub(crate) async fn a_tenant_keeps_payloads_as_long_as_it_says(mut f: Fixture) {
    keep_payloads(&f, PayloadRetention::For(HOUR)).await;
    f.subscribe("https://a.example/hook").await;
    let ended = f.publish_and_take().await;
    f.settle(&ended, Decision::Delivered, Some(f.answered(200))).await;
    prune(&f, DAY, DAY).await;
    assert!(has_payload(&f, &ended).await);
    f.clock.advance(2 * HOUR);
    prune(&f, DAY, DAY).await;
    assert!(!has_payload(&f, &ended).await);
    keep_payloads(&f, PayloadRetention::Default).await;
    let next = f.publish_and_take().await;
    f.settle(&next, Decision::Delivered, Some(f.answered(200))).await;
    f.clock.advance(2 * HOUR);
    prune(&f, DAY, DAY).await;
    assert!(has_payload(&f, &next).await);
}

pub(crate) async fn payloads_go_first_and_cannot_be_replayed(mut f: Fixture) {
    f.subscribe("https://a.example/hook").await;
    let ended = f.publish_and_take().await;
    f.settle(&ended, Decision::Delivered, Some(f.answered(200))).await;
    f.clock.advance(2 * HOUR);
    prune(&f, HOUR, DAY).await;
    let event = f.stores.journal.event(f.tenant, ended.event.id).await.expect("read").expect("kept");
    assert_eq!((event.payload, event.metadata), (None, None));
    assert!(f.delivery(ended.id).await.attempts[0].response_body.is_empty());
    assert!(matches!(f.stores.journal.retry(f.tenant, ended.id).await, Err(ReopenError::PayloadGone)));
}

pub(crate) async fn what_is_pending_or_recent_stays(mut f: Fixture) {
    f.subscribe("https://a.example/hook").await;
    let retried = f.publish_and_take().await;
    f.clock.advance(DAY);
    f.settle(&retried, Decision::Delivered, Some(f.answered(200))).await;
    f.clock.advance(HOUR - Duration::from_secs(1));
    prune(&f, HOUR, HOUR).await;
    let event = f.stores.journal.event(f.tenant, retried.event.id).await.expect("read").expect("kept");
    assert!(event.payload.is_some(), "what counts is when it ended");
    f.clock.advance(Duration::from_secs(2));
    prune(&f, HOUR, HOUR).await;
    assert!(f.stores.journal.event(f.tenant, retried.event.id).await.expect("read").is_none());
}

pub(crate) async fn an_idempotency_key_outlives_short_retention(f: Fixture) {
    let first = f.publish_draft(draft(Some("k"))).await;
    f.clock.advance(DAY - HOUR);
    prune(&f, HOUR, HOUR).await;
    let again = f.publish_draft(draft(Some("k"))).await;
    assert_eq!((again.id, again.duplicate), (first.id, true));
    f.clock.advance(2 * HOUR);
    prune(&f, HOUR, HOUR).await;
    assert!(!f.publish_draft(draft(Some("k"))).await.duplicate);
}

pub(crate) async fn tests_go_too(f: Fixture) {
    let exchange = f.answered(200);
    let log_id = f.stores.journal.record_test(f.tenant, &exchange).await.expect("recorded");
    let read = || async { f.stores.journal.attempt(f.tenant, log_id).await.expect("read") };
    assert_eq!(read().await.map(|attempt| (attempt.delivery_id, attempt.number)), Some((None, 1)));
    f.clock.advance(2 * HOUR);
    prune(&f, HOUR, HOUR).await;
    assert!(read().await.is_none());
}
