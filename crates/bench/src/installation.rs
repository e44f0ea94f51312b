//! A server with a database of its own, and what the measurements ask of it.

use std::path::{Path, PathBuf};

use postrider_bench::load::{Load, Sent, run};
use postrider_bench::sink::Stats;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::process::{Process, itself};
use crate::publisher::{Direct, TypeOf};

/// Exists with all scopes in the tenant `default` of each server.
const KEY: &str = "measured-measured-measured-measured-key";

/// A type that every tenant knows.
pub(crate) const EVENT_TYPE: &str = "screening.completed";

/// Where a server keeps what it accepts.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    /// In a file.
    Sqlite(PathBuf),
    /// At a URL.
    Postgres(String),
}

impl Database {
    fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Postgres(url) => url.clone(),
        }
    }
}

/// A running server.
pub(crate) struct Installation {
    pub(crate) process: Process,
    key: String,
    client: reqwest::Client,
}

impl Installation {
    /// Starts the release binary as a user would, but for plain HTTP and this machine as targets.
    pub(crate) async fn start(binary: &Path, database: &Database, settings: &[(&str, &str)]) -> Result<Self, String> {
        let mut command = Command::new(binary);
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--database", &database.url()]);
        command.env("POSTRIDER_BOOTSTRAP_API_KEY", KEY).env("POSTRIDER_LOG", "info");
        command.envs(settings.iter().map(|(name, value)| (format!("POSTRIDER_{name}"), value)));
        command.stderr(std::process::Stdio::null());
        let process = Process::start(command).await?;
        Ok(Self { process, key: KEY.to_owned(), client: reqwest::Client::new() })
    }

    /// Asks the API; anything but a 2xx is an error.
    pub(crate) async fn call(&self, path: &str, body: Value) -> Result<Value, String> {
        self.post(path, body, self.client.post(self.url(path)).bearer_auth(&self.key)).await
    }

    /// Changes something as a tenant.
    pub(crate) async fn change(&self, tenant: &TenantKey, path: &str, body: Value) -> Result<Value, String> {
        self.post(path, body, self.client.patch(self.url(path)).bearer_auth(&tenant.0)).await
    }

    async fn post(&self, path: &str, body: Value, request: reqwest::RequestBuilder) -> Result<Value, String> {
        let response = request.json(&body).send().await.map_err(|error| format!("{path}: {error}"))?;
        let (status, body) = (response.status(), response.text().await.unwrap_or_default());
        if status.is_success() {
            serde_json::from_str(&body).map_err(|error| format!("{path}: {error}"))
        } else {
            Err(format!("{path}: {status} {body}"))
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.process.base)
    }

    pub(crate) async fn subscribe(&self, event_type: &str, url: &str) -> Result<String, String> {
        self.subscribe_as(json!({"event_type": event_type, "webhook_url": url})).await
    }

    pub(crate) async fn subscribe_as(&self, body: Value) -> Result<String, String> {
        let made = self.call("/api/v1/webhooks/", body).await?;
        made["id"].as_str().map(str::to_owned).ok_or_else(|| "a webhook without an id".to_owned())
    }

    pub(crate) async fn add_type(&self, name: &str) -> Result<(), String> {
        self.call("/api/v1/event-types/", json!({"name": name})).await.map(drop)
    }

    /// How many deliveries wait, as the server's metrics say.
    pub(crate) async fn pending(&self) -> Result<f64, String> {
        self.sum_of("postrider_queue_depth").await
    }

    /// How many events were accepted.
    pub(crate) async fn accepted(&self) -> Result<f64, String> {
        self.sum_of("postrider_events_accepted_total").await
    }

    /// How many deliveries have ended, however they did.
    pub(crate) async fn ended(&self) -> Result<f64, String> {
        self.sum_of("postrider_deliveries_ended_total").await
    }

    async fn sum_of(&self, metric: &str) -> Result<f64, String> {
        let page = self.client.get(self.url("/metrics")).bearer_auth(&self.key).send().await;
        let page = page.map_err(|error| error.to_string())?.text().await.map_err(|error| error.to_string())?;
        let values = page.lines().filter(|line| line.starts_with(metric));
        Ok(values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Makes a tenant.
    pub(crate) async fn tenant(&self, name: &str) -> Result<TenantKey, String> {
        let by_operator = |path: &str| self.client.post(self.url(path)).bearer_auth(KEY);
        let (tenants, keys) = ("/api/v1/tenants/", "/api/v1/api-keys/");
        let tenant = self.post(tenants, json!({"name": name}), by_operator(tenants)).await?;
        let request = by_operator(keys).header("X-Tenant-Id", tenant["id"].as_str().unwrap_or_default());
        let made = self.post(keys, json!({"name": "measures", "scopes": ["manage", "publish"]}), request).await?;
        made["key"].as_str().map(|key| TenantKey(key.to_owned())).ok_or_else(|| "a key without a text".to_owned())
    }

    /// Calls as that tenant from now on, until the next.
    pub(crate) fn act_as(&mut self, tenant: Option<&TenantKey>) {
        self.key = tenant.map_or_else(|| KEY.to_owned(), |tenant| tenant.0.clone());
    }

    /// Publishes.
    pub(crate) async fn publish(&self, load: Load, type_of: TypeOf) -> Sent {
        self.publishing(load, type_of).await
    }

    /// The same, to be run beside something else.
    pub(crate) fn publishing(&self, load: Load, type_of: TypeOf) -> impl Future<Output = Sent> + Send + use<> {
        let (address, key) = (self.process.address().to_owned(), self.key.clone());
        let batch = load.batch > 1;
        run(load, move || Direct { address: address.clone(), key: key.clone(), type_of, batch, connection: None })
    }
}

/// Acts for a tenant.
pub(crate) struct TenantKey(String);

/// The receiver, a process of its own so that its work is not taken for the server's.
pub(crate) struct Receiver {
    pub(crate) process: Process,
    client: reqwest::Client,
}

impl Receiver {
    pub(crate) async fn start() -> Result<Self, String> {
        Ok(Self { process: Process::start(itself(&["sink"])?).await?, client: reqwest::Client::new() })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.process.base)
    }

    pub(crate) async fn stats(&self, path: &str) -> Result<Stats, String> {
        let response = self.client.get(self.url(&format!("/stats?path={path}"))).send().await;
        response.map_err(|error| error.to_string())?.json().await.map_err(|error| error.to_string())
    }

    pub(crate) async fn reset(&self) -> Result<(), String> {
        self.client.post(self.url("/reset")).send().await.map(drop).map_err(|error| error.to_string())
    }

    /// Waits until so many came, and a little longer for what comes twice.
    pub(crate) async fn wait_for(&self, path: &str, count: u64) -> Result<Stats, String> {
        let mut quiet = 0;
        let mut before = 0;
        // Half a minute without anything new ends the wait: the rest counts as lost.
        while quiet < 300 {
            let stats = self.stats(path).await?;
            if stats.unique >= count {
                break;
            }
            quiet = if stats.unique == before { quiet + 1 } else { 0 };
            before = stats.unique;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        self.stats(path).await
    }
}
