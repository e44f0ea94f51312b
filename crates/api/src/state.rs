//! What the handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postrider_core::lanes::Lanes;
use postrider_core::profile::Profiles;
use postrider_core::target_url::UrlPolicy;
use postrider_core::test_send::TestSender;
use postrider_core::{ApiKeyId, World};
use postrider_store::{Accounts, Catalogue, Health, Journal, Replays, Statistics};
use tokio_util::task::TaskTracker;

use crate::failed_keys::FailedKeys;
use crate::key_cache::KeyCache;
use crate::looks::Looks;
use crate::measure::MetricsPage;
use crate::quotas::{Limits, Quotas};
use crate::rate_limits::RateLimits;
use crate::session::SignInLimits;
use crate::test_limits::TestLimits;
use crate::turns::Turns;

/// What the API works with.
pub struct ApiOptions {
    /// Who may do what, and who gets what.
    pub catalogue: Arc<dyn Catalogue>,
    /// What happened.
    pub journal: Arc<dyn Journal>,
    /// Who signs in.
    pub accounts: Arc<dyn Accounts>,
    /// What is sent again.
    pub replays: Arc<dyn Replays>,
    /// Rates and latencies.
    pub statistics: Arc<dyn Statistics>,
    /// The wire formats.
    pub profiles: Arc<Profiles>,
    /// Sends tests.
    pub tester: Arc<dyn TestSender>,
    /// How endpoints are found to be; none if this process does not send.
    pub lanes: Option<Lanes>,
    /// Time and chance.
    pub world: World,
    /// The rules for URLs given from outside.
    pub url_policy: UrlPolicy,
    /// What a key and a tenant may use up.
    pub limits: Limits,
    /// Whether requests should come here.
    pub readiness: Readiness,
    /// Changes under way: they go on when their client hangs up.
    pub changes: TaskTracker,
    /// What `/metrics` shows.
    pub metrics: MetricsPage,
    /// Whether browsers come without TLS.
    pub is_dev: bool,
    /// Where browsers find the installation, without a slash at the end.
    pub public_url: Option<String>,
}

/// The API. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

/// What is behind an [`Api`].
pub struct Shared {
    pub(crate) catalogue: Arc<dyn Catalogue>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) replays: Arc<dyn Replays>,
    pub(crate) statistics: Arc<dyn Statistics>,
    pub(crate) profiles: Arc<Profiles>,
    pub(crate) tester: Arc<dyn TestSender>,
    pub(crate) lanes: Option<Lanes>,
    pub(crate) world: World,
    pub(crate) url_policy: UrlPolicy,
    pub(crate) readiness: Readiness,
    pub(crate) changes: TaskTracker,
    pub(crate) metrics: MetricsPage,
    pub(crate) keys: KeyCache,
    pub(crate) failed_keys: FailedKeys,
    pub(crate) test_limits: TestLimits,
    pub(crate) turns: Turns,
    pub(crate) looks: Looks,
    pub(crate) rate_limits: RateLimits<ApiKeyId>,
    pub(crate) sign_ins: SignInLimits,
    pub(crate) is_dev: bool,
    pub(crate) public_url: Option<String>,
    pub(crate) quotas: Quotas,
}

impl Api {
    /// Puts the API together.
    #[must_use]
    pub fn new(options: ApiOptions) -> Self {
        let ApiOptions { catalogue, journal, accounts, replays, statistics, profiles, tester, lanes, world, .. } =
            options;
        let ApiOptions { url_policy, limits, readiness, changes, metrics, is_dev, public_url, .. } = options;
        Self(Arc::new(Shared {
            catalogue,
            journal,
            accounts,
            replays,
            statistics,
            profiles,
            tester,
            lanes,
            world,
            url_policy,
            readiness,
            changes,
            metrics,
            keys: KeyCache::default(),
            failed_keys: FailedKeys::default(),
            test_limits: TestLimits::default(),
            turns: Turns::new(),
            looks: Looks::default(),
            rate_limits: RateLimits::new(limits.requests),
            sign_ins: SignInLimits::default(),
            is_dev,
            public_url,
            quotas: Quotas::new(limits),
        }))
    }
}

impl std::ops::Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Whether this process should get requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Readiness {
    takes_requests: Arc<AtomicBool>,
    health: Health,
}

impl Readiness {
    /// That of a process that takes no requests yet.
    #[must_use]
    pub fn new(health: Health) -> Self {
        Self { takes_requests: Arc::default(), health }
    }

    /// Says that it takes requests, or no longer.
    pub fn set(&self, takes_requests: bool) {
        self.takes_requests.store(takes_requests, Ordering::Release);
    }

    /// Whether it takes requests that change something.
    pub(crate) fn takes_requests(&self) -> bool {
        self.takes_requests.load(Ordering::Acquire)
    }

    /// Whether requests should come here. Asks no database.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if !self.takes_requests() {
            return Err("it is stopping");
        }
        self.health.takes_commits()
    }
}
