//! One row of each table cannot be read: nobody but whose it is notices.

use std::time::Duration;

use postrider_core::cursor::Page;
use postrider_core::delivery::{DeliveryState, FailReason};
use postrider_core::lifecycle::Decision;
use postrider_core::notice::OPERATIONS_TENANT;
use postrider_core::profile::STANDARD;
use postrider_core::replay::{Count, ReplayScope, ReplayState, ReplayStatus};
use postrider_core::secret::SigningSecret;
use postrider_core::target_url::TargetUrl;
use postrider_core::tenant::PayloadRetention;
use postrider_core::{TenantId, Timestamp};
use postrider_store::{
    CallbackFilter, DeliveryFilter, EventFilter, NewCallback, Retention, Rotation, SettingsChange, TenantChange, Whose,
};

use crate::fixture::{Database, Fixture};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const EXHAUSTED: Decision = Decision::Failed(FailReason::RetriesExhausted);

/// What spoils rows of the first tenant; and on SQLite, which takes a text for a number, what spoils them more.
const SPOILED: [(&str, &str); 20] = [
    (
        "update tenants set redacted_paths = 'x' where name = 'first'",
        "update tenants set catalogue_version = 'x', payload_retention = 'x' where name = 'first'",
    ),
    ("update api_keys set name = name", "update api_keys set scopes = 'x'"),
    ("update event_types set name = 'no name!' where name = 'own.first'", ""),
    ("update subscriptions set retry_schedule = 'x', filters = 'x' where url like '%first%'", ""),
    (
        "update subscription_versions set filters = 'x'
         where subscription_id in (select id from subscriptions where url like '%first%')",
        "update subscription_versions set at = 'x' where filters = 'x'",
    ),
    (
        "update callbacks set event_types = 'x' where url like '%first%'",
        "update callbacks set created_at = 'x' where event_types = 'x'",
    ),
    ("update callback_secrets set updated_at = 0, secrets = NO_BYTES", ""),
    (
        "update target_stats set successful = -1
         where target_id in (select id from subscriptions where url like '%first%')",
        "update target_stats set successful = 'x' where successful = -1",
    ),
    (
        "update events set event_type = 'no name!' where tenant_id in (select id from tenants where name = 'first')",
        "update events set created_at = 'x' where event_type = 'no name!'",
    ),
    (
        "update deliveries set target_kind = 9 where tenant_id in (select id from tenants where name = 'first')",
        "update deliveries set profile = 'x', tries = 'x' where target_kind = 9",
    ),
    (
        "update attempts set outcome = 99 where tenant_id in (select id from tenants where name = 'first')",
        "update attempts set started_at = 'x', total_us = 'x' where outcome = 99",
    ),
    (
        "update replays set status = 'x' where tenant_id in (select id from tenants where name = 'first')",
        "update replays set rate = 'x' where status = 'x'",
    ),
    ("update reopenings set attempts = -1", "update reopenings set at = 'x', attempts = 'x'"),
    ("update rollups set tally = 'x' where at = (select min(at) from rollups)", ""),
    ("update failing set attempts = -1", "update failing set attempts = 'x'"),
    (
        "insert into notices (id, event_type, payload, at)
         select id, 'no name!', '{}', 0 from tenants where name = 'first'",
        "",
    ),
    (
        "insert into audit (tenant_id, id, at, actor, action) select id, id, 0, 99, 'x' from tenants where name = 'first'",
        "",
    ),
    (
        "insert into users (id, name, role, tenant_id, password, created_at, password_set_at)
         select id, 'first', 'x', id, 'x', 0, 0 from tenants where name = 'first'",
        "",
    ),
    (
        "insert into bulk_jobs (id, tenant_id, work, target_kind, target_id, lane, before_version, created_at)
         select id, id, 77, 0, id, 1, 1, 0 from tenants where name = 'first'",
        "",
    ),
    ("update rollup_marks set id = id", "update rollup_marks set failed_at = 'x'"),
];

