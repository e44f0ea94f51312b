//! The installation that is measured, by its API.

use std::error::Error;
use std::ops::Range;
use std::time::Duration;

use postrider_bench::load::{Publisher, call};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Installation {
    client: Client,
    base: String,
    key: String,
    /// A type of this run's own, so that nobody else gets the events.
    event_type: String,
}

impl Installation {
    pub(super) fn new(base: &str, key: &str, event_type: String) -> Result<Self, String> {
        let client = Client::builder().timeout(TIMEOUT).build().map_err(|error| whole(&error))?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), key: key.to_owned(), event_type })
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<(StatusCode, Value), String> {
        let request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let response = request.send().await;
        let response = response.map_err(|error| format!("cannot reach {}: {}", self.base, whole(&error)))?;
        Ok((response.status(), response.json().await.unwrap_or_default()))
    }

    /// A call that must succeed.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, String> {
        let (status, answer) = self.call(method.clone(), path, body).await?;
        if status.is_success() {
            return Ok(answer);
        }
        let wrong = answer["errors"][0]["message"].as_str().or(answer["detail"].as_str()).unwrap_or_default();
        Err(format!("{method} {path}: {status}: {wrong}"))
    }

    /// Has this run's events delivered to `receiver`.
    pub(super) async fn subscribe(&self, receiver: &str) -> Result<(), String> {
        self.ask(Method::POST, "/api/v1/event-types/", Some(json!({"name": self.event_type}))).await?;
        let body = json!({"event_type": self.event_type, "webhook_url": receiver});
        let made = self.ask(Method::POST, "/api/v1/webhooks/", Some(body)).await;
        let how = "the installation must be able to reach this receiver: see --listen and --receiver-url";
        made.map(drop).map_err(|error| format!("{receiver}: {error}; {how}"))
    }

    /// What the last attempt of an event that is not delivered came to, if there is one.
    pub(super) async fn trouble(&self) -> Option<String> {
        let path = format!("/api/v1/deliveries/?event_type={}&status=undelivered&limit=1", self.event_type);
        let list = self.ask(Method::GET, &path, None).await.ok()?;
        let path = format!("/api/v1/deliveries/{}/", list["deliveries"][0]["id"].as_str()?);
        let delivery = self.ask(Method::GET, &path, None).await.ok()?;
        delivery["attempts"].as_array()?.last()?["message"].as_str().map(str::to_owned)
    }

    /// Deletes what this run made, and says what of it is left.
    pub(super) async fn clean_up(&self) -> Result<(), String> {
        let left =
            |error: String| format!("{error}; the event type {} and its webhook are left behind", self.event_type);
        let webhooks = self.ask(Method::GET, "/api/v1/webhooks/", None).await.map_err(left)?;
        let own = |webhook: &&Value| webhook["event_type"] == self.event_type.as_str();
        let own = webhooks["webhooks"].as_array().into_iter().flatten().filter(own);
        for id in own.filter_map(|webhook| webhook["id"].as_str()) {
            self.ask(Method::DELETE, &format!("/api/v1/webhooks/{id}/"), None).await.map_err(left)?;
        }
        let path = format!("/api/v1/event-types/{}/", self.event_type);
        match self.call(Method::DELETE, &path, None).await.map_err(left)? {
            // Not even that was made.
            (status, _) if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            (status, _) => Err(left(format!("DELETE {path}: {status}"))),
        }
    }

    /// Sends calls, of batches if so wanted.
    pub(super) fn publisher(&self, batch: bool) -> Publishing {
        Publishing { installation: self.clone(), batch }
    }
}

pub(super) struct Publishing {
    installation: Installation,
    batch: bool,
}

impl Publisher for Publishing {
    async fn publish(&mut self, numbers: Range<u64>, sent_at: u64) -> Result<(), String> {
        let Installation { client, base, key, event_type } = &self.installation;
        let (path, body) = call(numbers, sent_at, self.batch, |_| event_type.clone());
        let request = client.post(format!("{base}{path}")).bearer_auth(key).header("content-type", "application/json");
        let response = request.body(body).send().await.map_err(|error| whole(&error.without_url()))?;
        let status = response.status();
        let answer: Value = response.json().await.map_err(|error| whole(&error.without_url()))?;
        let failed = answer["results"].as_array().into_iter().flatten().find(|result| !result["error"].is_null());
        match failed {
            Some(result) => Err(result["error"]["detail"].as_str().unwrap_or("refused").to_owned()),
            None if status == StatusCode::ACCEPTED => Ok(()),
            None => Err(format!("{status}: {}", answer["detail"].as_str().unwrap_or_default())),
        }
    }
}

/// An error with the last of its causes, which is the one that says what is wrong.
fn whole(error: &reqwest::Error) -> String {
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(next) = cause.and_then(Error::source) {
        cause = Some(next);
    }
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
