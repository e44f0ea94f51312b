//! Callbacks, one-off URLs, filters, and the formats that deliveries are made with.

use std::time::Duration;

use postrider_core::catalogue::CallbackSecrets;
use postrider_core::cursor::Page;
use postrider_core::delivery::{DeliveryState, DiscardReason};
use postrider_core::event::{EventDraft, OneOff};
use postrider_core::event_type::EventTypeName;
use postrider_core::filter::Filter;
use postrider_core::lanes::{LaneId, LaneLimits};
use postrider_core::lifecycle::Decision;
use postrider_core::profile::{Profile, Profiles};
use postrider_core::secret::SigningSecret;
use postrider_core::target::TargetId;
use postrider_core::target_url::TargetUrl;
use postrider_store::{
    CallbackFilter, DeliveryFilter, NewCallback, ReopenError, Retention, Rotation, SettingsChange, TenantChange,
    TenantChanged, Urgency,
};

use crate::fixture::{Fixture, draft};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn url(text: &str) -> TargetUrl {
    TargetUrl::from_stored(text).expect("a URL")
}

fn callback(f: &Fixture, resource_id: &str) -> NewCallback {
    NewCallback {
        tenant_id: f.tenant,
        resource_id: resource_id.to_owned(),
        url: url("https://b.example/callback"),
        profile: "anycheck".to_owned(),
        metadata: Some(r#"{"order":1}"#.into()),
        event_types: None,
    }
}

async fn create(f: &Fixture, new: NewCallback) -> postrider_core::callback::Callback {
    f.clock.advance(Duration::from_micros(1));
    f.stores.catalogue.create_callback(new).await.expect("stored").expect("room")
}

async fn filter(f: &Fixture, id: postrider_core::SubscriptionId, filter: &str) {
    let filters = Some(Filter::compile(filter).expect("usable"));
    let change = SettingsChange { filters, ..SettingsChange::default() };
    assert!(f.stores.catalogue.update_subscription(f.tenant, id, change).await.expect("stored"));
}

pub(crate) async fn a_callback_gets_the_events_of_its_resource(mut f: Fixture) {
    assert_eq!(f.publish().await.deliveries, 0, "of the resource é");
    let made = create(&f, callback(&f, "é")).await;
    create(&f, callback(&f, "other")).await;
    let opened = EventTypeName::parse("case.opened").expect("a name");
    let resolved = EventTypeName::parse("case.resolved").expect("a name");
    let picky =
        create(&f, NewCallback { event_types: Some(vec![resolved, opened.clone()]), ..callback(&f, "é") }).await;
    let pickier = EventTypeName::parse("case.completed").expect("a name");
    create(&f, NewCallback { event_types: Some(vec![pickier]), ..callback(&f, "é") }).await;

    let receipt = f.publish().await;
    assert_eq!(receipt.deliveries, 2);
    let claimed = f.handed().expect("handed over");
    assert_eq!(claimed.target, TargetId::Callback(made.id));
    assert_eq!(claimed.callback.as_deref(), Some(&made));
    assert_eq!(claimed.profile.as_ref().map(|profile| profile.name.as_str()), Some("anycheck"));
    f.settle(&claimed, Decision::Delivered, Some(f.answered(200))).await;
    let second = f.handed().expect("handed over");
    assert_eq!(second.callback.as_deref(), Some(&picky), "with its types");

    let pending = f.delivery(second.id).await.delivery;
    assert_eq!((pending.url.as_str(), pending.profile.as_str()), ("https://b.example/callback", "anycheck"));
    let ended = f.delivery(claimed.id).await.delivery;
    assert_eq!(ended.url, "https://a.example/hook", "where it went last");
    let (found, stats) = f.stores.catalogue.callback(f.tenant, made.id).await.expect("read").expect("there");
    assert_eq!((found, stats.successful, stats.failed), (made.clone(), 1, 0));
    assert_eq!(stats.last_triggered_at, Some(f.now()));
    let filter = CallbackFilter { resource_id: Some("é".to_owned()) };
    let listed = f.stores.catalogue.callbacks(f.tenant, &filter, Page::default()).await.expect("read");
    assert_eq!(listed.len(), 3);
    assert_eq!(listed.last().map(|(callback, _)| callback.id), Some(made.id), "newest first");
    let of_callback = DeliveryFilter { callback_id: Some(made.id), ..DeliveryFilter::default() };
    let found = f.stores.journal.deliveries(f.tenant, &of_callback, Page::default()).await.expect("read").items;
    assert_eq!(found.len(), 1);
}

pub(crate) async fn a_claimed_callback_comes_with_what_it_says(f: Fixture) {
    let made = create(&f, callback(&f, "é")).await;
    let (other, _inbox) = f.beside(LaneLimits { total: 0, ..LaneLimits::default() }).await;
    let receipt =
        other.journal.publish(f.tenant, vec![draft(None)], Urgency::Pressing).await.remove(0).expect("accepted");
    assert_eq!(receipt.deliveries, 1);
    let claimed = f.stores.queue.claim(made.lane(), 10).await.expect("claimed").remove(0);
    assert_eq!(claimed.callback.as_deref(), Some(&made));

    assert!(f.stores.catalogue.delete_callback(f.tenant, made.id).await.expect("deleted"));
    assert!(!f.stores.catalogue.delete_callback(f.tenant, made.id).await.expect("asked"), "once");
    let delivery = f.delivery(claimed.id).await.delivery;
    assert_eq!(delivery.state, DeliveryState::Discarded);
    assert_eq!(delivery.reason, Some(DiscardReason::CallbackDeleted.to_string()));
    let retried = f.stores.journal.retry(f.tenant, claimed.id).await;
    assert!(matches!(retried, Err(ReopenError::CallbackDeleted)));
    assert_eq!(f.publish().await.deliveries, 0);
}

pub(crate) async fn a_resource_has_a_bounded_number_of_callbacks(f: Fixture) {
    for _ in 0..postrider_core::callback::PER_RESOURCE_LIMIT {
        create(&f, callback(&f, "r")).await;
    }
    assert!(f.stores.catalogue.create_callback(callback(&f, "r")).await.expect("asked").is_none());
    create(&f, callback(&f, "another")).await;
}

pub(crate) async fn a_callback_of_a_finished_resource_goes(mut f: Fixture) {
    let fired = create(&f, callback(&f, "é")).await;
    let waiting = create(&f, callback(&f, "slow")).await;
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, Decision::Delivered, Some(f.answered(200))).await;
    let discarded = create(&f, NewCallback { resource_id: "d".to_owned(), ..callback(&f, "d") }).await;
    let resource_id = Some("d".to_owned());
    f.publish_draft(EventDraft { resource_id, ..draft(None) }).await;
    let claimed = f.handed().expect("handed over");
    f.settle(&claimed, Decision::Discarded(DiscardReason::ProfileCondition("x is absent".to_owned())), None).await;
    let prune = async || {
        f.clock.advance(3 * DAY);
        while f.stores.queue.prune(Retention { payloads: DAY, deliveries: DAY, statistics: DAY }).await.expect("pruned")
        {
        }
    };
    prune().await;
    let exists = async |id| f.stores.catalogue.callback(f.tenant, id).await.expect("read").is_some();
    assert!(!exists(fired.id).await);
    assert!(!exists(discarded.id).await);
    assert!(exists(waiting.id).await, "its resource may take its time");
    prune().await;
    assert_eq!(f.look("select cast(count(*) as text) from target_stats").await, ["0"]);
    assert_eq!(f.look("select cast(count(*) as text) from callbacks").await, ["1"], "for good");
}

