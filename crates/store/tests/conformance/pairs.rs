//! All that changes deliveries, each beside each other on two nodes of one database: none waits for another in a circle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use postrider_core::cursor::Page;
use postrider_core::delivery::FailReason;
use postrider_core::lanes::{LaneId, LaneLimits};
use postrider_core::lifecycle::Decision;
use postrider_core::replay::{Count, ReplayScope, ReplayState, ReplayStatus};
use postrider_core::subscription::Subscription;
use postrider_core::target_url::TargetUrl;
use postrider_core::{EventId, TenantId, Timestamp};
use postrider_store::{
    ChangeError, Claimed, DeliveryFilter, EventFilter, PublishError, ReopenError, Result, Retention, SettingsChange,
    Settlement, Stores, Urgency,
};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, draft};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Events that there are when a pair begins.
const EVENTS: usize = 30;
/// How often each of a pair is done.
const ROUNDS: u32 = 6;

/// What changes deliveries. Taking over those of a dead node is beside all of them together, in a test of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Settle,
    Claim,
    Deactivate,
    ChangeUrl,
    Replay,
    Retry,
    Delete,
    Wipe,
    FanOut,
    Publish,
}

impl Deed {
    const ALL: [Self; 10] = [
        Self::Settle,
        Self::Claim,
        Self::Deactivate,
        Self::ChangeUrl,
        Self::Replay,
        Self::Retry,
        Self::Delete,
        Self::Wipe,
        Self::FanOut,
        Self::Publish,
    ];
}

/// A node, and what its deeds are done to.
#[derive(Clone)]
struct Node {
    stores: Arc<Stores>,
    tenant: TenantId,
    webhooks: Arc<Vec<Subscription>>,
    database: String,
    turn: Arc<AtomicU64>,
}

impl Node {
    async fn lanes(&self) -> Result<Vec<LaneId>> {
        let due = self.stores.queue.lanes_due(None, 100).await?;
        Ok(due.into_iter().map(|due| due.lane).collect())
    }

    async fn claim_all(&self) -> Result<Vec<Claimed>> {
        let mut claimed = Vec::new();
        for lane in self.lanes().await? {
            claimed.extend(self.stores.queue.claim(lane, 20).await?);
        }
        Ok(claimed)
    }

    async fn settle_all(&self) -> Result<()> {
        let mut settling = JoinSet::new();
        for (n, claimed) in self.claim_all().await?.into_iter().enumerate() {
            let decision =
                if n % 2 == 0 { Decision::Delivered } else { Decision::Failed(FailReason::RetriesExhausted) };
            let (tenant_id, delivery_id, target, claim) = (self.tenant, claimed.id, claimed.target, claimed.claim);
            let settlement = Settlement { tenant_id, delivery_id, target, claim, decision, attempt: None };
            let stores = Arc::clone(&self.stores);
            settling.spawn(async move { stores.queue.settle(Arc::new(settlement)).await });
        }
        while let Some(settled) = settling.join_next().await {
            settled.expect("no panic")?;
        }
        Ok(())
    }

    /// The first webhook on one node, the last on the other, in turns.
    fn webhook(&self) -> &Subscription {
        let turn = usize::try_from(self.turn.fetch_add(1, Ordering::Relaxed)).expect("few");
        &self.webhooks[turn % self.webhooks.len()]
    }

    async fn change(&self, change: SettingsChange) -> Result<()> {
        let webhook = self.webhook();
        let changed = self.stores.catalogue.update_subscription(self.tenant, webhook.id, change).await;
        changed.map(drop).map_err(|error| match error {
            ChangeError::Store(error) => error,
            ChangeError::TooManyLiterals { .. } => panic!("{error}"),
        })
    }

    async fn event_ids(&self) -> Result<Vec<EventId>> {
        let page = Page { before: None, limit: 10 };
        let listed = self.stores.journal.events(self.tenant, &EventFilter::default(), page).await?;
        Ok(listed.items.into_iter().map(|event| event.id).collect())
    }

