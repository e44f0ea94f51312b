//! The primary of a pair is lost, in a network of machines of their own, and the standby takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Plan;
use crate::faults::run::{Figure, Report, Run};
use crate::{Database, Pair, ServerOptions};

/// How it is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It is shut down, as by who switches over.
    Clean,
    /// It refuses to be written to; its connections stand.
    Reader,
    /// Nothing comes from its machine any more.
    Silent,
}

impl Loss {
    /// Within what time of a server that can be written to events must be accepted again.
    const fn limit(self) -> Duration {
        match self {
            Self::Clean | Self::Reader => Duration::from_secs(5),
            Self::Silent => Duration::from_secs(30),
        }
    }
}

/// For how long a node may say that it is ready though nothing can be written.
const BELIEVED: Duration = Duration::from_secs(4);
/// From the loss to the promotion, in turns.
const WITHOUT_A_PRIMARY: [Duration; 2] = [Duration::from_secs(8), Duration::from_secs(1)];

pub(super) async fn fail_over(plan: Plan, loss: Loss) -> Report {
    let mut pair = Pair::apart().await;
    let node = ServerOptions { database: Database::Postgres(pair.both()), ..Run::node(super::Store::Sqlite) };
    let mut run = Run::begin(plan, vec![node]).await;
    for turn in 0..plan.times {
        run.accept_more(100).await;
        run.fault();
        match loss {
            Loss::Clean => pair.primary.shut_down(),
            Loss::Reader => pair.make_a_reader().await,
            Loss::Silent => pair.primary.vanish(),
        }
        let readiness = Readiness::watch(&mut run);
        run.pass(WITHOUT_A_PRIMARY[turn % WITHOUT_A_PRIMARY.len()]).await;
        let wrong = readiness.stop().await;
        pair.promote().await;
        let (writable_at, before) = (Instant::now(), run.accepted());
        run.wait_for_more_than(before).await;
        run.figure(Figure {
            what: "until events are accepted again",
            time: writable_at.elapsed(),
            limit: loss.limit(),
        });
        if let Some(time) = wrong {
            run.violation(format!("R0: ready {time:?} after nothing could be written any more"));
        }
        run.fault();
        run.accept_more(100).await;
        pair.follow().await;
    }
    run.accept_more(100).await;
    run.end().await
}

/// Asks a node again and again whether it is ready.
struct Readiness {
    is_over: Arc<AtomicBool>,
    task: JoinHandle<Option<Duration>>,
}

impl Readiness {
    /// Begins now: nothing can be written.
    fn watch(run: &mut Run) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let server = run.server(0);
        let (client, url) = (server.client().clone(), format!("{}/readyz", server.base()));
        let (begun, over) = (Instant::now(), Arc::clone(&is_over));
        let task = tokio::spawn(async move {
            let mut last_ready = None;
            while !over.load(Ordering::Acquire) {
                let at = begun.elapsed();
                let answer = client.get(&url).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    last_ready = Some(at);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            last_ready.filter(|at| *at > BELIEVED)
        });
        Self { is_over, task }
    }

    /// When it still was, if that was too late.
    async fn stop(self) -> Option<Duration> {
        self.is_over.store(true, Ordering::Release);
        self.task.await.expect("it does not panic")
    }
}
