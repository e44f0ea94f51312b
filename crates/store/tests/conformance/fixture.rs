//! A store on a database of its own, its clock, and short ways to what tests need.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::HeaderName;
use postrider_core::attempt::{AttemptOutcome, Exchange, Failure, Response, Timings};
use postrider_core::event::EventDraft;
use postrider_core::event_type::EventTypeName;
use postrider_core::filter::Filter;
use postrider_core::headers::{HeaderList, StaticHeaders};
use postrider_core::lanes::LaneLimits;
use postrider_core::lifecycle::Decision;
use postrider_core::profile::{Profiles, STANDARD};
use postrider_core::schedule::RetrySchedule;
use postrider_core::secret::{Secrets, SigningSecret};
use postrider_core::subscription::{Settings, Subscription, TargetStats};
use postrider_core::target_url::TargetUrl;
use postrider_core::trace_context::TraceContext;
use postrider_core::vault::{MasterKey, Vault};
use postrider_core::world::{Random, SystemRandom};
use postrider_core::{Clock, DeliveryId, EventId, SubscriptionId, TenantId, Timestamp, World};
use postrider_store::{
    Claimed, DatabaseUrl, DeliveryView, Durability, HandOver, Inbox, NewSubscription, Purpose, Receipt, Settlement,
    StoreOptions, Stores, Urgency,
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;

/// A clock that stands still until it is told to go on.
pub(crate) struct StillClock(AtomicI64);

impl StillClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).expect("short"), Ordering::SeqCst);
    }

    pub(crate) fn set(&self, to: Timestamp) {
        self.0.store(to.as_micros(), Ordering::SeqCst);
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
    pub(crate) database: Database,
}

/// A database for one test.
pub(crate) enum Database {
    Sqlite(TempDir),
    Postgres(String),
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(TempDir::new().expect("a folder"))
    }

    /// On the server whose URL is in `TEST_POSTGRES_URL`; it is thrown away after the tests.
    pub(crate) async fn postgres() -> Self {
        let server = std::env::var("TEST_POSTGRES_URL");
        let server = server.expect("run the tests through scripts/with-postgres, as `make test` does");
        let mut random = [0; 16];
        SystemRandom.fill(&mut random);
        let name = format!("t{:032x}", u128::from_ne_bytes(random));
        let mut connection = PgConnection::connect(&format!("{server}/postgres")).await.expect("a server");
        let create = AssertSqlSafe(format!("create database {name}"));
        connection.execute(create).await.expect("a database");
        Self::Postgres(format!("{server}/{name}"))
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite://{}/test.db", folder.path().display()),
            Self::Postgres(url) => url.clone(),
        }
    }
}

impl Fixture {
    pub(crate) async fn on(database: Database) -> Self {
        let clock = Arc::new(StillClock(AtomicI64::new(1_800_000_000_000_000)));
        let world = World::new(clock.clone(), Arc::new(SystemRandom));
        let (stores, inbox) = open(&database, &world, LaneLimits::default(), Purpose::Migrate).await;
        let tenant = stores.catalogue.create_tenant("first", STANDARD).await.expect("stored").expect("a free name").id;
        Self { stores, inbox, clock, world, tenant, database }
    }

    /// The same database as another process sees it, with as many slots as given.
    pub(crate) async fn beside(&self, limits: LaneLimits) -> (Stores, Inbox) {
        open(&self.database, &self.world, limits, Purpose::Visit).await
    }

    /// The same database as the process sees it that serves it from now on.
    pub(crate) async fn serving(&self) -> (Stores, Inbox) {
        open(&self.database, &self.world, LaneLimits::default(), Purpose::Serve).await
    }

    /// The same database under other master keys.
    pub(crate) async fn sealing(&self, current: MasterKey, previous: Option<MasterKey>) -> Stores {
        let vault = Vault::new(current, previous, self.world.clone());
        let (limits, profiles) = (LaneLimits::default(), Profiles::published());
        open_with(vault, &self.database, &self.world, limits, Purpose::Visit, profiles).await.0
    }

