//! One running node: store, dispatcher and API, wired together.

use std::net::SocketAddr;
use std::thread::available_parallelism;
use std::time::Duration;

use axum::extract::Request;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Router, ServiceExt};
use postrider_api::{Api, ApiOptions, Readiness, TrimSlash};
use postrider_console::Rest;
use postrider_core::World;
use postrider_core::api_key::{PlainKey, Scopes};
use postrider_core::lanes::LaneLimits;
use postrider_core::profile::STANDARD;
use postrider_core::tenant::{DEFAULT_TENANT, Tenant};
use postrider_core::vault::{MasterKey, Vault};
use postrider_dispatcher::{ClientOptions, Dispatcher, DispatcherOptions, GuardedClient, gather_entropy};
use postrider_store::{
    Catalogue, CredentialError, HandOver, Inbox, Maker, NewApiKey, OpenError, Purpose, StoreError, StoreOptions, Stores,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Role, Settings};
use crate::metrics;

/// How long stopping takes at most, whatever the database does.
const STOP: Duration = Duration::from_millis(14_500);
/// How long of that deliveries in flight may take to finish.
const DRAIN: Duration = Duration::from_secs(11);
/// When, of that time, requests under way must be answered.
const LAST_ANSWERS: Duration = Duration::from_millis(13_500);

/// How long a process that cannot start may take to leave the others.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Between looks at whether all parts of the node still run.
const WATCH: Duration = Duration::from_secs(1);

/// The path of the receiver that `--dev` has.
pub(crate) const DEV_RECEIVER: &str = "/dev/receiver";

/// What a node is started with.
pub struct NodeOptions {
    /// Checked settings.
    pub settings: Settings,
    /// Time and chance.
    pub world: World,
}

/// A node could not start; one line for people.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Secrets could not be sealed.
    #[error(
        "POSTRIDER_MASTER_KEY: is required outside --dev; make one with `openssl rand -base64 32` and keep it safe"
    )]
    NoMasterKey,
    /// The secrets in the database were sealed with another key.
    #[error("POSTRIDER_MASTER_KEY: {0}")]
    MasterKey(String),
    /// A part of the work, with nobody to do the rest.
    #[error("--role: only nodes on one PostgreSQL can share the work; SQLite has one process, which does all")]
    Alone,
    /// The database does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It opens, and fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The client cannot be made.
    #[error("{0}")]
    Client(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
}

/// A running node.
pub struct Node {
    address: SocketAddr,
    first_key: Option<PlainKey>,
    stores: Stores,
    dispatcher: Option<Dispatcher>,
    readiness: Readiness,
    changes: TaskTracker,
    stop_http: CancellationToken,
    http: JoinHandle<std::io::Result<()>>,
}

