//! What receivers that mean ill do to the others.

use postrider_bench::hostile::{CONTROL, KINDS, Kind};
use postrider_bench::load::Load;
use serde_json::json;

use super::{Bench, Expected, median, open, seconds_p99};
use crate::figures::HOSTILE;
use crate::installation::EVENT_TYPE;
use crate::process::{Process, itself_in_the_background};

/// Events a second.
const RATE: f64 = 400.0;
const SECONDS: f64 = 10.0;
/// The first ones open connections, and are not measured.
const WARM_UP: u64 = 400;
const WARM_UP_TYPE: &str = "warm.up";
/// Of each kind, at once.
const ENDPOINTS: u64 = 100;

/// One event in ten goes to them, in turns.
fn one_in_ten_is_theirs(number: u64) -> String {
    match number {
        ..WARM_UP => WARM_UP_TYPE.to_owned(),
        _ if number.is_multiple_of(10) => format!("hostile.{}", number / 10 % ENDPOINTS),
        _ => EVENT_TYPE.to_owned(),
    }
}

/// The others' 99th percentiles of each second, in milliseconds: before there were any, and beside them.
#[derive(Default)]
struct Others {
    before: Vec<f64>,
    beside: Vec<f64>,
}

impl Others {
    fn ratio(&self) -> f64 {
        median(&self.beside) / median(&self.before)
    }
}

impl Bench {
    /// Each kind in turn; the figure is of the worst. What well-behaved endpoints do says how far that is chance.
    pub(super) async fn hostile(&mut self, rounds: usize) -> Result<(), String> {
        let mut worst: f64 = 0.0;
        for kind in std::iter::once(CONTROL).chain(KINDS) {
            let mut others = Others::default();
            for _ in 0..rounds {
                self.beside(kind, &mut others).await?;
            }
            let ratio = others.ratio();
            self.figures.note(format!("p99 beside 100 endpoints, over before: {}", kind.name), ratio);
            if kind.name != CONTROL.name {
                worst = worst.max(ratio);
            }
        }
        self.figures.add(HOSTILE, worst);
        Ok(())
    }

    async fn beside(&mut self, kind: Kind, others: &mut Others) -> Result<(), String> {
        let (server, _folder) = self.installed(false).await?;
        server.add_type(WARM_UP_TYPE).await?;
        server.subscribe(WARM_UP_TYPE, &self.receiver.url("/warm")).await?;
        for endpoint in 0..ENDPOINTS {
            server.add_type(&format!("hostile.{endpoint}")).await?;
        }
        let load = open(RATE, SECONDS);
        let expected = Expected { what: kind.name, count: for_others(load), type_of: one_in_ten_is_theirs };
        let (_, before) = self.deliver(&server, load, expected).await?;
        let hostile = Process::start(itself_in_the_background(&["hostile", "--kind", kind.name])?).await?;
        let base = hostile.base.replace("http://", &format!("{}://", kind.scheme));
        for endpoint in 0..ENDPOINTS {
            let (event_type, url) = (format!("hostile.{endpoint}"), format!("{base}/{endpoint}"));
            let body = json!({"event_type": event_type, "webhook_url": url, "timeout_seconds": 2});
            server.subscribe_as(body).await?;
        }
        self.receiver.reset().await?;
        let (_, beside) = self.deliver(&server, load, expected).await?;
        others.before.extend(seconds_p99(&before));
        others.beside.extend(seconds_p99(&beside));
        Ok(())
    }
}

/// How many events are for them.
fn for_others(load: Load) -> u64 {
    (0..load.events).map(|number| u64::from(one_in_ten_is_theirs(number) == EVENT_TYPE)).sum()
}
