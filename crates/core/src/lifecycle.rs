//! What becomes of a delivery: the decisions of its state machine, without the rows.
//!
//! ```text
//!            accept                                   2xx
//!  event ─────────────▶ PENDING ───claim/send────────────────▶ DELIVERED
//!                        │  ▲  │                                   │
//!                        │  │  └─ tries used up, expired, gone, misfit, poison, unavailable ─▶ FAILED(reason)
//!                        │  └── retry: due_at = end of the try + schedule │
//!                        └── inactive, deleted, condition ─▶ DISCARDED(reason)
//!                           ◀──────────── retry / replay ────────────────┘
//! ```

use std::time::Duration;

use crate::Timestamp;
use crate::attempt::Exchange;
use crate::delivery::{DeliveryState, DiscardReason, FailReason};
use crate::profile::Unfit;
use crate::schedule::RetrySchedule;
use crate::subscription::Subscription;

/// Claims in a row that left no trace before a delivery is suspected of taking the process down.
pub const SUSPECT_STRIKES: i64 = 3;

/// How often a process must have ended while a suspect was being sent alone before it is held to be the cause. A
/// bystander may be the one that is sent alone when something else ends the process; hardly three times.
pub const POISON_MARKS: i64 = 3;

/// When a suspect is tried again that was marked and left no trace: not first thing after the process was started again, so that it
/// is not the same one each time that is being sent when something else ends the process.
pub const MARK_PAUSE: Duration = Duration::from_secs(5);

/// What is thought of a delivery whose earlier claims left no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// Nothing.
    None,
    /// It is to be sent alone, under a durable mark.
    Suspect,
    /// It ended the process each time it was sent alone.
    Poison,
}

impl Suspicion {
    /// Judges by the claims in a row that left no trace, the present one included, and by the marks.
    #[must_use]
    pub const fn of(strikes: i64, marks: i64) -> Self {
        match (strikes, marks) {
            (_, POISON_MARKS..) => Self::Poison,
            (_, 1..) => Self::Suspect,
            (strikes, _) if strikes > SUSPECT_STRIKES => Self::Suspect,
            _ => Self::None,
        }
    }
}

/// What a claim or an attempt ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A 2xx came back. A fact, whatever was decided elsewhere in the meantime.
    Delivered,
    /// Another try, not before then.
    Retry(Timestamp),
    /// No more tries.
    Failed(FailReason),
    /// Not to be tried.
    Discarded(DiscardReason),
}

impl Decision {
    /// The state it leads to.
    #[must_use]
    pub const fn state(&self) -> DeliveryState {
        match self {
            Self::Delivered => DeliveryState::Delivered,
            Self::Retry(_) => DeliveryState::Pending,
            Self::Failed(_) => DeliveryState::Failed,
            Self::Discarded(_) => DeliveryState::Discarded,
        }
    }

    /// The reason it gives, for the API.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Delivered | Self::Retry(_) => None,
            Self::Failed(reason) => Some(reason.to_string()),
            Self::Discarded(reason) => Some(reason.to_string()),
        }
    }

    /// The reason's name, without details.
    #[must_use]
    pub const fn reason_name(&self) -> Option<&'static str> {
        match self {
            Self::Delivered | Self::Retry(_) => None,
            Self::Failed(reason) => Some(reason.name()),
            Self::Discarded(reason) => Some(reason.name()),
        }
    }
}

/// What an answer other than 2xx may mean in a wire format beyond "try again".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerRules {
    /// `Retry-After` of a 429 or 503 puts the next try off.
    pub retry_after: bool,
    /// A 410 ends the delivery and deactivates the subscription.
    pub gone: bool,
}

/// What is known of a delivery when an attempt ends.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Tries since the delivery was opened, this one included.
    pub tries: u32,
    /// The subscription's schedule as it is now.
    pub schedule: &'a RetrySchedule,
    /// After this, no try is made.
    pub expires_at: Option<Timestamp>,
    /// What the wire format makes of answers.
    pub rules: AnswerRules,
}

