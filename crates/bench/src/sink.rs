//! A receiver that counts what comes, what comes twice, and how long it took.
//!
//! `POST /ok` answers 200, `/slow?ms=N` after so many milliseconds, `/hang` never. `e=K` in the query
//! names an endpoint of its own. `GET /stats?path=/ok` says what came, `POST /reset` forgets it.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::latency::{Latencies, Summary};
use crate::stamp;

/// What one path has seen.
#[derive(Default)]
struct Seen {
    /// By endpoint, a bit for each number.
    numbers: HashMap<String, Vec<u64>>,
    unique: u64,
    doubled: u64,
    unstamped: u64,
    latencies: Latencies,
    /// By whole second since the first.
    seconds: BTreeMap<u64, Latencies>,
    last_at: u64,
}

impl Seen {
    fn note(&mut self, endpoint: &str, number: u64, sent_at: u64, now: u64) {
        let bits = self.numbers.entry(endpoint.to_owned()).or_default();
        let (word, bit) = (usize::try_from(number / 64).unwrap_or(0), number % 64);
        if bits.len() <= word {
            bits.resize(word + 1, 0);
        }
        if bits[word] & (1 << bit) != 0 {
            self.doubled += 1;
            return;
        }
        bits[word] |= 1 << bit;
        self.unique += 1;
        self.last_at = now;
        let latency = Duration::from_nanos(now.saturating_sub(sent_at));
        self.latencies.record(latency);
        self.seconds.entry(now / 1_000_000_000).or_default().record(latency);
    }
}

/// What came within a second.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Second {
    /// Since 1970.
    pub at: u64,
    /// How many.
    pub count: u64,
    /// The 99th percentile of their latencies, in milliseconds.
    pub p99_ms: f64,
}

/// What a path has seen, as `GET /stats` says it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Different numbers, counted for each endpoint.
    pub unique: u64,
    /// Numbers that came again.
    pub doubled: u64,
    /// Requests without a number.
    pub unstamped: u64,
    /// From the stamp to here, of what came the first time.
    pub latency: Summary,
    /// The distribution: percent and milliseconds.
    pub percentiles: Vec<(f64, f64)>,
    /// In order.
    pub seconds: Vec<Second>,
    /// When the last new one came, in nanoseconds since 1970.
    pub last_at: u64,
}

impl Stats {
    fn of(seen: &Seen) -> Self {
        let percents = (0..100).map(f64::from).chain([99.5, 99.9, 99.99, 100.0]);
        let second = |(at, latencies): (&u64, &Latencies)| {
            let Summary { count, p99_ms, .. } = latencies.summary();
            Second { at: *at, count, p99_ms }
        };
        Self {
            unique: seen.unique,
            doubled: seen.doubled,
            unstamped: seen.unstamped,
            latency: seen.latencies.summary(),
            percentiles: percents.map(|percent| (percent, seen.latencies.percentile(percent))).collect(),
            seconds: seen.seconds.iter().map(second).collect(),
            last_at: seen.last_at,
        }
    }

    /// Without the first and the last, which are parts of one.
    #[must_use]
    pub fn whole_seconds(&self) -> &[Second] {
        self.seconds.get(1..self.seconds.len().saturating_sub(1)).unwrap_or_default()
    }
}

/// A receiver. Cheap to clone.
#[derive(Clone, Default)]
pub struct Sink(Arc<Mutex<HashMap<String, Seen>>>);

impl Sink {
    /// Takes requests for ever.
    ///
    /// # Errors
    /// The listener cannot accept.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let sink = self.clone();
            let service = service_fn(move |request| {
                let sink = sink.clone();
                async move { Ok::<_, Infallible>(sink.answer(request).await) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    }

    /// What a path has seen.
    #[must_use]
    pub fn stats(&self, path: &str) -> Stats {
        self.lock().get(path).map(Stats::of).unwrap_or_default()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let query = |name: &str| {
            let query = request.uri().query().unwrap_or_default().split('&');
            query
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
        };
        match (request.method(), path.as_str()) {
            (&Method::GET, "/stats") => return json(&self.stats(&query("path").unwrap_or_default())),
            (&Method::POST, "/reset") => {
                self.lock().clear();
                return Response::default();
            }
            _ => {}
        }
        let (endpoint, wait) = (query("e").unwrap_or_default(), query("ms").and_then(|ms| ms.parse().ok()));
        let Ok(body) = request.into_body().collect().await else { return Response::default() };
        self.note(&path, &endpoint, &body.to_bytes());
        match wait {
            _ if is_hanging(&path) => std::future::pending().await,
            Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            None => {}
        }
        Response::default()
    }

    fn note(&self, path: &str, endpoint: &str, body: &[u8]) {
        let now = stamp::now();
        let mut seen = self.lock();
        if !seen.contains_key(path) {
            seen.insert(path.to_owned(), Seen::default());
        }
        let Some(seen) = seen.get_mut(path) else { return };
        match stamp::read(body) {
            Some((number, sent_at)) => seen.note(endpoint, number, sent_at, now),
            None => seen.unstamped += 1,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether requests there are never answered.
fn is_hanging(path: &str) -> bool {
    path.split('/').nth(1) == Some("hang")
}

fn json(stats: &Stats) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(stats).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::OK;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_below_hang_is_never_answered() {
        assert_eq!(["/hang", "/hang/3", "/hanging", "/ok", "/"].map(is_hanging), [true, true, false, false, false]);
    }

    #[test]
    fn whole_seconds_lie_between_the_first_and_the_last() {
        let mut seen = Seen::default();
        for (number, second) in [7, 8, 8, 9, 10].into_iter().enumerate() {
            seen.note("", number as u64, second * 1_000_000_000, second * 1_000_000_000 + 2_000_000);
        }
        let stats = Stats::of(&seen);
        let whole: Vec<_> = stats.whole_seconds().iter().map(|second| (second.at, second.count)).collect();
        assert_eq!(whole, [(8, 2), (9, 1)]);
        assert!((stats.whole_seconds()[0].p99_ms - 2.0).abs() < 0.01);
        assert!(Stats::default().whole_seconds().is_empty());
    }

    #[test]
    fn each_number_counts_once_for_each_endpoint() {
        let sink = Sink::default();
        for (endpoint, number) in [("", 1), ("", 1), ("a", 1), ("", 200), ("", 0)] {
            sink.note("/ok", endpoint, stamp::payload(number, stamp::now()).as_bytes());
        }
        sink.note("/ok", "", b"{}");
        let stats = sink.stats("/ok");
        assert_eq!((stats.unique, stats.doubled, stats.unstamped, stats.latency.count), (4, 1, 1, 4));
        assert_eq!(sink.stats("/other").unique, 0);
    }
}
