//! Who takes part in a fault run: subscriptions, and the events that are for them.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::scenarios::Load;
use super::sink::Sink;

/// Subscriptions to the event that is made in chunks: more than one chunk has.
const MANY: usize = 1_050;
/// Where they all go, each with a query of its own.
const WIDE_PATH: &str = "/wide";
/// For how long an answer is waited for.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);
/// Between two tries of a subscription.
const AGAIN: Duration = Duration::from_millis(200);
/// Subscriptions made at once.
const AT_ONCE: usize = 16;

/// A kind of event, by who gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// For an endpoint that is well.
    Plain,
    /// For endpoints with troubles too: two failures, nothing but failures, silence once, switched off now and then.
    Troubled,
    /// For more endpoints than are made at once.
    Wide,
}

impl Kind {
    /// The kind of the `number`th event: most are plain, few have troubles, hardly any is wide; under a light load none
    /// is by itself.
    #[must_use]
    pub(super) const fn of(number: usize, load: Load) -> Self {
        match number {
            _ if matches!(load, Load::Full) && number % 1_500 == 30 => Self::Wide,
            _ if number.is_multiple_of(20) => Self::Troubled,
            _ => Self::Plain,
        }
    }

    /// The type it is published as.
    #[must_use]
    pub(super) const fn event_type(self) -> &'static str {
        match self {
            Self::Plain => "screening.completed",
            Self::Troubled => "case.opened",
            Self::Wide => "case.resolved",
        }
    }

    /// The paths that must get it.
    fn paths(self) -> Vec<String> {
        match self {
            Self::Plain => vec!["/well".to_owned()],
            Self::Troubled => ["/flaky", "/down", "/silent"].map(str::to_owned).to_vec(),
            Self::Wide => (0..MANY).map(|number| format!("{WIDE_PATH}?{number}")).collect(),
        }
    }

    /// The path that gets it while its subscription is active.
    const fn at_times(self) -> Option<&'static str> {
        match self {
            Self::Troubled => Some("/on-and-off"),
            Self::Plain | Self::Wide => None,
        }
    }
}

/// The subscriptions of a run.
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// By kind of event: those that must get it.
    expected: HashMap<&'static str, Vec<String>>,
    /// The one that is switched on and off.
    pub on_and_off: String,
}

impl Stage {
    /// Makes the subscriptions of some kinds on a server, to paths of `sink`.
    ///
    /// # Panics
    /// If one is refused.
    pub(super) async fn set(base: &str, key: &str, sink: &Sink, kinds: &[Kind]) -> Self {
        let mut stage = Self::default();
        for kind in kinds {
            stage.add(*kind, base, key, sink).await;
        }
        stage
    }

    /// Makes the subscriptions of one more kind, unless they are there.
    ///
    /// # Panics
    /// If one is refused.
    pub(super) async fn add(&mut self, kind: Kind, base: &str, key: &str, sink: &Sink) {
        if self.expected.contains_key(kind.event_type()) {
            return;
        }
        let urls = kind.paths().iter().map(|path| sink.url(path)).collect();
        let ids = subscribe_all(base, key, kind.event_type(), urls).await;
        self.expected.insert(kind.event_type(), ids);
        if let Some(path) = kind.at_times() {
            let made = subscribe_all(base, key, kind.event_type(), vec![sink.url(path)]).await;
            self.on_and_off.clone_from(&made[0]);
        }
    }

    /// The ids of the subscriptions that must get an event of this kind.
    #[must_use]
    pub(super) fn expected(&self, kind: Kind) -> &[String] {
        self.expected.get(kind.event_type()).map_or(&[], Vec::as_slice)
    }
}

/// Sends the request until the store is available.
async fn subscribe(request: reqwest::RequestBuilder) -> String {
    loop {
        let answer = request.try_clone().expect("a body in memory").send().await.expect("an answer");
        if answer.status() == reqwest::StatusCode::SERVICE_UNAVAILABLE {
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        let body: Value = answer.json().await.expect("JSON");
        return body["id"].as_str().unwrap_or_else(|| panic!("a webhook, not {body}")).to_owned();
    }
}

async fn subscribe_all(base: &str, key: &str, event_type: &'static str, urls: Vec<String>) -> Vec<String> {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let (mut made, mut tasks) = (Vec::new(), JoinSet::new());
    for url in urls {
        if tasks.len() == AT_ONCE {
            made.extend(tasks.join_next().await);
        }
        let body = json!({"event_type": event_type, "webhook_url": url, "retry_schedule": [1, 1, 1],
                "timeout_seconds": TIMEOUT.as_secs()});
        let request = client.post(format!("{base}/api/v1/webhooks/")).bearer_auth(key).json(&body);
        tasks.spawn(subscribe(request));
    }
    while let Some(one) = tasks.join_next().await {
        made.push(one);
    }
    made.into_iter().map(|one| one.expect("no panic")).collect()
}