    async fn prune(&self, payloads: Duration, deliveries: Duration) -> Result<()> {
        self.stores.queue.prune(Retention { payloads, deliveries, statistics: DAY }).await.map(drop)
    }

    async fn do_deed(&self, deed: Deed, now: Timestamp) -> Result<()> {
        match deed {
            Deed::Settle => self.settle_all().await,
            Deed::Claim => {
                let claimed = self.claim_all().await?;
                let claims: Vec<_> = claimed.iter().map(|one| (self.tenant, one.id, one.claim)).collect();
                self.stores.queue.give_back(&claims).await
            }
            Deed::Deactivate => {
                for is_active in [false, true] {
                    self.change(SettingsChange { is_active: Some(is_active), ..SettingsChange::default() }).await?;
                }
                Ok(())
            }
            Deed::ChangeUrl => {
                let url = format!("https://{}.example/hook", self.turn.fetch_add(1, Ordering::Relaxed) % 7);
                let url = TargetUrl::from_stored(&url);
                self.change(SettingsChange { url, ..SettingsChange::default() }).await
            }
            Deed::Replay => self.replay(now).await,
            Deed::Retry => self.retry_all().await,
            Deed::Delete => self.prune(Duration::ZERO, Duration::ZERO).await,
            Deed::Wipe => self.prune(Duration::ZERO, DAY).await,
            Deed::FanOut => self.fan_out().await,
            Deed::Publish => self.publish(10).await,
        }
    }

    async fn replay(&self, now: Timestamp) -> Result<()> {
        let scope = ReplayScope {
            subscription_id: None,
            event_type: None,
            status: ReplayStatus::Undelivered,
            since: Timestamp::from_micros(0),
            until: now,
        };
        let (replays, count) = (&self.stores.replays, Count { count: 0, is_exact: false });
        let replay = replays.create_replay(self.tenant, scope, 1_000, count).await?;
        for _ in 0..2 {
            self.stores.queue.replay().await?;
        }
        replays.turn_replay(self.tenant, replay.id, ReplayState::Canceled).await.map(drop)
    }

    async fn retry_all(&self) -> Result<()> {
        let page = Page { before: None, limit: 20 };
        let listed = self.stores.journal.deliveries(self.tenant, &DeliveryFilter::default(), page).await?;
        for view in listed.items {
            unless_refused(self.stores.journal.retry(self.tenant, view.delivery.id).await)?;
        }
        for id in self.event_ids().await? {
            unless_refused(self.stores.journal.replay(self.tenant, id, None).await)?;
        }
        Ok(())
    }

    async fn fan_out(&self) -> Result<()> {
        let mut db = PgConnection::connect(&self.database).await?;
        let begin = "update events set delivery_count = 2000, fan_out_after = $1 where id in (
             select id from events order by id desc limit 5 for update skip locked)";
        sqlx::query(begin).bind(uuid::Uuid::nil()).execute(&mut db).await?;
        while self.stores.queue.fan_out().await?.is_some() {}
        Ok(())
    }

    async fn publish(&self, events: usize) -> Result<()> {
        let drafts = (0..events).map(|_| draft(None)).collect();
        for result in self.stores.journal.publish(self.tenant, drafts, Urgency::Pressing).await {
            match result {
                Err(PublishError::Store(error)) => return Err(error),
                other => drop(other),
            }
        }
        Ok(())
    }
}

