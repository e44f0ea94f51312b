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
use postrider_store::{Catalogue, HandOver, Inbox, NewApiKey, OpenError, Purpose, StoreError, StoreOptions, Stores};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Role, Settings};
use crate::metrics;

/// How long deliveries in flight may take to finish when the node stops.
const DRAIN: Duration = Duration::from_secs(11);
/// How long requests under way may take to be answered after that.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

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
        let listener = TcpListener::bind(settings.server.listen).await;
        let listener = listener.map_err(|error| StartError::Listen(settings.server.listen, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(settings.server.listen, error))?;
        let page = metrics::start(settings.server.dev);
        let stop_http = CancellationToken::new();
        if let Some(address) = settings.telemetry.metrics_listen {
            let listener = TcpListener::bind(address).await.map_err(|error| StartError::Listen(address, error))?;
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
        let readiness = Readiness::default();
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
            metrics: page,
            is_dev: settings.server.dev,
            public_url: settings.server.public_url.clone(),
        });
        let http = tokio::spawn(serve_http(listener, routes(api, world, &settings), stop_http.clone()));
        readiness.set(true);
        // Not before: it would take time from the start.
        gather_entropy();
        Ok(Self { address, first_key, stores, dispatcher, readiness, stop_http, http })
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

    /// Ends when a part of the node has ended that should not have. It is fit for nothing but a stop.
    pub async fn broken(&self) {
        let dispatches = || self.dispatcher.as_ref().is_none_or(Dispatcher::is_running);
        while self.stores.queue.is_running() && dispatches() {
            tokio::time::sleep(WATCH).await;
        }
        self.readiness.set(false);
    }

    /// Takes nothing more, finishes what is in flight within 15 s in all, and gives back the rest.
    pub async fn shut_down(self) {
        self.readiness.set(false);
        if let Some(dispatcher) = self.dispatcher {
            dispatcher.shut_down(DRAIN).await;
        }
        self.stop_http.cancel();
        let mut http = self.http;
        if tokio::time::timeout(LAST_ANSWERS, &mut http).await.is_err() {
            tracing::warn!("some requests were not answered in time");
            http.abort();
        }
        self.stores.queue.close().await;
    }
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
        purpose: Purpose::Serve,
        world: world.clone(),
        vault,
        hand_over: hand_over.clone(),
        profiles: settings.server.profiles.clone(),
    };
    let stores = Stores::open(options).await?;
    match stores.catalogue.check_vault().await {
        Ok(()) => {}
        Err(StoreError::Vault(error)) => return Err(StartError::MasterKey(error.to_string())),
        Err(error) => return Err(StartError::Store(error)),
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
        tenant_id: tenant.id,
        name: name.to_owned(),
        scopes: Scopes::all(),
        expires_at: None,
        hash: key.hash(),
    };
    if let Some(given) = &settings.keys.bootstrap {
        let key = PlainKey::given(&given.0);
        catalogue.create_api_key(new_key("bootstrap", &key)).await?;
        return Ok(None);
    }
    let has_keys = !catalogue.api_keys(tenant.id, postrider_core::cursor::Page::default()).await?.is_empty();
    if has_keys || !settings.server.dev {
        return Ok(None);
    }
    let key = PlainKey::generate(world);
    catalogue.create_api_key(new_key("dev", &key)).await?;
    Ok(Some(key))
}

/// The tenant that every installation has.
pub(crate) async fn default_tenant(catalogue: &dyn Catalogue) -> Result<Tenant, StoreError> {
    if let Some(tenant) = catalogue.create_tenant(DEFAULT_TENANT, STANDARD).await? {
        return Ok(tenant);
    }
    catalogue.tenant_named(DEFAULT_TENANT).await?.ok_or(StoreError::Damaged("the default tenant is missing"))
}
