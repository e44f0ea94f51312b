//! Starts the services and ends them in order.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use postrider_core::World;
use postrider_core::fail_point::FailPoint;
use postrider_core::lanes::Lanes;
use postrider_core::lifecycle::Suspicion;
use postrider_core::profile::Outbound;
use postrider_core::test_send::{Sending, TestDelivery, TestSender};
use postrider_store::{HandOver, Handed, Inbox, Queue, Retention};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::claim::{Claimer, Ready, Signals};
use crate::client::{GuardedClient, Outgoing};
use crate::deliver::Deliverer;
use crate::suspect::{Quarantine, Watched, suspicion_of};
use crate::timers::Timers;
use crate::{bulk_work, fan_out, prune, replay, roll_up, tell, watch_backlog, watch_failing};

/// What a dispatcher works with.
pub struct DispatcherOptions {
    /// Where deliveries come from.
    pub queue: Arc<dyn Queue>,
    /// The other end of `inbox`.
    pub hand_over: HandOver,
    /// New work.
    pub inbox: Inbox,
    /// Sends.
    pub client: GuardedClient,
    /// Time and chance.
    pub world: World,
    /// How long ended deliveries are kept.
    pub retention: Retention,
    /// How long deliveries wait for a dead endpoint beyond their schedule.
    pub patience: Duration,
    /// How long a subscription may fail until it is deactivated; `None` for ever.
    pub deactivate_after: Option<Duration>,
}

/// The running dispatcher. Every task it starts is waited for by [`Dispatcher::shut_down`].
pub struct Dispatcher {
    services: TaskTracker,
    taking: TaskTracker,
    deliveries: TaskTracker,
    lanes: Lanes,
    stop: CancellationToken,
    stop_taking: CancellationToken,
    abort: CancellationToken,
    drains: mpsc::UnboundedSender<oneshot::Sender<()>>,
    broken: CancellationToken,
}

impl Dispatcher {
    /// Starts claiming and sending.
    #[must_use]
    pub fn start(options: DispatcherOptions) -> Self {
        let DispatcherOptions { queue, hand_over, inbox, client, world, retention, patience, deactivate_after } =
            options;
        let (services, taking, deliveries) = (TaskTracker::new(), TaskTracker::new(), TaskTracker::new());
        let (stop, abort, broken) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let (retries, retries_heard) = mpsc::unbounded_channel();
        let (drains, drains_heard) = mpsc::unbounded_channel();
        let lanes = hand_over.lanes().clone();
        let deliverer = Arc::new(Deliverer {
            queue: Arc::clone(&queue),
            client,
            world: world.clone(),
            patience,
            retries,
            abort: abort.clone(),
        });
        let start = Arc::new(Starter { deliverer, deliveries: deliveries.clone(), quarantine: Arc::default() });
        let claimer = Claimer {
            queue: Arc::clone(&queue),
            lanes: lanes.clone(),
            world: world.clone(),
            stop: stop.clone(),
            start: Arc::new({
                let start = Arc::clone(&start);
                move |handed| start.start(handed)
            }),
            ready: Ready::default(),
            claims: JoinSet::new(),
            timers: Timers::default(),
        };
        let signals = Signals { due: inbox.due, retries: retries_heard, drains: drains_heard };
        let watch = Watch { stop: stop.clone(), broken: broken.clone() };
        services.spawn(watch.clone().over(claimer.run(signals)));
        services.spawn(watch.clone().over(fan_out::run(Arc::clone(&queue), hand_over, world.clone(), stop.clone())));
        services.spawn(watch.clone().over(bulk_work::run(Arc::clone(&queue), world.clone(), stop.clone())));
        services.spawn(watch.clone().over(replay::run(Arc::clone(&queue), world.clone(), stop.clone())));
        services.spawn(watch.clone().over(roll_up::run(Arc::clone(&queue), world.clone(), stop.clone())));
        services.spawn(watch.clone().over(tell::run(Arc::clone(&queue), world.clone(), stop.clone())));
        if let Some(patience) = deactivate_after {
            let watching = watch_failing::run(Arc::clone(&queue), patience, world.clone(), stop.clone());
            services.spawn(watch.clone().over(watching));
        }
        services.spawn(watch.clone().over(prune::run(Arc::clone(&queue), retention, world.clone(), stop.clone())));
        services.spawn(watch.over(watch_backlog::run(queue, lanes.clone(), world, stop.clone())));
        services.close();
        // Goes on when the others stop: events whose commit is under way hold slots already.
        let stop_taking = CancellationToken::new();
        let watch = Watch { stop: stop_taking.clone(), broken: broken.clone() };
        taking.spawn(watch.over(take_over(inbox.handed, start, stop_taking.clone())));
        taking.close();
        Self { services, taking, deliveries, lanes, stop, stop_taking, abort, drains, broken }
    }

