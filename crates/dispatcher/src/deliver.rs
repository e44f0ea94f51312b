//! One claimed delivery, from its claim to its record.

use std::sync::Arc;
use std::time::Duration;

use postrider_core::attempt::Exchange;
use postrider_core::delivery::FailReason;
use postrider_core::fail_point::FailPoint;
use postrider_core::lanes::{Answer, Heard, LaneId, Slot};
use postrider_core::lifecycle::{self, Decision, Progress};
use postrider_core::profile::Outbound;
use postrider_core::target::{Endpoint, TargetId};
use postrider_core::{DeliveryId, SubscriptionId, TenantId, Timestamp, World};
use postrider_store::{Claimed, Queue, Settlement};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::client::{GuardedClient, Outgoing};
use crate::{measure, traces};

/// What must be left of a lease beyond the timeout, to record in.
const RECORD_TIME: Duration = Duration::from_secs(1);

/// Waits between tries to record while the store is down.
const RECORD_RETRY: Duration = Duration::from_millis(250);
/// How long what cannot be sent by anybody is left alone.
const PUT_OFF: Duration = Duration::from_secs(60);

/// What a delivery needs. Shared by all.
pub(crate) struct Deliverer {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) client: GuardedClient,
    pub(crate) world: World,
    /// How long deliveries wait for a dead endpoint beyond their schedule.
    pub(crate) patience: Duration,
    /// Hears when which lane has a retry due.
    pub(crate) retries: mpsc::UnboundedSender<(Timestamp, LaneId)>,
    /// Ends what is in flight at the end of a drain.
    pub(crate) abort: CancellationToken,
}

/// What became of a claim that was not given back.
struct Outcome {
    decision: Decision,
    exchange: Option<Exchange>,
}

/// Why a claim has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsent {
    /// This node cannot send the delivery now. The next node that claims it may send it.
    GivenBack,
    /// Nobody can: something of its target cannot be read.
    PutOff,
}

impl Outcome {
    const fn unsent(decision: Decision) -> Self {
        Self { decision, exchange: None }
    }
}

impl Deliverer {
    /// Build → sign → send → classify → decide → record.
    pub(crate) async fn deliver(&self, claimed: Claimed, slot: &mut Slot) {
        FailPoint::DeliveryClaimed.pass();
        let outcome = tokio::select! {
            biased;
            () = self.abort.cancelled() => Err(Unsent::GivenBack),
            outcome = self.attempt(&claimed, slot) => outcome,
        };
        match outcome {
            Ok(outcome) => self.record(&claimed, outcome).await,
            Err(Unsent::GivenBack) => self.give_back(&claimed).await,
            Err(Unsent::PutOff) => self.put_off(&claimed).await,
        }
    }

    /// Ends a suspect whose mark was found: it took a process down while it was sent alone.
    pub(crate) async fn end_poisoned(&self, claimed: &Claimed) {
        tracing::error!(delivery_id = %claimed.id, "a delivery ended the process each time it was sent");
        self.record(claimed, Outcome::unsent(Decision::Failed(FailReason::Poison))).await;
    }

    async fn attempt(&self, claimed: &Claimed, slot: &mut Slot) -> Result<Outcome, Unsent> {
        let draft = &claimed.event.draft;
        let looked_up = self.endpoint(claimed).await.inspect_err(|error| {
            tracing::warn!(delivery_id = %claimed.id, %error, "a target cannot be looked up");
        });
        let endpoint = match looked_up.map_err(|_| Unsent::GivenBack)?.ok_or(Unsent::PutOff)? {
            Ok(endpoint) => endpoint,
            Err(discarded) => return Ok(Outcome::unsent(Decision::Discarded(discarded))),
        };
        let now = self.world.now();
        if lifecycle::is_expired(draft.expires_at, now) {
            return Ok(Outcome::unsent(Decision::Failed(FailReason::Expired)));
        }
        if slot.is_probe() && lifecycle::is_given_up(claimed.opened_at, &endpoint.schedule, self.patience, now) {
            return Ok(Outcome::unsent(Decision::Failed(FailReason::EndpointUnavailable)));
        }
        if claimed.lease_until.since(now) < endpoint.timeout.duration() + RECORD_TIME {
            return Err(Unsent::GivenBack);
        }
        let outbound = Outbound {
            event: &claimed.event,
            metadata: endpoint.metadata.as_deref(),
            delivery_id: claimed.id,
            attempt: claimed.attempts + 1,
        };
        let prepared = match endpoint.profile.prepare(&outbound, endpoint.secrets.as_ref(), self.world.told_to_others())
        {
            Ok(prepared) => prepared,
            Err(unfit) => return Ok(Outcome::unsent(unfit.into())),
        };
        let Endpoint { url, headers, timeout, .. } = &endpoint;
        FailPoint::send(&draft.payload);
        let span = traces::attempt(claimed);
        let outgoing = Outgoing { url, prepared, headers, timeout: *timeout };
        let exchange = self.client.send(outgoing).instrument(span.clone()).await;
        FailPoint::ResponseReceived.pass();
        span.record("outcome", exchange.outcome().name());
        let took = Duration::from_micros(exchange.timings.total_us.unsigned_abs());
        slot.heard(Heard { answer: Answer::of(&exchange), delivery_id: claimed.id, at: self.world.now(), took });
        measure_attempt(claimed, &exchange, took);
        let progress = Progress {
            tries: claimed.tries + 1,
            schedule: &endpoint.schedule,
            expires_at: draft.expires_at,
            rules: endpoint.profile.answer_rules,
        };
        let decision = lifecycle::after_attempt(&exchange, progress);
        Ok(Outcome { decision, exchange: Some(exchange) })
    }