/// What is pending, or gone meanwhile, is none to be opened; that is no fault.
fn unless_refused<T>(opened: Result<T, ReopenError>) -> Result<()> {
    match opened {
        Err(ReopenError::Store(error)) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Two nodes on one database, with something to do.
async fn nodes(f: &Fixture) -> [Node; 2] {
    let mut webhooks = Vec::new();
    for n in 0..3 {
        webhooks.push(f.subscribe(&format!("https://{n}.example/hook")).await);
    }
    let (webhooks, turn) = (Arc::new(webhooks), Arc::new(AtomicU64::new(0)));
    let node = |stores| Node {
        stores: Arc::new(stores),
        tenant: f.tenant,
        webhooks: Arc::clone(&webhooks),
        database: f.database.url(),
        turn: Arc::clone(&turn),
    };
    let limits = LaneLimits::default();
    [node(f.beside(limits).await.0), node(f.beside(limits).await.0)]
}

/// Does a deed some times on each of two nodes, and the other as often. Whatever goes wrong is told at the end.
async fn pair(nodes: &[Node; 2], deeds: [Deed; 2], now: Timestamp) {
    let mut doing = JoinSet::new();
    for node in nodes {
        for deed in deeds {
            let node = node.clone();
            doing.spawn(async move {
                for _ in 0..ROUNDS {
                    node.do_deed(deed, now).await.map_err(|error| format!("{deed:?} of {deeds:?}: {error}"))?;
                }
                Ok::<(), String>(())
            });
        }
    }
    while let Some(done) = doing.join_next().await {
        done.expect("no panic").expect("done");
    }
}

/// How many deadlocks the database has seen: it counts them when connections end.
async fn deadlocks(f: &Fixture, nodes: [Node; 2]) -> i64 {
    for node in nodes {
        node.stores.queue.close().await;
    }
    f.stores.queue.close().await;
    f.number("select cast(deadlocks as text) from pg_stat_database where datname = current_database()").await
}

pub(crate) async fn no_pair_waits_in_a_circle(f: Fixture) {
    let nodes = nodes(&f).await;
    for (n, one) in Deed::ALL.into_iter().enumerate() {
        for other in &Deed::ALL[n..] {
            nodes[0].publish(EVENTS).await.expect("published");
            f.clock.advance(Duration::from_secs(60));
            pair(&nodes, [one, *other], f.now()).await;
        }
    }
    assert_eq!(deadlocks(&f, nodes).await, 0);
}

/// A node that serves takes over what three dead ones had leased, while everything else goes on.
pub(crate) async fn nor_does_anything_beside_a_take_over(f: Fixture) {
    let [mut one, other] = nodes(&f).await;
    one.stores = Arc::new(f.serving().await.0);
    let nodes = [one, other];
    for _ in 0..10 {
        nodes[1].publish(EVENTS).await.expect("published");
    }
    f.change(
        "insert into cluster_nodes (number, incarnation, started_at)
         select n, gen_random_uuid(), 0 from generate_series(500, 502) n",
    )
    .await;
    f.change(
        "update deliveries set claim = claim + 1, lease_until = 9000000000000000, node = 500 + (hashtext(id::text) & 1)
         where state = 0",
    )
    .await;
    let (is_over, now) = (Arc::new(AtomicBool::new(false)), f.now());
    let mut doing = JoinSet::new();
    for (node, deed) in nodes.iter().flat_map(|node| Deed::ALL.map(|deed| (node.clone(), deed))) {
        let is_over = Arc::clone(&is_over);
        doing.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                node.do_deed(deed, now).await.map_err(|error| format!("{deed:?}: {error}"))?;
            }
            Ok::<(), String>(())
        });
    }
    let begun = std::time::Instant::now();
    while f.number("select cast(count(*) as text) from cluster_nodes where number >= 500").await > 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the dead nodes are taken over");
        assert!(doing.try_join_next().is_none(), "something ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    is_over.store(true, Ordering::Relaxed);
    while let Some(done) = doing.join_next().await {
        done.expect("no panic").expect("done");
    }
    assert_eq!(
        f.number("select cast(count(*) as text) from deliveries where node >= 500 and lease_until > 0").await,
        0
    );
    assert_eq!(deadlocks(&f, nodes).await, 0);
}