    /// The same database as a process with other wire formats sees it.
    pub(crate) async fn with_profiles(&self, profiles: Profiles) -> (Stores, Inbox) {
        let vault = Vault::new(MasterKey::development(), None, self.world.clone());
        open_with(vault, &self.database, &self.world, LaneLimits::default(), Purpose::Visit, profiles).await
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
            filters: Filter::everything(),
            profile: STANDARD.to_owned(),
            retry_schedule: RetrySchedule::default(),
            timeout: None,
            headers: StaticHeaders::default(),
        };
        let secrets = Secrets::new(SigningSecret::generate(&self.world));
        let event_type = EventTypeName::parse(event_type).expect("a name");
        let new = NewSubscription { tenant_id, event_type, settings, secrets, most_literals: 100 };
        // Ids of one microsecond have no order.
        self.clock.advance(Duration::from_micros(1));
        stores.catalogue.create_subscription(new).await.expect("stored")
    }

    pub(crate) async fn publish(&self) -> Receipt {
        self.publish_draft(draft(None)).await
    }

    pub(crate) async fn publish_draft(&self, draft: EventDraft) -> Receipt {
        self.clock.advance(Duration::from_micros(1));
        let mut results = self.stores.journal.publish(self.tenant, vec![draft], Urgency::Pressing).await;
        results.pop().expect("a result").expect("accepted")
    }

    /// A look behind the traits: the rows of a statement, as text.
    pub(crate) async fn look(&self, sql: &'static str) -> Vec<String> {
        let url = self.database.url();
        match self.database {
            Database::Sqlite(_) => {
                let mut connection = SqliteConnection::connect(&url).await.expect("opens");
                sqlx::query_scalar(sql).fetch_all(&mut connection).await.expect("runs")
            }
            Database::Postgres(_) => {
                let mut connection = PgConnection::connect(&url).await.expect("opens");
                sqlx::query_scalar(sql).fetch_all(&mut connection).await.expect("runs")
            }
        }
    }

    /// A change behind the traits; `RANDOM_ID` stands for a new id.
    pub(crate) async fn change(&self, sql: &str) {
        let url = self.database.url();
        match self.database {
            Database::Sqlite(_) => {
                let mut connection = SqliteConnection::connect(&url).await.expect("opens");
                let sql = sql.replace("RANDOM_ID", "randomblob(16)");
                sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.expect("runs");
            }
            Database::Postgres(_) => {
                let mut connection = PgConnection::connect(&url).await.expect("opens");
                let sql = sql.replace("RANDOM_ID", "gen_random_uuid()");
                sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.expect("runs");
            }
        }
    }

    /// A number that a statement has.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        self.look(sql).await.remove(0).parse().expect("a number")
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
            target: claimed.target,
            claim: claimed.claim,
            decision,
            attempt: exchange.map(|exchange| (claimed.attempts + 1, exchange)),
        };
        self.stores.queue.settle(Arc::new(settlement)).await.expect("recorded");
    }

    pub(crate) async fn delivery(&self, id: DeliveryId) -> DeliveryView {
        self.stores.journal.delivery(self.tenant, id).await.expect("read").expect("there")
    }

    pub(crate) async fn deliveries_of(&self, event_id: EventId) -> Vec<DeliveryView> {
        self.stores.journal.deliveries_of(self.tenant, event_id).await.expect("read")
    }

    pub(crate) async fn stats(&self, id: SubscriptionId) -> TargetStats {
        self.stores.catalogue.subscription(self.tenant, id).await.expect("read").expect("there").1
    }

    /// An exchange that begins now.
    pub(crate) fn answered(&self, status: u16) -> Exchange {
        let headers = header("server", "test");
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
            request_headers: header("webhook-id", "x"),
            remote_address: Some("192.0.2.1:443".to_owned()),
            timings: Timings { dns_us: Some(1), connect_us: None, first_byte_us: Some(2), total_us: 3 },
            result,
        }
    }
}

fn header(name: &'static str, value: &'static str) -> HeaderList {
    [(&HeaderName::from_static(name), value.as_bytes())].into_iter().collect()
}

async fn open(database: &Database, world: &World, limits: LaneLimits, purpose: Purpose) -> (Stores, Inbox) {
    let vault = Vault::new(MasterKey::development(), None, world.clone());
    open_with(vault, database, world, limits, purpose, Profiles::published()).await
}

async fn open_with(
    vault: Vault,
    database: &Database,
    world: &World,
    limits: LaneLimits,
    purpose: Purpose,
    profiles: Profiles,
) -> (Stores, Inbox) {
    let (hand_over, inbox) = HandOver::new(limits);
    let options = StoreOptions {
        database_url: DatabaseUrl::parse(&database.url()).expect("a URL"),
        durability: Durability::Checked,
        purpose,
        world: world.clone(),
        vault,
        hand_over,
        profiles: Arc::new(profiles),
    };
    (Stores::open(options).await.expect("opens"), inbox)
}

pub(crate) fn draft(idempotency_key: Option<&str>) -> EventDraft {
    let event_type = EventTypeName::parse("case.opened").expect("a name");
    EventDraft {
        resource_id: Some("é".to_owned()),
        metadata: Some(r#"{"a":1}"#.into()),
        idempotency_key: idempotency_key.map(str::to_owned),
        trace_context: TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ..EventDraft::new(event_type, r#"{"id":"é","n":1.10}"#.into())
    }
}