pub(crate) async fn a_one_off_url_gets_its_event(mut f: Fixture) {
    f.subscribe("https://a.example/hook").await;
    let one_off = OneOff { url: url("https://c.example/once?x=1"), profile: Some("credas".to_owned()) };
    let receipt = f.publish_draft(EventDraft { one_off: Some(one_off.clone()), ..draft(None) }).await;
    assert_eq!(receipt.deliveries, 2, "besides the subscription");
    let targets = [f.handed().expect("handed over"), f.handed().expect("handed over")];
    let once = targets.iter().find(|claimed| claimed.target == TargetId::OneOff(receipt.id)).expect("handed over");
    let delivery = f.delivery(once.id).await.delivery;
    assert_eq!((delivery.url.as_str(), delivery.profile.as_str()), ("https://c.example/once?x=1", "credas"));
    f.settle(once, Decision::Delivered, Some(f.answered(200))).await;
    let event = f.stores.journal.event(f.tenant, receipt.id).await.expect("read").expect("there");
    assert_eq!(event.one_off, Some(one_off.clone()));

    f.stores.journal.retry(f.tenant, once.id).await.expect("opened");
    let lane = LaneId::of(f.tenant, &one_off.url);
    let again = f.stores.queue.claim(lane, 10).await.expect("claimed").remove(0);
    assert_eq!((again.id, again.event.draft.one_off.clone()), (once.id, Some(one_off)));
}

