//! What receivers that mean ill do to the others.

use postrider_bench::hostile::{KINDS, Kind};
use serde_json::json;

use super::{Bench, Expected, median, open};
use crate::figures::HOSTILE;
use crate::installation::EVENT_TYPE;
use crate::process::{Process, itself};

/// Events a second.
const RATE: f64 = 400.0;
const SECONDS: f64 = 8.0;
/// Of each kind, at once.
const ENDPOINTS: u64 = 100;

/// One event in ten goes to them, in turns.
fn one_in_ten_is_theirs(number: u64) -> String {
    match number % 10 {
        0 => format!("hostile.{}", number / 10 % ENDPOINTS),
        _ => EVENT_TYPE.to_owned(),
    }
}

impl Bench {
    /// Each kind in turn; the figure is of the kind whose median is the worst.
    pub(super) async fn hostile(&mut self, rounds: usize) -> Result<(), String> {
        let mut worst = vec![0.0];
        for kind in KINDS {
            let mut ratios = Vec::new();
            for _ in 0..rounds {
                let ratio = self.beside(kind).await?;
                self.figures.note(format!("p99 beside 100 endpoints, over before: {}", kind.name), ratio);
                ratios.push(ratio);
            }
            if median(&ratios) > median(&worst) {
                worst = ratios;
            }
        }
        for ratio in worst {
            self.figures.add(HOSTILE, ratio);
        }
        Ok(())
    }

    /// The others' 99th percentile beside receivers of a kind, over that before there were any.
    async fn beside(&mut self, kind: Kind) -> Result<f64, String> {
        let (server, _folder) = self.installed(false).await?;
        for endpoint in 0..ENDPOINTS {
            server.add_type(&format!("hostile.{endpoint}")).await?;
        }
        let load = open(RATE, SECONDS);
        let count = load.events - load.events.div_ceil(10);
        let expected = Expected { what: kind.name, count, type_of: one_in_ten_is_theirs };
        let (_, before) = self.deliver(&server, load, expected).await?;
        let hostile = Process::start(itself(&["hostile", "--kind", kind.name])?).await?;
        let base = hostile.base.replace("http://", &format!("{}://", kind.scheme));
        for endpoint in 0..ENDPOINTS {
            let (event_type, url) = (format!("hostile.{endpoint}"), format!("{base}/{endpoint}"));
            let body = json!({"event_type": event_type, "webhook_url": url, "timeout_seconds": 2});
            server.subscribe_as(body).await?;
        }
        self.receiver.reset().await?;
        let (_, beside) = self.deliver(&server, load, expected).await?;
        Ok(beside.latency.p99_ms / before.latency.p99_ms)
    }
}
