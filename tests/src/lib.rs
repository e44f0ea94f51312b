//! What the tests share: the program under a clock that travels, real receivers, and a client.

mod authority;
mod browser;
mod clock;
mod cluster;
mod database;
pub mod faults;
pub mod fuzz;
mod proxy;
mod published;
mod receiver;
mod server;
mod small_disk;
mod wall_clock;

pub use authority::Authority;
pub use browser::Browser;
pub use clock::{TRAVELLED, TravellingClock};
pub use cluster::Cluster;
pub use database::Database;
pub use proxy::{Proxy, Way};
pub use published::{PublishedReceiver, installed};
pub use receiver::{Received, Receiver, Reply};
pub use server::{Answer, Binary, Server, ServerOptions, run_command};
pub use small_disk::SmallDisk;
pub use wall_clock::WallClock;

use std::future::Future;
use std::time::Duration;

/// How long anything may take that should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until the answer is there. For what another process does and cannot tell.
///
/// # Panics
/// If it does not come within [`PATIENCE`].
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("never happened: {what}"))
}