/// Decides after an attempt.
#[must_use]
pub fn after_attempt(exchange: &Exchange, progress: Progress<'_>) -> Decision {
    let status = exchange.status();
    if status.is_some_and(|status| (200..300).contains(&status)) {
        return Decision::Delivered;
    }
    if progress.rules.gone && status == Some(410) {
        return Decision::Failed(FailReason::Gone);
    }
    let asked = exchange.result.as_ref().ok().and_then(|response| response.retry_after);
    let heeded = asked.filter(|_| progress.rules.retry_after && matches!(status, Some(429 | 503)));
    let Some(wait) = progress.schedule.next(progress.tries, heeded) else {
        return Decision::Failed(FailReason::RetriesExhausted);
    };
    let due_at = exchange.ended_at() + wait;
    match progress.expires_at {
        Some(end) if due_at >= end => Decision::Failed(FailReason::Expired),
        _ => Decision::Retry(due_at),
    }
}

/// What speaks against sending to a subscription at all, looked up just before it is signed: `None` if
/// it is to receive what was opened then: at a version of the catalogue or, if that is not known, at a time.
#[must_use]
pub fn closed_to(
    subscription: &Subscription,
    opened_version: Option<i64>,
    opened_at: Timestamp,
) -> Option<DiscardReason> {
    let discarded = match opened_version {
        Some(version) => subscription.discard_before.is_some_and(|before| version < before),
        None => subscription.discard_through.is_some_and(|through| opened_at <= through),
    };
    (discarded || !subscription.settings.is_active).then_some(DiscardReason::WebhookInactive)
}

/// Whether it is too late for a try.
#[must_use]
pub fn is_expired(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_some_and(|end| now >= end)
}

/// Whether a delivery that was opened at `opened_at` has waited for a dead endpoint as long as its schedule
/// would have taken, and `patience` beyond.
#[must_use]
pub fn is_given_up(opened_at: Timestamp, schedule: &RetrySchedule, patience: Duration, now: Timestamp) -> bool {
    now.since(opened_at) > schedule.total() + patience
}

impl From<Unfit> for Decision {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Condition(unmet) => Self::Discarded(DiscardReason::ProfileCondition(unmet)),
            Unfit::Misfit(misfit) => Self::Failed(FailReason::Misfit(misfit)),
        }
    }
}

/// Whether the ends of a delivery count in its subscription's statistics, and how: the change of
/// (successful, failed) when it goes from one state to another.
#[must_use]
pub const fn stats_change(from: DeliveryState, to: DeliveryState) -> (i64, i64) {
    let (was_successful, was_failed) = counts_as(from);
    let (is_successful, is_failed) = counts_as(to);
    (is_successful - was_successful, is_failed - was_failed)
}

const fn counts_as(state: DeliveryState) -> (i64, i64) {
    match state {
        DeliveryState::Delivered => (1, 0),
        DeliveryState::Failed => (0, 1),
        DeliveryState::Pending | DeliveryState::Discarded => (0, 0),
    }
}

/// What a claim knew of a row and what the row says now.
#[derive(Clone, Copy, Debug)]
pub struct Fence {
    /// The claim that the decision was made under.
    pub claimed: i64,
    /// The row's claim now.
    pub claim: i64,
    /// The row's state now.
    pub state: DeliveryState,
}

