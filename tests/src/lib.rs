//! What the tests share: the program under a clock that travels, real receivers, and a client.

mod authority;
mod browser;
mod clock;
mod cluster;
mod database;
pub mod faults;
pub mod fuzz;
mod network;
mod pair;
mod pooler;
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
pub use network::{Host, in_a_network_of_its_own, is_in_a_network_of_its_own};
pub use pair::Pair;
pub use pooler::Pooler;
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

/// Waits for all of them at once; what they come to, in order.
pub async fn all_at_once<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(Box::pin).map(Some).collect();
    let mut done: Vec<Option<F::Output>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (slot, output) in pending.iter_mut().zip(&mut done) {
            if let Some(future) = slot
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
                *slot = None;
            }
        }
        if pending.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
