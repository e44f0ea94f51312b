//! How long an event takes from its publish to its arrival, at rates that do not depend on the answer.

use super::{Bench, Expected, open};
use crate::charts::{Axes, Series, draw};
use crate::figures::{P50_400, P50_THIRD, P99_400, P99_THIRD};

const SECONDS: f64 = 6.0;

impl Bench {
    pub(super) async fn latency(&mut self) -> Result<(), String> {
        let third = self.most * 0.3;
        let mut lines = Vec::new();
        for (rate, [p50, p99]) in [(400.0, [P50_400, P99_400]), (third, [P50_THIRD, P99_THIRD])] {
            let (server, _folder) = self.installed(false).await?;
            self.warm_up(&server, rate).await?;
            let load = open(rate, SECONDS);
            let (_, stats) = self.deliver(&server, load, Expected::all("open loop", load.events)).await?;
            self.figures.add(p50, stats.latency.p50_ms);
            self.figures.add(p99, stats.latency.p99_ms);
            lines.push(Series { name: format!("{rate:.0} events/s"), points: stats.percentiles });
            server.process.stop().await;
        }
        let axes = Axes { title: "Publish to arrival", x: "percent of the events", y: "milliseconds at most" };
        for line in &mut lines {
            // The last percent would flatten the rest.
            line.points.retain(|(percent, _)| *percent <= 99.9);
        }
        draw(&self.out.join("latency.svg"), &axes, &lines)
    }
}
