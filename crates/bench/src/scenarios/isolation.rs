//! What some endpoints do to the others.

use postrider_bench::load::{Load, Sent};
use postrider_bench::sink::Stats;

use super::{Bench, Expected, median, open, seconds_p99};
use crate::charts::{Axes, Series, draw};
use crate::figures::{BURST, HANGING};
use crate::installation::{EVENT_TYPE, Installation};

/// Longer than the timeout of an attempt, so that timeouts and what follows are part of it.
const SECONDS: f64 = 18.0;
/// Endpoints that never answer.
const HANGING_ENDPOINTS: u64 = 10;

const BURST_EVENTS: u64 = 100_000;
/// How many a second the others publish.
const OTHERS: f64 = 400.0;
/// How long they do before it, behind it, and after it.
const QUIET_SECONDS: f64 = 10.0;
/// And beside it.
const BESIDE_SECONDS: f64 = 12.0;

fn one_in_ten_hangs(number: u64) -> String {
    match number % 10 {
        0 => format!("hanging.{}", number / 10 % HANGING_ENDPOINTS),
        _ => EVENT_TYPE.to_owned(),
    }
}

impl Bench {
    pub(super) async fn hanging(&mut self) -> Result<(), String> {
        let load = open(self.most * 0.3, SECONDS);
        let well = load.events - load.events.div_ceil(10);
        let mut lines = Vec::new();
        let mut p99 = Vec::new();
        for hang in [false, true] {
            let (server, _folder) = self.installed(false).await?;
            for endpoint in 0..HANGING_ENDPOINTS {
                let event_type = format!("hanging.{endpoint}");
                server.add_type(&event_type).await?;
                if hang {
                    server.subscribe(&event_type, &self.receiver.url(&format!("/hang/{endpoint}"))).await?;
                }
            }
            let expected = Expected { what: "hanging endpoints", count: well, type_of: one_in_ten_hangs };
            let (_, stats) = self.deliver(&server, load, expected).await?;
            p99.push(stats.latency.p99_ms);
            lines.push(series(if hang { "10 % to hanging endpoints" } else { "without" }, &stats));
            if hang {
                self.check_hanging(&server, well).await?;
            }
            // In-flight requests would hold up the end.
            drop(server);
        }
        self.figures.note("p99 without hanging endpoints, ms", p99[0]);
        self.figures.note("p99 with hanging endpoints, ms", p99[1]);
        self.figures.add(HANGING, p99[1] / p99[0]);
        let axes = Axes { title: "Events that arrived at healthy endpoints", x: "second", y: "events" };
        draw(&self.out.join("hanging.svg"), &axes, &lines)
    }

    /// Endpoints that hang have answered nothing: only what went to the others has ended.
    async fn check_hanging(&mut self, server: &Installation, well: u64) -> Result<(), String> {
        let ended = server.ended().await?;
        #[expect(clippy::cast_precision_loss, reason = "a number of events")]
        let expected = well as f64;
        if (ended - expected).abs() > 0.5 {
            self.figures.faults.push(format!("hanging endpoints: {ended} deliveries have ended, {expected} should"));
        }
        Ok(())
    }

    pub(super) async fn burst(&mut self) -> Result<(), String> {
        let (mut server, _folder) = self.installed(false).await?;
        self.warm_up(&server, OTHERS).await?;
        let before = self.others(&server, "before a burst").await?;
        let tenant = server.tenant("bursts").await?;
        server.act_as(Some(&tenant));
        server.subscribe(EVENT_TYPE, &self.receiver.url("/slow?ms=100")).await?;
        let bursting = burst_of(&server);
        server.act_as(None);
        let beside = self.others_beside(&server, bursting).await?;
        // Held up while others publish, much of it came only afterwards: now all of it waits.
        self.figures.note("pending behind a burst", server.accepted().await? - server.ended().await?);
        self.receiver.reset().await?;
        let behind = self.others(&server, "behind a burst").await?;
        drop(server);
        let after = self.after_a_burst().await?;
        let [before, beside, behind, after] =
            [("before", before), ("beside", beside), ("behind", behind), ("after", after)].map(|(when, stats)| {
                self.figures.note(format!("p99 {when} a burst, ms"), stats.latency.p99_ms);
                let seconds = seconds_p99(&stats);
                self.figures.note(format!("p99 {when} a burst, median of its seconds, ms"), median(&seconds));
                seconds
            });
        // The machine of before is not that of half a minute later: there are quiet seconds on both sides.
        let without = median(&[before, after].concat());
        self.figures.add(BURST, median(&beside).max(median(&behind)) / without);
        Ok(())
    }

    /// What the others see for a while, with nothing else new.
    async fn others(&mut self, server: &Installation, when: &'static str) -> Result<Stats, String> {
        let load = open(OTHERS, QUIET_SECONDS);
        self.deliver(server, load, Expected::all(when, load.events)).await.map(|(_, stats)| stats)
    }

    /// What they see while the burst comes.
    async fn others_beside(
        &mut self,
        server: &Installation,
        bursting: impl Future<Output = Sent>,
    ) -> Result<Stats, String> {
        self.receiver.reset().await?;
        let steady = open(OTHERS, BESIDE_SECONDS);
        let before = server.accepted().await?;
        let (burst, (sent, taken, beside)) = tokio::join!(bursting, async {
            let sent = server.publish(steady, |_| EVENT_TYPE.to_owned()).await;
            (sent, server.accepted().await, self.receiver.wait_for("/ok", steady.events).await)
        });
        let (taken, beside) = (taken?, beside?);
        self.check("beside a burst", &sent, &beside, steady.events);
        if burst.accepted != BURST_EVENTS {
            self.figures.faults.push(format!("a burst: {} accepted, refused {:?}", burst.accepted, burst.refused));
        }
        #[expect(clippy::cast_precision_loss, reason = "numbers of events")]
        let taken = taken - before - steady.events as f64;
        self.figures.note("of a burst, accepted beside others, events/s", taken / BESIDE_SECONDS);
        Ok(beside)
    }

    /// What they see of a server that knows of no burst.
    async fn after_a_burst(&mut self) -> Result<Stats, String> {
        let (server, _folder) = self.installed(false).await?;
        self.warm_up(&server, OTHERS).await?;
        self.others(&server, "after a burst").await
    }
}

/// Publishes many events as fast as they are taken.
fn burst_of(server: &Installation) -> impl Future<Output = Sent> + use<> {
    let load = Load { events: BURST_EVENTS, concurrency: 4, rate: None, batch: 100, first: 0 };
    server.publishing(load, |_| EVENT_TYPE.to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "seconds and events of one run")]
fn series(name: &str, stats: &Stats) -> Series {
    let whole = stats.whole_seconds();
    let first = whole.first().map_or(0, |second| second.at);
    let points = whole.iter().map(|second| ((second.at - first) as f64, second.count as f64)).collect();
    Series { name: name.to_owned(), points }
}