const FIRSTS_API_KEY: &str = "
    insert into api_keys (id, tenant_id, name, hash, scopes, created_at)
    select id, id, 'of the first', NO_BYTES, 1, 0 from tenants where name = 'first'";

async fn run(f: &Fixture, sql: &str) {
    let empty = if matches!(f.database, Database::Sqlite(_)) { "x''" } else { "''::bytea" };
    f.change(&sql.replace("NO_BYTES", empty)).await;
}

async fn spoil(f: &Fixture) {
    for (everywhere, on_sqlite) in SPOILED {
        run(f, everywhere).await;
        if matches!(f.database, Database::Sqlite(_)) && !on_sqlite.is_empty() {
            run(f, on_sqlite).await;
        }
    }
}

fn undelivered(f: &Fixture) -> ReplayScope {
    ReplayScope {
        subscription_id: None,
        event_type: None,
        status: ReplayStatus::Undelivered,
        since: Timestamp::from_micros(0),
        until: f.now(),
    }
}

/// A webhook and a callback; an event that failed, one delivery of which was opened again, and one that waits.
async fn furnish(f: &mut Fixture, name: &str) {
    f.subscribe(&format!("https://a.example/{name}")).await;
    let url = TargetUrl::from_stored(&format!("https://c.example/{name}")).expect("a URL");
    let (tenant_id, resource_id, profile) = (f.tenant, "é".to_owned(), STANDARD.to_owned());
    let callback = NewCallback { tenant_id, resource_id, url, profile, metadata: None, event_types: None };
    f.stores.catalogue.create_callback(callback).await.expect("stored").expect("few");
    let failed = f.publish().await;
    while let Some(claimed) = f.handed() {
        f.settle(&claimed, EXHAUSTED, Some(f.answered(500))).await;
    }
    assert_eq!(failed.deliveries, 2);
    f.publish().await;
    while f.handed().is_some() {}
    let on_success = TenantChange { payload_retention: Some(PayloadRetention::OnSuccess), ..TenantChange::default() };
    f.stores.catalogue.update_tenant(f.tenant, on_success).await.expect("changed");
    let page = Page::default();
    let listed = f.stores.journal.deliveries(f.tenant, &DeliveryFilter::default(), page).await.expect("listed");
    let ended = listed.items.iter().find(|view| view.delivery.state == DeliveryState::Failed).expect("one failed");
    f.stores.journal.retry(f.tenant, ended.delivery.id).await.expect("opened");
}

/// Goes on with all that is done in the background, until nothing is left.
async fn do_all(f: &Fixture) {
    let queue = &f.stores.queue;
    while queue.fan_out().await.expect("fanned out").is_some() {}
    while queue.do_bulk_work().await.expect("done") {}
    for _ in 0..10 {
        let Some(at) = queue.replay().await.expect("replayed") else { break };
        f.clock.set(at.max(f.now()));
    }
    f.clock.advance(Duration::from_secs(70));
    while queue.roll_up().await.expect("counted") {}
    queue.look_after_failing(DAY).await.expect("looked after");
    while queue.tell().await.expect("told") {}
    let retention = Retention { payloads: DAY, deliveries: DAY, statistics: DAY };
    while queue.prune(retention).await.expect("pruned") {}
}

