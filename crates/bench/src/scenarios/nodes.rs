//! What a second node adds.

use super::{Bench, CONCURRENCY, Expected, rate};
use crate::figures::NODES;
use crate::installation::{EVENT_TYPE, Installation};

/// Requests that a node may have under way to one endpoint: few, so that it is the receiver that limits, as it is
/// where receivers are far away, and not the two cores of this machine.
const IN_FLIGHT: &str = "32";

impl Bench {
    pub(super) async fn nodes(&mut self) -> Result<(), String> {
        if self.postgres.is_none() {
            return Ok(());
        }
        let mut rates = Vec::new();
        for count in [1, 2] {
            let (database, _) = self.fresh(true).await?;
            self.receiver.reset().await?;
            let mut nodes = Vec::new();
            for _ in 0..count {
                nodes.push(Installation::start(&self.binary, &database, &[("TARGETS_IN_FLIGHT", IN_FLIGHT)]).await?);
            }
            nodes[0].subscribe(EVENT_TYPE, &self.receiver.url("/slow?ms=50")).await?;
            let each = 2_500;
            let publishing = nodes.iter().zip(0..).map(|(node, n)| {
                let load = postrider_bench::load::Load {
                    events: each,
                    concurrency: CONCURRENCY,
                    rate: None,
                    batch: 1,
                    first: n * each,
                };
                tokio::spawn(node.publishing(load, |_| EVENT_TYPE.to_owned()))
            });
            let mut first = None;
            for publishing in publishing.collect::<Vec<_>>() {
                let sent = publishing.await.map_err(|error| error.to_string())?;
                first.get_or_insert(sent);
            }
            let expected = Expected::all("nodes", each * count);
            let stats = self.receiver.wait_for("/slow", expected.count).await?;
            let sent = first.ok_or("nothing was sent")?;
            self.check(expected.what, &sent, &stats, expected.count);
            rates.push(rate(&sent, &stats));
            for node in nodes {
                node.process.stop().await;
            }
        }
        self.figures.note("one node, deliveries/s to a receiver that takes 50 ms", rates[0]);
        self.figures.note("two nodes, deliveries/s to a receiver that takes 50 ms", rates[1]);
        self.figures.add(NODES, rates[1] / rates[0]);
        Ok(())
    }
}