impl Fence {
    /// Whether the decision may change the row: success is a fact and always may, unless it already
    /// is one; anything else needs the claim and a pending row, so that a late node never reopens or
    /// overwrites.
    #[must_use]
    pub fn admits(self, decision: &Decision) -> bool {
        match decision {
            Decision::Delivered => self.state != DeliveryState::Delivered,
            _ => self.state == DeliveryState::Pending && self.claim == self.claimed,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::attempt::{AttemptOutcome, Failure, Response, Timings};
    use crate::headers::HeaderList;

    fn answered(status: u16, retry_after: Option<u64>) -> Exchange {
        let headers = HeaderList::default();
        let retry_after = retry_after.map(Duration::from_secs);
        exchange(Ok(Response { status, headers, body: Vec::new(), retry_after }))
    }

    fn unanswered() -> Exchange {
        exchange(Err(Failure { outcome: AttemptOutcome::Timeout, message: "Timed out after 15 s".to_owned() }))
    }

    fn exchange(result: Result<Response, Failure>) -> Exchange {
        Exchange {
            started_at: Timestamp::from_micros(0),
            url: String::new(),
            request_headers: HeaderList::default(),
            remote_address: None,
            timings: Timings { total_us: 1_000_000, ..Timings::default() },
            result,
        }
    }

    fn decide(exchange: &Exchange, tries: u32, expires_at: Option<i64>, heed: bool) -> Decision {
        let schedule = RetrySchedule::default();
        let expires_at = expires_at.map(|s| Timestamp::from_micros(s * 1_000_000));
        let rules = AnswerRules { retry_after: heed, gone: heed };
        after_attempt(exchange, Progress { tries, schedule: &schedule, expires_at, rules })
    }

    #[test]
    fn a_dead_endpoint_is_waited_for_with_patience() {
        let (opened_at, patience) = (Timestamp::from_micros(0), Duration::from_secs(60));
        let given_up = |seconds: i64| {
            is_given_up(opened_at, &RetrySchedule::default(), patience, Timestamp::from_micros(seconds * 1_000_000))
        };
        assert_eq!((given_up(155 + 60), given_up(155 + 61)), (false, true));
    }

    fn retry_at(seconds: i64) -> Decision {
        Decision::Retry(Timestamp::from_micros(seconds * 1_000_000))
    }

    #[rstest]
    #[case(answered(200, None), 1, Decision::Delivered)]
    #[case(answered(299, None), 4, Decision::Delivered)]
    #[case(answered(301, None), 1, retry_at(6))]
    #[case(answered(199, None), 1, retry_at(6))]
    #[case(answered(500, None), 2, retry_at(26))]
    #[case(answered(404, None), 3, retry_at(126))]
    #[case(unanswered(), 1, retry_at(6))]
    #[case(unanswered(), 4, Decision::Failed(FailReason::RetriesExhausted))]
    #[case(answered(429, Some(60)), 1, retry_at(61))]
    #[case(answered(503, Some(2)), 1, retry_at(6))]
    #[case(answered(500, Some(60)), 1, retry_at(6))]
    #[case(answered(410, None), 1, Decision::Failed(FailReason::Gone))]
    fn the_standard_format(#[case] exchange: Exchange, #[case] tries: u32, #[case] expected: Decision) {
        assert_eq!(decide(&exchange, tries, None, true), expected);
    }

    #[rstest]
    #[case(answered(429, Some(60)), retry_at(6))]
    #[case(answered(410, None), retry_at(6))]
    fn a_format_that_promises_plain_retries(#[case] exchange: Exchange, #[case] expected: Decision) {
        assert_eq!(decide(&exchange, 1, None, false), expected);
    }

    #[rstest]
    #[case(Some(6), Decision::Failed(FailReason::Expired))]
    #[case(Some(7), retry_at(6))]
    fn no_try_after_it_expires(#[case] expires_at: Option<i64>, #[case] expected: Decision) {
        assert_eq!(decide(&unanswered(), 1, expires_at, true), expected);
        assert_eq!(decide(&answered(200, None), 1, expires_at, true), Decision::Delivered);
    }

    #[test]
    fn a_late_node_never_overwrites_but_success_is_a_fact() {
        let fence = |claim, state| Fence { claimed: 1, claim, state };
        let failed = Decision::Failed(FailReason::RetriesExhausted);
        assert!(fence(1, DeliveryState::Pending).admits(&failed));
        for late in
            [fence(2, DeliveryState::Pending), fence(1, DeliveryState::Failed), fence(1, DeliveryState::Delivered)]
        {
            assert!(!late.admits(&failed), "{late:?}");
            assert!(!late.admits(&retry_at(1)), "{late:?}");
        }
        for state in [DeliveryState::Pending, DeliveryState::Failed, DeliveryState::Discarded] {
            assert!(fence(2, state).admits(&Decision::Delivered));
        }
        assert!(!fence(2, DeliveryState::Delivered).admits(&Decision::Delivered));
    }

    #[test]
    fn statistics_take_back_what_they_counted() {
        let mut sum = (0, 0);
        let path = [DeliveryState::Pending, DeliveryState::Failed, DeliveryState::Pending, DeliveryState::Delivered];
        for step in path.windows(2) {
            let (successful, failed) = stats_change(step[0], step[1]);
            sum = (sum.0 + successful, sum.1 + failed);
        }
        assert_eq!(sum, (1, 0));
    }
}