pub(crate) async fn one_row_of_each_table_is_nobody_elses_matter(mut f: Fixture) {
    let first = f.tenant;
    f.stores.catalogue.create_tenant(OPERATIONS_TENANT, STANDARD).await.expect("stored").expect("free");
    furnish(&mut f, "first").await;
    let rotation = Rotation { next: SigningSecret::generate(&f.world), previous_until: f.now() };
    f.stores.catalogue.rotate_callback_secret(first, STANDARD, rotation).await.expect("stored");
    run(&f, FIRSTS_API_KEY).await;
    f.clock.advance(Duration::from_secs(70));
    while f.stores.queue.roll_up().await.expect("counted") {}
    let count = Count { count: 3, is_exact: true };
    f.stores.replays.create_replay(first, undelivered(&f), 1_000, count).await.expect("stored");
    spoil(&f).await;

    let second: TenantId =
        f.stores.catalogue.create_tenant("second", STANDARD).await.expect("stored").expect("free").id;
    f.tenant = second;
    // The catalogues are read anew.
    let (stores, inbox) = f.serving().await;
    (f.stores, f.inbox) = (stores, inbox);
    furnish(&mut f, "second").await;
    let fan_out =
        "update events set delivery_count = 2000, fan_out_after = (select id from tenants where name = 'first')";
    run(&f, fan_out).await;
    let replay = f.stores.replays.create_replay(second, undelivered(&f), 1_000, count).await.expect("stored");
    do_all(&f).await;

    let ended = f.stores.replays.find_replay(second, replay.id).await.expect("read").expect("there");
    assert_eq!((ended.state, ended.replayed), (ReplayState::Finished, 1));
    let fanned_out =
        "select cast(count(*) as text) from events where fan_out_after is not null and event_type <> 'no name!'";
    assert_eq!(f.number(fanned_out).await, 0);
    assert_eq!(f.number("select cast(count(*) as text) from notices").await, 1, "all but the damaged one are told");
    what_others_read(&f).await;

    // Whose row it is may claim, publish and read as well, as far as its own rows go.
    let lanes = f.stores.queue.lanes_due(None, 100).await.expect("listed");
    for lane in lanes {
        f.stores.queue.claim(lane.lane, 10).await.expect("claimed");
    }
    let (journal, page) = (&f.stores.journal, Page::default());
    journal.events(first, &EventFilter::default(), page).await.expect("listed");
    journal.deliveries(first, &DeliveryFilter::default(), page).await.expect("listed");
    f.stores.catalogue.subscriptions(first, None).await.expect("listed");
    let pending = f.number("select cast(count(*) as text) from deliveries where target_kind = 9 and state = 0").await;
    assert_eq!(pending, 3, "nothing that cannot be read is ended for it");
    assert_eq!(f.deliveries_of(f.publish().await.id).await[0].delivery.state, DeliveryState::Pending);
}

/// The lists and the statistics of the fixture's tenant, and those of all.
async fn what_others_read(f: &Fixture) {
    let second = f.tenant;
    let (journal, catalogue) = (&f.stores.journal, &f.stores.catalogue);
    let page = Page::default();
    assert_eq!(journal.events(second, &EventFilter::default(), page).await.expect("listed").items.len(), 2);
    assert_eq!(journal.deliveries(second, &DeliveryFilter::default(), page).await.expect("listed").items.len(), 4);
    assert_eq!(catalogue.callbacks(second, &CallbackFilter::default(), page).await.expect("listed").len(), 1);
    let (subscription, _) = catalogue.subscriptions(second, None).await.expect("listed").remove(0);
    let is_active = SettingsChange { is_active: Some(true), ..SettingsChange::default() };
    assert!(catalogue.update_subscription(second, subscription.id, is_active).await.expect("changed"));
    let names: Vec<String> =
        catalogue.tenants(page).await.expect("listed").into_iter().map(|tenant| tenant.name).collect();
    assert_eq!(names, ["second", OPERATIONS_TENANT], "the damaged one is left out");
    assert_eq!(f.stores.accounts.users(None, page).await.expect("listed").len(), 0);
    f.publish().await;
    f.clock.advance(Duration::from_secs(70));
    while f.stores.queue.roll_up().await.expect("counted") {}
    let tallies = f.stores.statistics.tallies(
        Whose::Tenant(second),
        postrider_core::tally::Width::Minute,
        Timestamp::from_micros(0),
        f.now(),
    );
    assert!(tallies.await.expect("read").iter().map(|(_, tally)| tally.events).sum::<i64>() > 0);
    f.stores.queue.lanes_due(None, 100).await.expect("listed");
    f.stores.queue.backlogs().await.expect("counted");
}
