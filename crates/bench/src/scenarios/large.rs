//! What it costs when much lies in the table: made by publishing it.

use std::time::Duration;

use postrider_bench::load::Load;

use super::{Bench, Expected, closed, rate};
use crate::charts::{Axes, Series, draw};
use crate::figures::{FINISHED, PENDING, PENDING_MEMORY, START_FULL, median};
use crate::installation::{EVENT_TYPE, Installation};

/// Events of a run between the steps.
const EVENTS: u64 = 30_000;
const DEAD_ENDPOINTS: u64 = 100;

/// How often each is measured: making the states takes too long to do it more than once.
const ROUNDS: usize = 3;

/// What each costs, over the median without.
fn costs_of(none: [f64; ROUNDS], shares: [f64; ROUNDS]) -> Vec<f64> {
    let none = median(&none);
    shares.into_iter().map(|share| none / share).collect()
}

fn dead(number: u64) -> String {
    format!("dead.{}", number % DEAD_ENDPOINTS)
}

impl Bench {
    pub(super) async fn large(&mut self) -> Result<(), String> {
        self.pending().await?;
        self.finished().await
    }

    /// Publishes one by one, several times, and says what share of the ceiling went through: minutes lie between the steps,
    /// and no two are alike.
    async fn step(&mut self, server: &Installation, what: &'static str) -> Result<[f64; ROUNDS], String> {
        let mut shares = [0.0; ROUNDS];
        for each in &mut shares {
            self.measure_ceiling().await?;
            self.receiver.reset().await?;
            let (sent, stats) = self.deliver(server, closed(EVENTS, 1), Expected::all(what, EVENTS)).await?;
            *each = rate(&sent, &stats) / self.ceiling.rate;
        }
        Ok(shares)
    }

    async fn pending(&mut self) -> Result<(), String> {
        let (server, _folder) = self.installed(false).await?;
        for endpoint in 0..DEAD_ENDPOINTS {
            server.add_type(&dead(endpoint)).await?;
            // Nobody listens there.
            server.subscribe(&dead(endpoint), &format!("http://127.0.0.1:1025/{endpoint}")).await?;
        }
        let none = self.step(&server, "nothing pending").await?;
        let mut points = vec![(0.0, 1.0)];
        let mut costs = Vec::new();
        let mut pending = 0.0;
        for hundreds in [1_u32, 4, 5] {
            let load = Load { concurrency: 8, ..closed(u64::from(hundreds) * 1000, 100) };
            let sent = server.publish(load, dead).await;
            if !sent.refused.is_empty() {
                self.figures.faults.push(format!("pending: refused {:?}", sent.refused));
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
            costs = costs_of(none, self.step(&server, "much pending").await?);
            pending += f64::from(hundreds) / 10.0;
            points.push((pending, median(&costs)));
        }
        self.figures.note("pending at the end", server.pending().await?);
        costs.into_iter().for_each(|cost| self.figures.add(PENDING, cost));
        self.figures.add(PENDING_MEMORY, server.process.memory().0);
        let axes = Axes { title: "Cost of a delivery", x: "million pending to dead endpoints", y: "× with none" };
        draw(&self.out.join("backlog.svg"), &axes, &[Series { name: "SQLite".to_owned(), points }])?;
        drop(server);
        Ok(())
    }

    async fn finished(&mut self) -> Result<(), String> {
        let (database, _folder) = self.fresh(false).await?;
        self.receiver.reset().await?;
        let server = Installation::start(&self.binary, &database, &[]).await?;
        server.subscribe(EVENT_TYPE, &self.receiver.url("/ok")).await?;
        let none = self.step(&server, "nothing finished").await?;
        server.add_type("bulk").await?;
        for endpoint in 0..10 {
            server.subscribe("bulk", &self.receiver.url(&format!("/bulk?e={endpoint}"))).await?;
        }
        let load = Load { concurrency: 8, ..closed(10_000, 100) };
        let sent = server.publish(load, |_| "bulk".to_owned()).await;
        let bulk = self.receiver.wait_for("/bulk", 10_000_000).await?;
        self.check("ten million", &sent, &bulk, 10_000_000);
        let shares = self.step(&server, "ten million finished").await?;
        costs_of(none, shares).into_iter().for_each(|cost| self.figures.add(FINISHED, cost));
        server.process.stop().await;
        for _ in 0..ROUNDS {
            let server = Installation::start(&self.binary, &database, &[]).await?;
            self.figures.add(START_FULL, server.process.took.as_secs_f64() * 1e3);
            server.process.stop().await;
        }
        Ok(())
    }
}