pub(crate) async fn a_filter_turns_away_and_counts(mut f: Fixture) {
    let picky = f.subscribe("https://a.example/picky").await;
    let other = f.subscribe("https://a.example/other").await;
    filter(&f, picky.id, r#"{"n":{"$gt":2}}"#).await;
    filter(&f, other.id, r#"{"n":1.1}"#).await;
    let receipt = f.publish().await;
    assert_eq!(receipt.deliveries, 1);
    assert_eq!(f.handed().expect("handed over").target, TargetId::Subscription(other.id));
    assert!(f.handed().is_none());
    let stats = f.stats(picky.id).await;
    assert_eq!((stats.filtered, stats.successful, stats.failed), (1, 0, 0));
    assert_eq!(f.stats(other.id).await.filtered, 0);

    let keyed = || EventDraft { idempotency_key: Some("k".to_owned()), ..draft(None) };
    f.publish_draft(keyed()).await;
    f.publish_draft(keyed()).await;
    assert_eq!(f.stats(picky.id).await.filtered, 2, "a duplicate does not count");
}

pub(crate) async fn one_of_very_many_gets_it_at_once(mut f: Fixture) {
    for n in 0..1001 {
        let other = f.subscribe(&format!("https://a.example/{n}")).await;
        filter(&f, other.id, r#"{"n":{"$gt":2}}"#).await;
    }
    let wanted = f.subscribe("https://a.example/wanted").await;
    let receipt = f.publish().await;
    assert_eq!(receipt.deliveries, 1);
    assert_eq!(f.handed().expect("at once").target, TargetId::Subscription(wanted.id));
    while f.stores.queue.fan_out().await.expect("counted").is_some() {}
    let event = f.stores.journal.event(f.tenant, receipt.id).await.expect("read").expect("there");
    assert_eq!(event.counts.pending, 1, "the others are only counted");
    assert_eq!(f.look("select cast(sum(turned_away) as text) from filter_stats").await, ["1001"]);
    assert_eq!(f.look("select cast(sum(made) as text) from tenant_stats").await, ["1"]);
}

pub(crate) async fn nobody_sends_to_a_callback_that_was_deleted(mut f: Fixture) {
    let made = create(&f, callback(&f, "é")).await;
    create(&f, callback(&f, "other")).await;
    let claimed = f.publish_and_take().await;
    let newest = async || f.stores.queue.snapshot(f.tenant).await.expect("read").expect("there").version();
    assert_eq!(claimed.version, newest().await);
    let callback = f.stores.queue.callback(f.tenant, made.id).await.expect("read");
    assert_eq!(callback.as_deref(), Some(&made));
    f.stores.catalogue.delete_callback(f.tenant, made.id).await.expect("deleted");
    assert!(claimed.version < newest().await, "who sends it looks again");
    assert!(f.stores.queue.callback(f.tenant, made.id).await.expect("read").is_none());
    assert!(f.stores.catalogue.newest_snapshot(f.tenant).await.expect("read").is_some());
}

pub(crate) async fn filters_hold_for_very_many_targets_too(f: Fixture) {
    let picky = f.subscribe("https://a.example/picky").await;
    filter(&f, picky.id, r#"{"n":{"$gt":2}}"#).await;
    let changed = f.subscribe("https://a.example/changed").await;
    for n in 0..1000 {
        f.subscribe(&format!("https://a.example/{n}")).await;
    }
    let receipt = f.publish().await;
    assert_eq!(receipt.deliveries, 1001);
    f.clock.advance(Duration::from_micros(1));
    filter(&f, changed.id, r#"{"n":{"$gt":2}}"#).await;
    while f.stores.queue.fan_out().await.expect("made").is_some() {}
    let event = f.stores.journal.event(f.tenant, receipt.id).await.expect("read").expect("there");
    assert_eq!(event.counts.pending, 1001, "a filter of later turns nothing away");
    assert_eq!(f.stats(picky.id).await.filtered, 1);
}

fn sixth(body: &str) -> Profile {
    let file = format!(
        "name = \"sixth\"\ntitle = \"\"\nsummary = \"\"\nbody = '{body}'\n
         [[examples]]\nevent_type = \"case.opened\"\npayload = '{{}}'"
    );
    Profile::parse(&file).expect("valid")
}

pub(crate) async fn a_delivery_keeps_the_version_of_its_format(f: Fixture) {
    let (before, after) = (sixth(r#"{"v":1,"p":"{{payload}}"}"#), sixth(r#"{"v":2,"p":"{{payload}}"}"#));
    let profiles = |profile: &Profile| Profiles::published().with(profile.clone()).expect("another name");
    let (old, mut inbox) = f.with_profiles(profiles(&before)).await;
    let subscription = f.subscribe_in(&old, f.tenant, "case.opened", "https://a.example/hook").await;
    let change = SettingsChange { profile: Some("sixth".to_owned()), ..SettingsChange::default() };
    old.catalogue.update_subscription(f.tenant, subscription.id, change).await.expect("stored");
    old.journal.publish(f.tenant, vec![draft(None)], Urgency::Pressing).await.remove(0).expect("accepted");
    let claimed = inbox.handed.try_recv().expect("handed over").claimed;
    assert_eq!(claimed.profile.as_deref(), Some(&before));
    old.queue.give_back(&[(f.tenant, claimed.id, claimed.claim)]).await.expect("given back");

    let (new, _inbox) = f.with_profiles(profiles(&after)).await;
    let claimed = new.queue.claim(subscription.lane, 10).await.expect("claimed").remove(0);
    assert_eq!(claimed.profile.as_deref(), Some(&before), "as it was when the event was accepted");
    assert_eq!(new.queue.profile("sixth").await.expect("read").as_deref(), Some(&after));
    f.clock.advance(Duration::from_secs(1));
    let elsewhere = f.stores.queue.profile("sixth").await.expect("read").expect("written down");
    assert!([&before, &after].contains(&&*elsewhere), "known to those who have no such file");
    assert!(f.stores.queue.profile("seventh").await.expect("read").is_none());
}

pub(crate) async fn one_secret_signs_a_tenants_callbacks_in_a_format(f: Fixture) {
    let next = || SigningSecret::generate(&f.world);
    let (first, second) = (next(), next());
    let rotate = async |secret: &SigningSecret| {
        let rotation = Rotation { next: secret.clone(), previous_until: f.now() + DAY };
        f.stores.catalogue.rotate_callback_secret(f.tenant, "anycheck", rotation).await.expect("stored")
    };
    assert!(!rotate(&first).await, "there was none");
    assert!(rotate(&second).await);
    let snapshot = f.stores.queue.snapshot(f.tenant).await.expect("read").expect("there");
    let Some(CallbackSecrets::Known(secrets)) = snapshot.callback_secrets("anycheck") else { panic!("made") };
    assert_eq!(secrets.signing_at(f.now()).collect::<Vec<_>>(), [&second, &first]);
    assert!(snapshot.callback_secrets("standard").is_none(), "of that format only");
}

pub(crate) async fn a_new_master_key_seals_callback_secrets_anew(f: Fixture) {
    use postrider_core::vault::MasterKey;
    let rotation = Rotation { next: SigningSecret::generate(&f.world), previous_until: f.now() };
    f.stores.catalogue.rotate_callback_secret(f.tenant, "anycheck", rotation).await.expect("stored");
    let other = || MasterKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").expect("a key");
    assert!(f.sealing(other(), None).await.catalogue.check_vault().await.is_err());
    let between = f.sealing(other(), Some(MasterKey::development())).await;
    assert_eq!(between.catalogue.reseal().await.expect("sealed"), 1);
    assert_eq!(between.catalogue.reseal().await.expect("sealed"), 0);
    assert!(f.sealing(other(), None).await.catalogue.check_vault().await.is_ok());
}

pub(crate) async fn a_tenant_can_be_changed(f: Fixture) {
    let change = |name: Option<&str>, profile: Option<&str>| TenantChange {
        name: name.map(str::to_owned),
        default_profile: profile.map(str::to_owned),
        ..TenantChange::default()
    };
    let catalogue = &f.stores.catalogue;
    let second = catalogue.create_tenant("second", "credas").await.expect("stored").expect("free");
    assert_eq!(second.default_profile, "credas");
    let taken = catalogue.update_tenant(second.id, change(Some("first"), None)).await.expect("asked");
    assert!(matches!(taken, TenantChanged::NameTaken));
    let changed = catalogue.update_tenant(second.id, change(Some("third"), Some("aplyid"))).await.expect("stored");
    let TenantChanged::Done(changed) = changed else { panic!("{changed:?}") };
    assert_eq!((changed.name.as_str(), changed.default_profile.as_str()), ("third", "aplyid"));
    let snapshot = catalogue.snapshot(second.id).await.expect("read").expect("there");
    assert_eq!(snapshot.default_profile(), "aplyid");
    let missing = catalogue.update_tenant(postrider_core::TenantId::NIL, change(None, None)).await.expect("asked");
    assert!(matches!(missing, TenantChanged::Missing));
}

pub(crate) async fn deleting_a_tenant_ends_its_callbacks(f: Fixture) {
    create(&f, callback(&f, "é")).await;
    let claimed = f.publish().await;
    let rotation = Rotation { next: SigningSecret::generate(&f.world), previous_until: f.now() };
    f.stores.catalogue.rotate_callback_secret(f.tenant, "anycheck", rotation).await.expect("stored");
    assert!(f.stores.catalogue.delete_tenant(f.tenant).await.expect("deleted"));
    let delivery = &f.deliveries_of(claimed.id).await[0].delivery;
    assert_eq!(delivery.reason, Some(DiscardReason::CallbackDeleted.to_string()));
    assert_eq!(f.look("select cast(count(*) as text) from callback_secrets").await, ["0"]);
}

pub(crate) async fn an_event_is_explained(mut f: Fixture) {
    let early = f.publish().await;
    let picky = f.subscribe("https://a.example/picky").await;
    let plain = f.subscribe("https://a.example/plain").await;
    filter(&f, picky.id, r#"{"n":{"$gt":2}}"#).await;
    let claimed = f.publish_and_take().await;
    f.settle(&claimed, Decision::Delivered, Some(f.answered(200))).await;
    let explain = async |event_id, id| f.stores.journal.explain(f.tenant, event_id, id).await.expect("read");
    let failed = |explained: &postrider_store::Explained| -> Vec<&'static str> {
        explained.checks.iter().filter(|check| check.passed == Some(false)).map(|check| check.check).collect()
    };
    let explained = explain(claimed.event.id, plain.id).await.expect("known");
    assert_eq!(failed(&explained), [""; 0]);
    assert_eq!(explained.delivery.expect("made").attempts.len(), 1);
    let explained = explain(claimed.event.id, picky.id).await.expect("known");
    assert_eq!(failed(&explained), ["filters"]);
    assert!(explained.checks.iter().any(|check| check.detail.contains("n.$gt")));
    assert_eq!(failed(&explain(early.id, plain.id).await.expect("known")), ["created"]);
    f.stores.catalogue.delete_subscription(f.tenant, plain.id).await.expect("deleted");
    assert!(explain(claimed.event.id, plain.id).await.is_some(), "deleted ones are remembered");
    assert!(explain(postrider_core::EventId::NIL, plain.id).await.is_none());
    assert!(explain(early.id, postrider_core::SubscriptionId::NIL).await.is_none());
}
