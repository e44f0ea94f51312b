//! A store in a temporary folder, its clock, and short ways to what tests need.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use postrider_core::attempt::{AttemptOutcome, Exchange, Failure, Response, Timings};
use postrider_core::event::EventDraft;
use postrider_core::event_type::EventTypeName;
use postrider_core::headers::{HeaderList, StaticHeaders};
use postrider_core::lanes::LaneLimits;
use postrider_core::lifecycle::Decision;
use postrider_core::profile::STANDARD;
use postrider_core::schedule::RetrySchedule;
use postrider_core::secret::{Secrets, SigningSecret};
use postrider_core::subscription::{AttemptTimeout, Settings, Subscription, SubscriptionStats};
use postrider_core::target_url::TargetUrl;
use postrider_core::vault::{MasterKey, Vault};
use postrider_core::world::SystemRandom;
use postrider_core::{Clock, DeliveryId, EventId, SubscriptionId, TenantId, Timestamp, World};
use postrider_store::{
    Claimed, DeliveryView, HandOver, Inbox, NewSubscription, Receipt, Settlement, StoreOptions, Stores,
};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

/// A clock that stands still until it is told to go on.
pub(crate) struct StillClock(AtomicI64);

impl StillClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).expect("short"), Ordering::SeqCst);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}

/// A store under test.
pub(crate) struct Fixture {
    pub(crate) stores: Stores,
    pub(crate) inbox: Inbox,
    pub(crate) clock: Arc<StillClock>,
    pub(crate) world: World,
    pub(crate) tenant: TenantId,
    pub(crate) folder: TempDir,
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let clock = Arc::new(StillClock(AtomicI64::new(1_800_000_000_000_000)));
        let world = World::new(clock.clone(), Arc::new(SystemRandom));
        let folder = TempDir::new().expect("a folder");
        let (stores, inbox) = open(&folder, &world, LaneLimits::default()).await;
        let tenant = stores.catalogue.create_tenant("first").await.expect("stored").expect("a free name").id;
        Self { stores, inbox, clock, world, tenant, folder }
    }

    /// The same database as another process sees it, with as many slots as given.
    pub(crate) async fn beside(&self, limits: LaneLimits) -> (Stores, Inbox) {
        open(&self.folder, &self.world, limits).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn subscribe(&self, url: &str) -> Subscription {
        self.subscribe_in(&self.stores, self.tenant, "case.opened", url).await
    }

    pub(crate) async fn subscribe_in(
        &self,
        stores: &Stores,
        tenant_id: TenantId,
        event_type: &str,
        url: &str,
    ) -> Subscription {
        let settings = Settings {
            url: TargetUrl::from_stored(url).expect("a URL"),
            is_active: true,
            description: String::new(),
            filters: "{}".to_owned(),
            profile: STANDARD.to_owned(),
            retry_schedule: RetrySchedule::default(),
            timeout: AttemptTimeout::default(),
            headers: StaticHeaders::default(),
        };
        let secrets = Secrets::new(SigningSecret::generate(&self.world));
        let event_type = EventTypeName::parse(event_type).expect("a name");
        let new = NewSubscription { tenant_id, event_type, settings, secrets };
        // Ids of one microsecond have no order.
        self.clock.advance(Duration::from_micros(1));
        stores.catalogue.create_subscription(new).await.expect("stored")
    }

    pub(crate) async fn publish(&self) -> Receipt {
        self.publish_draft(draft(None)).await
    }

    pub(crate) async fn publish_draft(&self, draft: EventDraft) -> Receipt {
        self.clock.advance(Duration::from_micros(1));
        let mut results = self.stores.journal.publish(self.tenant, vec![draft]).await;
        results.pop().expect("a result").expect("accepted")
    }

    /// A look behind the traits: the rows of a statement, as text.
    pub(crate) async fn look(&self, sql: &'static str) -> Vec<String> {
        let url = format!("sqlite://{}/test.db", self.folder.path().display());
        let mut connection = SqliteConnection::connect(&url).await.expect("opens");
        sqlx::query_scalar(sql).fetch_all(&mut connection).await.expect("runs")
    }

    /// What was handed over, with its slot given back.
    pub(crate) fn handed(&mut self) -> Option<Claimed> {
        self.inbox.handed.try_recv().ok().map(|handed| handed.claimed)
    }

    /// Publishes and takes what was handed over.
    pub(crate) async fn publish_and_take(&mut self) -> Claimed {
        self.publish().await;
        self.handed().expect("handed over")
    }

    pub(crate) async fn settle(&self, claimed: &Claimed, decision: Decision, exchange: Option<Exchange>) {
        let settlement = Settlement {
            tenant_id: claimed.event.tenant_id,
            delivery_id: claimed.id,
            subscription_id: claimed.subscription_id,
            claim: claimed.claim,
            decision,
            attempt: exchange.map(|exchange| (claimed.attempts + 1, exchange)),
        };
        self.stores.queue.settle(settlement).await.expect("recorded");
    }

    pub(crate) async fn delivery(&self, id: DeliveryId) -> DeliveryView {
        self.stores.journal.delivery(self.tenant, id).await.expect("read").expect("there")
    }

    pub(crate) async fn deliveries_of(&self, event_id: EventId) -> Vec<DeliveryView> {
        self.stores.journal.deliveries_of(self.tenant, event_id).await.expect("read")
    }

    pub(crate) async fn stats(&self, id: SubscriptionId) -> SubscriptionStats {
        self.stores.catalogue.subscription(self.tenant, id).await.expect("read").expect("there").1
    }

    /// An exchange that begins now.
    pub(crate) fn answered(&self, status: u16) -> Exchange {
        let headers = HeaderList(vec![("Server".to_owned(), "test".to_owned())]);
        let body = b"\0not text\xff".to_vec();
        self.exchange(Ok(Response { status, headers, body, retry_after: None }))
    }

    pub(crate) fn unanswered(&self) -> Exchange {
        self.exchange(Err(Failure { outcome: AttemptOutcome::Timeout, message: "Timed out after 15 s".to_owned() }))
    }

    fn exchange(&self, result: Result<Response, Failure>) -> Exchange {
        Exchange {
            started_at: self.now(),
            url: "https://a.example/hook".to_owned(),
            request_headers: HeaderList(vec![("Webhook-Id".to_owned(), "x".to_owned())]),
            remote_address: Some("192.0.2.1:443".to_owned()),
            timings: Timings { dns_us: Some(1), connect_us: None, first_byte_us: Some(2), total_us: 3 },
            result,
        }
    }
}

async fn open(folder: &TempDir, world: &World, limits: LaneLimits) -> (Stores, Inbox) {
    let (hand_over, inbox) = HandOver::new(limits);
    let options = StoreOptions {
        database_url: format!("sqlite://{}/test.db", folder.path().display()),
        world: world.clone(),
        vault: Vault::new(MasterKey::development(), None, world.clone()),
        hand_over,
    };
    (Stores::open(options).await.expect("opens"), inbox)
}

pub(crate) fn draft(idempotency_key: Option<&str>) -> EventDraft {
    EventDraft {
        event_type: EventTypeName::parse("case.opened").expect("a name"),
        payload: r#"{"id":"é","n":1.10}"#.into(),
        occurred_at: None,
        expires_at: None,
        resource_id: Some("é".to_owned()),
        metadata: Some(r#"{"a":1}"#.into()),
        idempotency_key: idempotency_key.map(str::to_owned),
    }
}