    /// Tries until it is written down: what was sent must not be forgotten while this process lives.
    async fn record(&self, claimed: &Claimed, outcome: Outcome) {
        let Outcome { decision, exchange } = outcome;
        log_attempt(claimed, &decision, exchange.as_ref());
        let mut settlement = Arc::new(Settlement {
            tenant_id: claimed.event.tenant_id,
            delivery_id: claimed.id,
            target: claimed.target,
            claim: claimed.claim,
            decision,
            attempt: exchange.map(|exchange| (claimed.attempts + 1, exchange)),
        });
        let is_changed = loop {
            match self.queue.settle(Arc::clone(&settlement)).await {
                Ok(is_changed) => break is_changed,
                Err(error) if error.is_temporary() => {
                    tracing::warn!(delivery_id = %claimed.id, %error, "an outcome is not recorded yet");
                }
                Err(error) => {
                    tracing::error!(delivery_id = %claimed.id, %error, "an outcome cannot be recorded as it is");
                    let attempt = Arc::make_mut(&mut settlement).attempt.as_mut();
                    if !attempt.is_some_and(|(_, exchange)| exchange.strip()) {
                        return;
                    }
                }
            }
            if self.abort.is_cancelled() {
                return;
            }
            tokio::time::sleep(RECORD_RETRY).await;
        };
        match (&settlement.decision, claimed.target, &settlement.attempt) {
            (Decision::Retry(due_at), _, _) => self.look_again(*due_at, claimed.lane),
            (Decision::Failed(FailReason::Gone), TargetId::Subscription(id), Some((_, exchange))) if is_changed => {
                self.deactivate(claimed.event.tenant_id, id, &exchange.url).await;
            }
            _ => {}
        }
    }

    /// The receiver said 410 Gone: it wants nothing more.
    async fn deactivate(&self, tenant_id: TenantId, id: SubscriptionId, url: &str) {
        loop {
            match self.queue.deactivate(tenant_id, id, url).await {
                Ok(true) => {
                    return tracing::warn!(webhook_id = %id, "the receiver answered 410 Gone: the webhook is inactive now");
                }
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(webhook_id = %id, %error, "a webhook whose receiver is gone is still active");
                }
            }
            if self.abort.is_cancelled() {
                return;
            }
            tokio::time::sleep(RECORD_RETRY).await;
        }
    }

    async fn give_back(&self, claimed: &Claimed) {
        let claim = (claimed.event.tenant_id, claimed.id, claimed.claim);
        if let Err(error) = self.queue.give_back(&[claim]).await {
            tracing::warn!(delivery_id = %claimed.id, %error, "a claim is not given back; its lease will end");
        }
        self.look_again(self.world.now() + RECORD_TIME, claimed.lane);
    }

    /// Leaves a row alone for a while, so that it does not stand in front of others.
    async fn put_off(&self, claimed: &Claimed) {
        let (tenant_id, until) = (claimed.event.tenant_id, self.world.now() + PUT_OFF);
        if let Err(error) = self.queue.put_off(tenant_id, claimed.id, claimed.claim, until).await {
            tracing::warn!(delivery_id = %claimed.id, %error, "a claim is not put off; its lease will end");
        }
        self.look_again(until, claimed.lane);
    }

    /// Leaves a row to whoever claims it next, after the task that had claimed it panicked.
    pub(crate) async fn abandon(&self, (tenant_id, id, claim): (TenantId, DeliveryId, i64), lane: LaneId) {
        tracing::error!(delivery_id = %id, "a delivery's task panicked");
        if let Err(error) = self.queue.abandon(tenant_id, id, claim).await {
            tracing::warn!(delivery_id = %id, %error, "its row is not free; its lease will end");
        }
        self.look_again(self.world.now(), lane);
    }

    fn look_again(&self, at: Timestamp, lane: LaneId) {
        // Nobody listens only while shutting down; the row says when.
        let _ = self.retries.send((at, lane));
    }
}

fn measure_attempt(claimed: &Claimed, exchange: &Exchange, took: Duration) {
    measure::attempted(exchange.outcome(), took);
    if claimed.attempts == 0 {
        measure::first_attempt(exchange.started_at.since(claimed.event.created_at));
    }
}

fn log_attempt(claimed: &Claimed, decision: &Decision, exchange: Option<&Exchange>) {
    tracing::debug!(
        delivery_id = %claimed.id,
        event_id = %claimed.event.id,
        webhook_id = claimed.target.subscription_id().map(tracing::field::display),
        callback_id = claimed.target.callback_id().map(tracing::field::display),
        attempt = claimed.attempts + 1,
        message = exchange.map(Exchange::message),
        total_us = exchange.map(|exchange| exchange.timings.total_us),
        ?decision,
        "settled"
    );
}
