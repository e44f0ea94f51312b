//! Publishes events: as fast as answers come (closed loop), or at a rate whatever comes (open loop).

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::latency::Latencies;
use crate::stamp;

/// How late an event may be sent and still count from when it was sent. Beyond, it counts from when it
/// should have been: a slow server must not slow down the clock.
const LATE: Duration = Duration::from_millis(2);

/// How much is published, and how.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many events.
    pub events: u64,
    /// How many at once, at most.
    pub concurrency: usize,
    /// Calls a second; without, the next begins when one ends.
    pub rate: Option<f64>,
    /// Events of one call; of the last, what is left.
    pub batch: u64,
    /// The number of the first event.
    pub first: u64,
}

/// Sends one call over a connection of its own.
pub trait Publisher: Send + 'static {
    /// Publishes events of these numbers, all stamped with this time; whether all were accepted, or why not.
    fn publish(&mut self, numbers: Range<u64>, sent_at: u64) -> impl Future<Output = Result<(), String>> + Send;
}

/// Path and body of the call that publishes events of these numbers: the first, or all as a batch.
#[must_use]
pub fn call(
    numbers: Range<u64>,
    sent_at: u64,
    is_batch: bool,
    type_of: impl Fn(u64) -> String,
) -> (&'static str, String) {
    let event =
        |number| format!(r#"{{"event_type":"{}","payload":{}}}"#, type_of(number), stamp::payload(number, sent_at));
    if is_batch {
        let events: Vec<String> = numbers.map(event).collect();
        ("/api/v1/events/batch/", format!(r#"{{"events":[{}]}}"#, events.join(",")))
    } else {
        ("/api/v1/events/", event(numbers.start))
    }
}

/// What became of the calls.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Events accepted.
    pub accepted: u64,
    /// Calls that were not, by reason.
    pub refused: BTreeMap<String, u64>,
    /// From call to answer, of those that were.
    pub latencies: Latencies,
    /// From the first call to the last answer.
    pub took: Duration,
    /// When the first was sent, in nanoseconds since 1970.
    pub begun_at: u64,
}

impl Sent {
    /// Calls that were made.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.latencies.summary().count + self.refused.values().sum::<u64>()
    }

    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.latencies.add(&other.latencies);
        for (reason, times) in other.refused {
            *self.refused.entry(reason).or_default() += times;
        }
    }
}

/// Sends all calls with publishers made by `make`, one for each that may be under way.
pub async fn run<P: Publisher>(load: Load, make: impl Fn() -> P) -> Sent {
    let (begun, begun_at) = (Instant::now(), stamp::now());
    let calls = Arc::new(Calls { next: AtomicU64::new(0), due: Semaphore::new(0) });
    if let Some(rate) = load.rate {
        let calls = Arc::clone(&calls);
        tokio::task::spawn_blocking(move || calls.pace(load, rate, begun));
    }
    let mut workers = JoinSet::new();
    for _ in 0..load.concurrency {
        workers.spawn(work(load, make(), Arc::clone(&calls), begun));
    }
    let mut sent = Sent::default();
    while let Some(done) = workers.join_next().await {
        sent.add(done.unwrap_or_default());
    }
    Sent { took: begun.elapsed(), begun_at, ..sent }
}

impl Load {
    fn calls(&self) -> u64 {
        self.events.div_ceil(self.batch)
    }
}

/// The calls that are still to be made.
struct Calls {
    next: AtomicU64,
    /// A permit for each that is to be made by now; then one for each worker, to end.
    due: Semaphore,
}

impl Calls {
    /// Lets calls begin at their times. On a thread of its own: the timers of the runtime have milliseconds, and end up to two
    /// of them late.
    #[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
    fn pace(&self, load: Load, rate: f64, begun: Instant) {
        for call in 0..load.calls() {
            std::thread::sleep((begun + place(call, rate)).saturating_duration_since(Instant::now()));
            self.due.add_permits(1);
        }
        self.due.add_permits(load.concurrency);
    }

    /// The number of the next, once it is to be made.
    async fn next(&self, load: Load) -> Option<u64> {
        if load.rate.is_some() {
            self.due.acquire().await.ok()?.forget();
        }
        let call = self.next.fetch_add(1, Ordering::Relaxed);
        (call < load.calls()).then_some(call)
    }
}

async fn work<P: Publisher>(load: Load, mut publisher: P, calls: Arc<Calls>, begun: Instant) -> Sent {
    let mut sent = Sent::default();
    while let Some(call) = calls.next(load).await {
        let late = load.rate.map_or(Duration::ZERO, |rate| (begun + place(call, rate)).elapsed());
        let late = if late > LATE { late } else { Duration::ZERO };
        let sent_at = stamp::now() - u64::try_from(late.as_nanos()).unwrap_or(0);
        let first = call * load.batch;
        let count = load.batch.min(load.events - first);
        let numbers = load.first + first..load.first + first + count;
        let begun = Instant::now();
        match publisher.publish(numbers, sent_at).await {
            Ok(()) => {
                sent.accepted += count;
                sent.latencies.record(begun.elapsed() + late);
            }
            Err(reason) => *sent.refused.entry(reason).or_default() += 1,
        }
    }
    sent
}

/// When a call is to be made, from the beginning.
#[expect(clippy::cast_precision_loss, reason = "calls are far fewer than 2^53")]
fn place(call: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(call as f64 / rate)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<u64>>>);

    impl Publisher for Told {
        async fn publish(&mut self, numbers: Range<u64>, _: u64) -> Result<(), String> {
            if numbers.start == 6 {
                return Err("no".to_owned());
            }
            self.0.lock().expect("not poisoned").extend(numbers);
            Ok(())
        }
    }

    #[tokio::test]
    async fn every_number_is_sent_once() {
        let told = Told::default();
        let load = Load { events: 9, concurrency: 3, rate: Some(10_000.0), batch: 2, first: 2 };
        let sent = run(load, || told.clone()).await;
        let mut numbers = told.0.lock().expect("not poisoned").clone();
        numbers.sort_unstable();
        assert_eq!(numbers, [2, 3, 4, 5, 8, 9, 10]);
        assert_eq!((sent.calls(), sent.latencies.summary().count), (5, 4));
        assert_eq!((sent.accepted, sent.refused), (7, BTreeMap::from([("no".to_owned(), 1)])));
    }

    #[test]
    fn an_open_loop_keeps_its_rate() {
        assert_eq!(place(400, 400.0), Duration::from_secs(1));
    }

    #[test]
    fn a_call_carries_one_event_or_a_batch() {
        let type_of = |number| format!("bench.{number}");
        let parse = |body: String| serde_json::from_str::<serde_json::Value>(&body).unwrap_or_default();
        let (path, body) = call(3..4, 1, false, type_of);
        let event = parse(body);
        assert_eq!((path, &event["event_type"]), ("/api/v1/events/", &"bench.3".into()));
        assert_eq!(event["payload"]["bench_n"], 3);
        let (path, body) = call(3..5, 1, true, type_of);
        let events = parse(body)["events"].clone();
        assert_eq!((path, &events[1]["event_type"]), ("/api/v1/events/batch/", &"bench.4".into()));
        assert_eq!(events.as_array().map(Vec::len), Some(2));
    }
}
