//! What bulk work does to those who publish beside it.

use std::time::Duration;

use postrider_bench::sink::Stats;
use serde_json::json;

use super::{Bench, Expected, closed, median, open, seconds_p99};
use crate::figures::{DISCARD, RETENTION};
use crate::installation::{Database, EVENT_TYPE, Installation};

/// How many a second the others publish, and for how long.
const OTHERS: f64 = 400.0;
const SECONDS: f64 = 10.0;

/// Wide events: so many, to so many webhooks each.
const WIDE_EVENTS: u64 = 100;
const WIDE_TARGETS: u64 = 1_000;

/// What waits for the webhook that is deactivated, in calls of 100.
const WAITING_CALLS: u64 = 400;

impl Bench {
    /// Others beside retention that takes wide events, over others with nothing to be taken.
    pub(super) async fn retention(&mut self) -> Result<(), String> {
        let (database, _folder) = self.fresh(false).await?;
        self.receiver.reset().await?;
        self.make_wide(&database).await?;
        let without = self.others_on(&database, &[], "without retention").await?;
        let soon = [("RETENTION_DELIVERIES", "1s"), ("RETENTION_PAYLOADS", "1s")];
        let beside = self.others_on(&database, &soon, "beside retention").await?;
        let after = self.others_on(&database, &[], "after retention").await?;
        self.compare("retention", RETENTION, &[without, after], &beside);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of deliveries")]
    async fn make_wide(&mut self, database: &Database) -> Result<(), String> {
        let mut server = Installation::start(&self.binary, database, &[]).await?;
        server.subscribe(EVENT_TYPE, &self.receiver.url("/ok")).await?;
        let tenant = server.tenant("wide").await?;
        server.act_as(Some(&tenant));
        for number in 0..WIDE_TARGETS {
            server.subscribe(EVENT_TYPE, &self.receiver.url(&format!("/bulk?n={number}"))).await?;
        }
        let sent = server.publish(closed(WIDE_EVENTS, 1), |_| EVENT_TYPE.to_owned()).await;
        if !sent.refused.is_empty() {
            self.figures.faults.push(format!("wide events: refused {:?}", sent.refused));
        }
        // The same events come to each of the tenant's webhooks.
        let all = (WIDE_EVENTS * WIDE_TARGETS) as f64;
        while server.ended().await? < all {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        server.process.stop().await;
        Ok(())
    }

    /// What others see on a database as it is.
    async fn others_on(
        &mut self,
        database: &Database,
        settings: &[(&str, &str)],
        what: &'static str,
    ) -> Result<Stats, String> {
        self.receiver.reset().await?;
        let server = Installation::start(&self.binary, database, settings).await?;
        self.warm_up(&server, OTHERS).await?;
        let load = open(OTHERS, SECONDS);
        let (_, stats) = self.deliver(&server, load, Expected::all(what, load.events)).await?;
        server.process.stop().await;
        Ok(stats)
    }

    /// Others while a webhook is deactivated for which much waits, over others before and after it.
    pub(super) async fn discard(&mut self) -> Result<(), String> {
        let (mut server, _folder) = self.installed(true).await?;
        self.warm_up(&server, OTHERS).await?;
        let tenant = server.tenant("busy").await?;
        server.act_as(Some(&tenant));
        // Nobody listens there.
        let webhook = server.subscribe(EVENT_TYPE, "http://127.0.0.1:1025/busy").await?;
        let sent = server.publish(closed(WAITING_CALLS, 100), |_| EVENT_TYPE.to_owned()).await;
        if !sent.refused.is_empty() {
            self.figures.faults.push(format!("a busy webhook: refused {:?}", sent.refused));
        }
        server.act_as(None);
        let load = open(OTHERS, SECONDS);
        let (_, before) = self.deliver(&server, load, Expected::all("before a discard", load.events)).await?;
        self.receiver.reset().await?;
        let path = format!("/api/v1/webhooks/{webhook}/");
        let deactivate = server.change(&tenant, &path, json!({"is_active": false}));
        let (deactivated, beside) = tokio::join!(
            async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let begun = std::time::Instant::now();
                deactivate.await.map(|_| begun.elapsed())
            },
            async {
                let sent = server.publish(load, |_| EVENT_TYPE.to_owned()).await;
                (sent, self.receiver.wait_for("/ok", load.events).await)
            }
        );
        let (sent, stats) = beside;
        let beside = stats?;
        self.check("beside a discard", &sent, &beside, load.events);
        self.figures.note("deactivating a webhook with 40,000 pending, s", deactivated?.as_secs_f64());
        self.receiver.reset().await?;
        let (_, after) = self.deliver(&server, load, Expected::all("after a discard", load.events)).await?;
        self.compare("a discard", DISCARD, &[before, after], &beside);
        Ok(())
    }

    /// The machine of before is not that of half a minute later: there are quiet seconds on both sides.
    fn compare(&mut self, what: &str, target: crate::figures::Target, without: &[Stats], beside: &Stats) {
        for (when, stats) in ["before", "after"].iter().zip(without) {
            self.figures.note(format!("p99 {when} {what}, median of its seconds, ms"), median(&seconds_p99(stats)));
        }
        let quiet: Vec<f64> = without.iter().flat_map(seconds_p99).collect();
        let (quiet, beside) = (median(&quiet), median(&seconds_p99(beside)));
        self.figures.note(format!("p99 without {what}, median of its seconds, ms"), quiet);
        self.figures.note(format!("p99 beside {what}, median of its seconds, ms"), beside);
        self.figures.add(target, beside / quiet);
    }
}
