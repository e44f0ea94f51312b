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

/// The others' 99th percentile, in milliseconds, the median of the seconds: before there were any, and beside them.
struct Run {
    kind: &'static str,
    before: f64,
    beside: f64,
}

/// For each run, what it was beside them over what it was without: before this run and before the next one, for the
/// machine changes within half a minute.
fn ratios(runs: &[Run]) -> Vec<(&'static str, f64)> {
    let next = runs.iter().skip(1).chain(runs.last());
    runs.iter().zip(next).map(|(run, next)| (run.kind, run.beside / run.before.midpoint(next.before))).collect()
}

/// All there are, and one to compare them with.
pub(super) fn kinds() -> impl Iterator<Item = Kind> {
    std::iter::once(CONTROL).chain(KINDS)
}

impl Bench {
    /// Each of these in turn, round after round: a bad minute of the machine is part of one round of a kind. The figure is of
    /// the worst. What well-behaved endpoints do says how far that is chance.
    pub(super) async fn hostile(&mut self, rounds: usize, kinds: &[Kind]) -> Result<(), String> {
        let mut runs = Vec::new();
        for _ in 0..rounds {
            for kind in kinds {
                runs.push(self.beside(*kind).await?);
            }
        }
        let ratios = ratios(&runs);
        let mut worst: f64 = 0.0;
        for kind in kinds {
            let of_kind: Vec<_> = ratios.iter().filter(|run| run.0 == kind.name).map(|run| run.1).collect();
            if kind.name != CONTROL.name {
                worst = worst.max(median(&of_kind));
            }
            for ratio in of_kind {
                self.figures.note(format!("p99 beside 100 endpoints, over before: {}", kind.name), ratio);
            }
        }
        self.figures.add(HOSTILE, worst);
        Ok(())
    }

    async fn beside(&mut self, kind: Kind) -> Result<Run, String> {
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
        let [before, beside] = [before, beside].map(|stats| median(&seconds_p99(&stats)));
        Ok(Run { kind: kind.name, before, beside })
    }
}

/// How many events are for them.
fn for_others(load: Load) -> u64 {
    (0..load.events).map(|number| u64::from(one_in_ten_is_theirs(number) == EVENT_TYPE)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_compared_with_what_was_on_both_sides_of_it() {
        let run = |kind, before, beside| Run { kind, before, beside };
        let runs = [run("a", 1.0, 3.0), run("b", 2.0, 3.0), run("a", 4.0, 2.0)];
        assert_eq!(ratios(&runs), [("a", 2.0), ("b", 1.0), ("a", 0.5)]);
        assert_eq!(ratios(&[]), []);
    }
}
