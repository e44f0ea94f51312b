//! What a server takes that does nothing yet.

use std::time::Duration;

use super::Bench;
use crate::figures::{REST, START};
use crate::installation::Installation;

impl Bench {
    pub(super) async fn resources(&mut self) -> Result<(), String> {
        let (database, _folder) = self.fresh(false).await?;
        Installation::start(&self.binary, &database, &[]).await?.process.stop().await;
        let server = Installation::start(&self.binary, &database, &[]).await?;
        self.figures.add(START, server.process.took.as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.figures.add(REST, server.process.memory().0);
        server.process.stop().await;
        Ok(())
    }
}
