//! How much goes through, as a share of what a bare client reaches.

use super::{Bench, Expected, closed, rate};
use crate::figures::{BATCH, CPU, FAN_OUT, POSTGRES, SPEED, SQLITE, SUBSCRIPTIONS};
use crate::installation::EVENT_TYPE;
use crate::process::cpu_of_tree;

/// Events of a run one by one.
const EVENTS: u64 = 30_000;

/// Event types of others, so that ten thousand subscriptions are known and one matches.
const OTHER_TENANTS: usize = 20;
const SUBSCRIPTIONS_EACH: usize = 500;

impl Bench {
    /// One by one on SQLite: what the others are compared with.
    pub(super) async fn measure_most(&mut self) -> Result<(), String> {
        let (server, _folder) = self.installed(false).await?;
        let cpu = server.process.cpu();
        let (sent, stats) = self.deliver(&server, closed(EVENTS, 1), Expected::all("one by one", EVENTS)).await?;
        #[expect(clippy::cast_precision_loss, reason = "a small constant")]
        let cpu_us = (server.process.cpu() - cpu) * 1e6 / EVENTS as f64;
        self.most = rate(&sent, &stats);
        self.figures.add(SQLITE, self.most / self.ceiling.rate);
        self.figures.add(CPU, cpu_us / self.ceiling.cpu_us);
        self.figures.add(SPEED, server.process.memory().1);
        self.figures.note("SQLite, events/s one by one", self.most);
        self.figures.note("SQLite, µs of CPU a delivered event", cpu_us);
        server.process.stop().await;
        Ok(())
    }

    pub(super) async fn throughput(&mut self) -> Result<(), String> {
        if self.postgres.is_some() {
            self.on_postgres().await?;
        }
        self.batches().await?;
        self.fan_out().await
    }

    async fn on_postgres(&mut self) -> Result<(), String> {
        let (server, _folder) = self.installed(true).await?;
        let (own, databases) = (server.process.cpu(), self.postgres_pid.map_or(0.0, cpu_of_tree));
        let (sent, stats) = self.deliver(&server, closed(EVENTS, 1), Expected::all("PostgreSQL", EVENTS)).await?;
        #[expect(clippy::cast_precision_loss, reason = "a small constant")]
        let each = |seconds: f64| seconds * 1e6 / EVENTS as f64;
        self.figures.add(POSTGRES, rate(&sent, &stats) / self.ceiling.rate);
        self.figures.note("PostgreSQL, events/s one by one", rate(&sent, &stats));
        self.figures.note("PostgreSQL, µs of CPU a delivered event: node", each(server.process.cpu() - own));
        if let Some(id) = self.postgres_pid {
            let databases = each(cpu_of_tree(id) - databases);
            self.figures.note("PostgreSQL, µs of CPU a delivered event: database", databases);
        }
        server.process.stop().await;
        Ok(())
    }

    async fn batches(&mut self) -> Result<(), String> {
        let (server, _folder) = self.installed(false).await?;
        let load = postrider_bench::load::Load { concurrency: 10, ..closed(600, 100) };
        let (sent, stats) = self.deliver(&server, load, Expected::all("batches", 60_000)).await?;
        self.figures.add(BATCH, rate(&sent, &stats) / self.ceiling.rate);
        self.figures.note("SQLite, events/s in batches of 100", rate(&sent, &stats));
        server.process.stop().await;
        Ok(())
    }

    async fn fan_out(&mut self) -> Result<(), String> {
        let (server, _folder) = self.installed(false).await?;
        for endpoint in 1..10 {
            server.subscribe(EVENT_TYPE, &self.receiver.url(&format!("/ok?e={endpoint}"))).await?;
        }
        let (sent, stats) = self.deliver(&server, closed(6_000, 1), Expected::all("fan-out", 60_000)).await?;
        self.figures.add(FAN_OUT, rate(&sent, &stats) / self.ceiling.rate);
        self.figures.note("SQLite, deliveries/s in a fan-out of 10", rate(&sent, &stats));
        server.process.stop().await;
        Ok(())
    }

    /// Making them takes longer than measuring: once for all rounds.
    pub(super) async fn many_subscriptions(&mut self, rounds: usize) -> Result<(), String> {
        let (mut server, _folder) = self.installed(false).await?;
        for tenant in 0..OTHER_TENANTS {
            let tenant = server.tenant(&format!("tenant {tenant}")).await?;
            server.act_as(Some(&tenant));
            for n in 0..SUBSCRIPTIONS_EACH {
                server.subscribe(EVENT_TYPE, &self.receiver.url(&format!("/other/{n}"))).await?;
            }
        }
        server.act_as(None);
        for _ in 0..rounds {
            self.measure_ceiling().await?;
            self.measure_most().await?;
            self.receiver.reset().await?;
            let expected = Expected::all("10,000 subscriptions", EVENTS);
            let (sent, stats) = self.deliver(&server, closed(EVENTS, 1), expected).await?;
            self.figures.add(SUBSCRIPTIONS, self.most / rate(&sent, &stats));
        }
        server.process.stop().await;
        Ok(())
    }
}