impl Node {
    /// Starts everything; ready when it returns.
    ///
    /// # Errors
    /// [`StartError`] says what is missing or wrong.
    pub async fn start(options: NodeOptions) -> Result<Self, StartError> {
        let NodeOptions { settings, world } = options;
        let master_key = match settings.keys.master.clone() {
            Some(key) => key,
            None if settings.server.dev => MasterKey::development(),
            None => return Err(StartError::NoMasterKey),
        };
        let vault = Vault::new(master_key, settings.keys.master_previous.clone(), world.clone());
        if settings.server.role != Role::All && !settings.database.url.is_shared() {
            return Err(StartError::Alone);
        }
        let (listener, address) = listen(settings.server.listen).await?;
        let page = metrics::start(settings.server.dev);
        let stop_http = CancellationToken::new();
        if let Some(address) = settings.telemetry.metrics_listen {
            let (listener, _) = listen(address).await?;
            tokio::spawn(metrics::serve(listener, page.clone(), stop_http.clone()));
        }
        let client = client_of(&settings, &world).map_err(StartError::Client)?;
        let (hand_over, inbox) = hand_over_of(&settings);
        let lanes = inbox.is_some().then(|| hand_over.lanes().clone());
        let stores = open_stores(&settings, vault, &hand_over, &world).await?;
        let first_key = prepare_default_tenant(&*stores.catalogue, &settings, &world).await?;
        let dispatcher = inbox.map(|inbox| {
            Dispatcher::start(DispatcherOptions {
                queue: stores.queue.clone(),
                hand_over,
                inbox,
                client: client.clone(),
                world: world.clone(),
                retention: settings.retention,
                patience: settings.targets.patience,
                deactivate_after: settings.webhooks.deactivate_after,
            })
        });
        let (readiness, changes) = (Readiness::new(stores.health.clone()), TaskTracker::new());
        let api = Api::new(ApiOptions {
            catalogue: stores.catalogue.clone(),
            journal: stores.journal.clone(),
            accounts: stores.accounts.clone(),
            replays: stores.replays.clone(),
            statistics: stores.statistics.clone(),
            profiles: settings.server.profiles.clone(),
            tester: std::sync::Arc::new(client),
            lanes,
            world: world.clone(),
            url_policy: settings.targets.url_policy.clone(),
            limits: settings.limits,
            readiness: readiness.clone(),
            changes: changes.clone(),
            metrics: page,
            is_dev: settings.server.dev,
            public_url: settings.server.public_url.clone(),
        });
        let http = tokio::spawn(serve_http(listener, routes(api, world, &settings), stop_http.clone()));
        readiness.set(true);
        // Not before: it would take time from the start.
        gather_entropy();
        Ok(Self { address, first_key, stores, dispatcher, readiness, changes, stop_http, http })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that was made because the database was new, under `--dev`.
    #[must_use]
    pub const fn first_key(&self) -> Option<&PlainKey> {
        self.first_key.as_ref()
    }

    /// Ends when the node must not go on, and tells why: a part of it has ended, or the database is for newer programs only.
    pub async fn must_stop(&self) -> String {
        let dispatches = || self.dispatcher.as_ref().is_none_or(Dispatcher::is_running);
        let why = loop {
            if let Some(why) = self.stores.health.outdated() {
                break why;
            }
            if !self.stores.queue.is_running() || !dispatches() {
                break "stopped, because a part of it ended; the log says why".to_owned();
            }
            tokio::time::sleep(WATCH).await;
        };
        self.readiness.set(false);
        why
    }

    /// Takes nothing more, finishes what is in flight and gives back the rest. Ends within 15 s, also if the database does not
    /// answer: what could not be given back comes free when its lease ends.
    pub async fn shut_down(self) {
        self.readiness.set(false);
        let begun = Instant::now();
        if timeout_at(begun + STOP, self.drain(begun)).await.is_err() {
            tracing::warn!("not everything could be given back in time; the database does not answer");
        }
    }

    async fn drain(self, begun: Instant) {
        let Self { stores, dispatcher, changes, stop_http, mut http, .. } = self;
        if let Some(dispatcher) = dispatcher
            && timeout_at(begun + LAST_ANSWERS, dispatcher.shut_down(DRAIN)).await.is_err()
        {
            tracing::warn!("some deliveries could not be recorded or given back in time");
        }
        stop_http.cancel();
        changes.close();
        let answered = async {
            let _ = (&mut http).await;
            changes.wait().await;
        };
        if timeout_at(begun + LAST_ANSWERS, answered).await.is_err() {
            tracing::warn!("some requests were not answered in time");
            http.abort();
        }
        stores.queue.close().await;
    }
}

/// Listens on an address, and says which it is if the system chose the port.
async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The way to this node's dispatcher, if it has one.
fn hand_over_of(settings: &Settings) -> (HandOver, Option<Inbox>) {
    if !settings.server.role.dispatches() {
        return (HandOver::closed(), None);
    }
    let processors = available_parallelism().map_or(1, usize::from);
    let limits = LaneLimits { per_lane: settings.targets.in_flight, ..LaneLimits::on(processors) };
    let (hand_over, inbox) = HandOver::new(limits);
    (hand_over, Some(inbox))
}

/// Opens the database, if its secrets can be opened too; seals anew what the key before had sealed.
async fn open_stores(
    settings: &Settings,
    vault: Vault,
    hand_over: &HandOver,
    world: &World,
) -> Result<Stores, StartError> {
    let options = StoreOptions {
        database_url: settings.database.url.clone(),
        durability: settings.database.durability,
        purpose: Purpose::Serve,
        world: world.clone(),
        vault,
        hand_over: hand_over.clone(),
        profiles: settings.server.profiles.clone(),
    };
    let stores = Stores::open(options).await?;
    if let Err(error) = stores.catalogue.check_vault().await {
        // So that nobody waits for this process.
        drop(timeout(LAST_WORDS, stores.queue.close()).await);
        return Err(match error {
            StoreError::Vault(error) => StartError::MasterKey(error.to_string()),
            other => StartError::Store(other),
        });
    }
    if settings.keys.master_previous.is_some() {
        let resealed = stores.catalogue.reseal().await?;
        tracing::info!(rows = resealed, "sealed anew what POSTRIDER_MASTER_KEY_PREVIOUS had sealed");
    }
    Ok(stores)
}

/// What sends to addresses that users gave.
fn client_of(settings: &Settings, world: &World) -> Result<GuardedClient, String> {
    let options = ClientOptions {
        addresses: settings.targets.url_policy.addresses.clone(),
        plain_http: settings.server.dev,
        extra_roots: settings.targets.extra_roots.clone(),
    };
    GuardedClient::new(options, world.clone())
}

/// The API; under `--dev` also a receiver that takes everything, to try things with.
fn routes(api: Api, world: World, settings: &Settings) -> Router {
    if !settings.server.role.serves_api() {
        return postrider_api::health_router(api);
    }
    let api = postrider_api::router(api);
    let routes = postrider_console::router(Rest::new(api.clone(), world)).merge(api);
    if settings.server.dev { routes.route(DEV_RECEIVER, post(async || "thank you")) } else { routes }
}

async fn serve_http(listener: TcpListener, routes: Router, stop: CancellationToken) -> std::io::Result<()> {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
    });
    let service = ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(TrimSlash::new(routes));
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Makes sure that the tenant `default` and the bootstrap key exist. Under `--dev`, a database
/// without any key gets one, which is returned.
async fn prepare_default_tenant(
    catalogue: &dyn Catalogue,
    settings: &Settings,
    world: &World,
) -> Result<Option<PlainKey>, StoreError> {
    let tenant = default_tenant(catalogue).await?;
    let new_key = |name: &str, key: &PlainKey| NewApiKey {
        maker: Maker::Installation,
        tenant_id: tenant.id,
        name: name.to_owned(),
        scopes: Scopes::all(),
        expires_at: None,
        hash: key.hash(),
    };
    if let Some(given) = &settings.keys.bootstrap {
        let key = PlainKey::given(&given.0);
        make_key(catalogue, new_key("bootstrap", &key)).await?;
        return Ok(None);
    }
    let has_keys = !catalogue.api_keys(tenant.id, postrider_core::cursor::Page::default()).await?.is_empty();
    if has_keys || !settings.server.dev {
        return Ok(None);
    }
    let key = PlainKey::generate(world);
    make_key(catalogue, new_key("dev", &key)).await?;
    Ok(Some(key))
}

/// Makes sure that a key exists.
async fn make_key(catalogue: &dyn Catalogue, key: NewApiKey) -> Result<(), StoreError> {
    match catalogue.create_api_key(key).await {
        Ok(_) | Err(CredentialError::Taken) => Ok(()),
        Err(CredentialError::Store(error)) => Err(error),
        Err(CredentialError::MakerGone | CredentialError::NoTenant(_)) => {
            Err(StoreError::Damaged("the default tenant is missing"))
        }
    }
}

/// The tenant that every installation has.
pub(crate) async fn default_tenant(catalogue: &dyn Catalogue) -> Result<Tenant, StoreError> {
    if let Some(tenant) = catalogue.create_tenant(DEFAULT_TENANT, STANDARD).await? {
        return Ok(tenant);
    }
    catalogue.tenant_named(DEFAULT_TENANT).await?.ok_or(StoreError::Damaged("the default tenant is missing"))
}