    /// Waits until nothing is due and nothing in flight.
    pub async fn drain(&self) {
        let (done, heard) = oneshot::channel();
        if self.drains.send(done).is_ok() {
            let _ = heard.await;
        }
    }

    /// Whether all services run that should.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.broken.is_cancelled()
    }

    /// Stops claiming, lets what is in flight finish within `deadline`, and gives back the rest.
    pub async fn shut_down(&self, deadline: Duration) {
        self.lanes.close();
        self.stop.cancel();
        self.services.wait().await;
        FailPoint::DrainBegun.pass();
        if tokio::time::timeout(deadline, self.nothing_in_flight()).await.is_err() {
            tracing::warn!(in_flight = self.lanes.in_flight(), "giving back what is still in flight");
            self.abort.cancel();
        }
        FailPoint::DrainWaited.pass();
        self.stop_taking.cancel();
        self.taking.wait().await;
        self.deliveries.close();
        self.deliveries.wait().await;
        FailPoint::DrainEnded.pass();
    }

    /// Ends when nobody holds a slot: what is being sent, and what is being accepted to be sent at once.
    async fn nothing_in_flight(&self) {
        while self.lanes.in_flight() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Notices when a service ends that should not, by a panic above all.
#[derive(Clone)]
struct Watch {
    stop: CancellationToken,
    broken: CancellationToken,
}

impl Watch {
    async fn over(self, service: impl Future<Output = ()>) {
        let guard = self.broken.drop_guard();
        service.await;
        if self.stop.is_cancelled() {
            guard.disarm();
        }
    }
}

/// Starts a task for each delivery.
struct Starter {
    deliverer: Arc<Deliverer>,
    deliveries: TaskTracker,
    quarantine: Arc<Quarantine>,
}

impl Starter {
    fn start(&self, handed: Handed) {
        let watched = Watched::over(&self.deliverer, &handed.claimed);
        if suspicion_of(&handed.claimed) != Suspicion::None {
            let quarantine = Arc::clone(&self.quarantine);
            self.deliveries.spawn(async move { quarantine.deliver(watched.deliverer(), handed).await });
            return;
        }
        self.deliveries.spawn(async move {
            let Handed { claimed, mut slot } = handed;
            watched.deliverer().deliver(claimed, &mut slot).await;
            drop(slot);
        });
    }
}

/// Takes what was accepted with a slot. Whatever was handed over before the stop is still taken.
async fn take_over(mut handed: mpsc::UnboundedReceiver<Handed>, start: Arc<Starter>, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            next = handed.recv() => match next {
                Some(handed) => start.start(handed),
                None => return,
            },
            () = stop.cancelled() => return,
        }
    }
}

impl TestSender for GuardedClient {
    fn send_test(&self, test: TestDelivery) -> Sending<'_> {
        Box::pin(async move {
            let TestDelivery { event, metadata, .. } = &test;
            let outbound = Outbound { event, metadata: metadata.as_deref(), delivery_id: test.delivery_id, attempt: 1 };
            let prepared = test.profile.prepare(&outbound, test.secrets.as_ref(), self.told_to_others())?;
            let outgoing = Outgoing { url: &test.url, prepared, headers: &test.headers, timeout: test.timeout };
            Ok(self.send(outgoing).await)
        })
    }
}
