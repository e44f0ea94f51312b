//! Publishers that go on until each of their events is accepted, and journal what they were promised.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::journal::Journal;
use super::lock;
use super::scenarios::Load;
use super::stage::Kind;

/// How many publish at once.
const PUBLISHERS: usize = 8;
/// Between two events of a publisher under a light load: all together publish a hundred a second at most.
const LIGHT_PAUSE: Duration = Duration::from_millis(80);
/// Between two tries of one event.
const AGAIN: Duration = Duration::from_millis(20);

/// An event that was answered with 202, or with 200 because it had been accepted before.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    /// Its id.
    pub id: String,
    /// What it was for.
    pub kind: Kind,
}

/// Running publishers.
pub(super) struct Producer {
    publishers: JoinSet<Vec<Accepted>>,
    shared: Arc<Shared>,
}

struct Shared {
    journal: Journal,
    client: reqwest::Client,
    key: String,
    bases: Arc<Mutex<Vec<String>>>,
    load: Load,
    next: AtomicUsize,
    /// How many of the next events are to be wide.
    wide: AtomicUsize,
    accepted: AtomicUsize,
    is_paused: AtomicBool,
    stop: AtomicBool,
    /// What was answered that should not have been.
    wrong: Mutex<Vec<String>>,
}

impl Producer {
    /// Starts publishing to `bases`, which may change meanwhile, with the journal in `folder`.
    ///
    /// # Panics
    /// If no client can be made.
    #[must_use]
    pub(super) fn start(folder: &Path, key: &str, bases: Arc<Mutex<Vec<String>>>, load: Load) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build();
        let shared = Arc::new(Shared {
            journal: Journal::create(&folder.join("accepted")),
            client: client.expect("a client"),
            key: key.to_owned(),
            bases,
            load,
            next: AtomicUsize::new(0),
            wide: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            is_paused: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            wrong: Mutex::default(),
        });
        let mut publishers = JoinSet::new();
        for _ in 0..PUBLISHERS {
            let shared = Arc::clone(&shared);
            publishers.spawn(async move {
                let mut accepted = Vec::new();
                while !shared.stop.load(Ordering::Relaxed) {
                    accepted.push(shared.publish_next().await);
                    shared.rest().await;
                }
                accepted
            });
        }
        Self { publishers, shared }
    }

    /// How many events were accepted so far.
    #[must_use]
    pub(super) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Pauses or resumes publishing; an event that is being published is finished.
    pub(super) fn pause(&self, is_paused: bool) {
        self.shared.is_paused.store(is_paused, Ordering::Relaxed);
    }

    /// Makes one of the next events a wide one.
    pub(super) fn publish_wide(&self) {
        self.shared.wide.fetch_add(1, Ordering::Relaxed);
    }

    /// Publishes no more; what was accepted, and what was answered that should not have been.
    ///
    /// # Panics
    /// If a publisher panicked.
    pub(super) async fn stop(self) -> (Vec<Accepted>, Vec<String>) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let accepted = self.publishers.join_all().await.into_iter().flatten().collect();
        let wrong = std::mem::take(&mut *lock(&self.shared.wrong));
        (accepted, wrong)
    }
}

impl Shared {
    /// Between two events of a publisher.
    async fn rest(&self) {
        if self.load == Load::Light {
            tokio::time::sleep(LIGHT_PAUSE).await;
        }
        while self.is_paused.load(Ordering::Relaxed) {
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Publishes the next event until it is accepted, and has that on disk.
    async fn publish_next(&self) -> Accepted {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let is_wide =
            self.wide.try_update(Ordering::Relaxed, Ordering::Relaxed, |wanted| wanted.checked_sub(1)).is_ok();
        let kind = if is_wide { Kind::Wide } else { Kind::of(number, self.load) };
        let body = json!({
            "event_type": kind.event_type(),
            "payload": {"number": number, "note": "x".repeat(400)},
            "idempotency_key": format!("k{number}"),
        });
        for turn in number.. {
            let base = {
                let bases = lock(&self.bases);
                bases[turn % bases.len()].clone()
            };
            if let Some(id) = self.publish(&base, &body).await {
                self.journal.write(json!({"number": number, "id": id, "type": kind.event_type()}).to_string()).await;
                self.accepted.fetch_add(1, Ordering::Relaxed);
                return Accepted { id, kind };
            }
            tokio::time::sleep(AGAIN).await;
        }
        unreachable!("there is always another turn")
    }

    /// The id of the event, if it was accepted.
    async fn publish(&self, base: &str, body: &Value) -> Option<String> {
        let request = self.client.post(format!("{base}/api/v1/events/")).bearer_auth(&self.key).json(body);
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let answer: Value = response.json().await.ok()?;
        match status {
            200 | 202 => answer["id"].as_str().map(str::to_owned),
            503 => None,
            _ => {
                lock(&self.wrong).push(format!("a publish got {status}: {answer}"));
                None
            }
        }
    }
}
