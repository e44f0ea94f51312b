//! What must hold after a fault run, once it is quiet.
//!
//! - **L0**, nothing is lost: every accepted event has a delivery for each subscription that it was for; each ended, as
//!   delivered with the receiver's own record of a 2xx, or as failed with its attempts, or as discarded with a reason.
//! - **D0**, nothing is doubled beyond what nobody could know: nothing is sent after a success was recorded, and each
//!   request that left no record was in flight when something was killed or cut off.
//! - **S0**, the record is sound: nothing pending without a due time, attempts unique, counted from one and never
//!   changed, and no try earlier than the schedule says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use postrider_core::Timestamp;
use serde_json::Value;

use super::producer::Accepted;
use super::run::Allowances;
use super::sink::{Entry, NUMBER, ONE_SECOND};
use super::stage::{Stage, TIMEOUT};

/// How long after its end a request may be without a record, on a machine whose disk and processors others use too.
const UNTIL_RECORDED: Duration = Duration::from_secs(2);
/// How long after a fault a request may be read that was on its way.
const ON_ITS_WAY: Duration = Duration::from_millis(500);
/// Attempts that make a delivery fail: the first, and one for each interval of the schedule.
const ATTEMPTS: usize = 4;
/// Most violations that are told of one kind.
const TOLD: usize = 5;

/// What a run found.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// Deliveries by how they ended.
    pub ended: BTreeMap<String, usize>,
    /// Requests that the receiver got.
    pub requests: usize,
    /// Requests that were in flight at a fault: under way, or at their end and perhaps not recorded yet.
    pub in_flight: usize,
    /// Those of them that left no record.
    pub unrecorded: usize,
    /// Requests after a recorded success.
    pub after_success: usize,
    /// What should not be.
    pub violations: Vec<String>,
}

/// What a run is judged by.
pub(super) struct Evidence<'a> {
    /// What was promised.
    pub accepted: &'a [Accepted],
    /// Who was to get it.
    pub stage: &'a Stage,
    /// What the receiver got.
    pub entries: &'a [Entry],
    /// When something was killed, cut off or began to.
    pub faults: &'a [Instant],
    /// What the record says of each accepted event.
    pub events: &'a HashMap<String, Value>,
    /// What is judged less strictly.
    pub(super) allowances: Allowances,
}

impl Evidence<'_> {
    /// Looks at everything.
    #[must_use]
    pub(super) fn judge(&self) -> Findings {
        let mut by_target: HashMap<(&str, &str), Vec<&Entry>> = HashMap::new();
        for entry in self.entries {
            by_target.entry((&entry.event_id, &entry.path)).or_default().push(entry);
        }
        let findings = Findings { requests: self.entries.len(), ..Findings::default() };
        let mut judge =
            Judge { evidence: self, by_target, recorded: HashSet::new(), unnumbered: HashMap::new(), findings };
        self.accepted.iter().for_each(|accepted| judge.event(accepted));
        judge.unrecorded();
        let mut findings = judge.findings;
        if !self.allowances.may_overlap && findings.after_success > 0 {
            findings.violations.push(format!("D0: {} requests after a recorded success", findings.after_success));
        }
        cut_short(&mut findings.violations);
        findings
    }
}

impl Evidence<'_> {
    /// Whether a fault came while a request was under way, or its answer perhaps not recorded yet.
    fn was_in_flight(&self, entry: &Entry) -> bool {
        let end = entry.answered.map_or(entry.arrived + TIMEOUT, |(at, _)| at) + UNTIL_RECORDED;
        self.faults.iter().any(|fault| (entry.arrived..=end + ON_ITS_WAY).contains(&(*fault + ON_ITS_WAY)))
    }
}

struct Judge<'a> {
    evidence: &'a Evidence<'a>,
    /// What the receiver got, by event and path.
    by_target: HashMap<(&'a str, &'a str), Vec<&'a Entry>>,
    /// The numbers of requests whose answers are on record.
    recorded: HashSet<usize>,
    /// By event and path: attempts that are on record without an answer, and so without a number.
    unnumbered: HashMap<(&'a str, String), usize>,
    findings: Findings,
}

impl<'a> Judge<'a> {
    fn event(&mut self, accepted: &'a Accepted) {
        let Some(event) = self.evidence.events.get(&accepted.id) else {
            return self.findings.violations.push(format!("L0: event {} is not there", accepted.id));
        };
        let deliveries = event["deliveries"].as_array().map_or(&[][..], Vec::as_slice);
        let targets: HashSet<&str> = deliveries.iter().filter_map(|delivery| delivery["webhook_id"].as_str()).collect();
        let expected = self.evidence.stage.expected(accepted.kind).iter();
        let missing = expected.filter(|id| !targets.contains(id.as_str()));
        self.findings
            .violations
            .extend(missing.map(|id| format!("L0: event {} has no delivery for {id}", accepted.id)));
        if targets.len() != deliveries.len() {
            self.findings.violations.push(format!("L0: event {} was made twice for a subscription", accepted.id));
        }
        deliveries.iter().for_each(|delivery| self.delivery(accepted, delivery));
    }

    fn delivery(&mut self, accepted: &'a Accepted, delivery: &Value) {
        let path = path_of(delivery);
        let attempts = delivery["attempts"].as_array().map_or(&[][..], Vec::as_slice);
        for attempt in attempts {
            match number_of(attempt) {
                Some(number) => drop(self.recorded.insert(number)),
                None => *self.unnumbered.entry((&accepted.id, path.clone())).or_default() += 1,
            }
        }
        *self.findings.ended.entry(ended_as(delivery)).or_default() += 1;
        let wrong = self.end(delivery, attempts).into_iter().chain(self.record(attempts));
        let id = delivery["id"].as_str().unwrap_or_default();
        let wrong: Vec<_> = wrong.map(|what| format!("{what} (delivery {id} to {path})")).collect();
        self.findings.violations.extend(wrong);
        self.findings.after_success += self.after_success(&accepted.id, &path, attempts);
    }

    fn entry(&self, attempt: &Value) -> Option<&'a Entry> {
        self.evidence.entries.get(number_of(attempt)?)
    }

    /// L0 of one delivery.
    fn end(&self, delivery: &Value, attempts: &[Value]) -> Option<String> {
        let (status, reason) = (delivery["status"].as_str().unwrap_or_default(), delivery["reason"].as_str());
        let answers = attempts.iter().filter_map(|attempt| self.entry(attempt)?.answered);
        let has_proof = answers.into_iter().any(|(_, status)| status == 200);
        let may_be_off = delivery["webhook_id"] == self.evidence.stage.on_and_off.as_str();
        match (status, reason) {
            ("delivered", _) if has_proof => None,
            ("delivered", _) => Some("L0: delivered, and the receiver does not know of it".to_owned()),
            ("failed", Some("retries_exhausted")) if attempts.len() < ATTEMPTS => {
                Some(format!("L0: failed after {} attempts of {ATTEMPTS}", attempts.len()))
            }
            ("failed", Some("retries_exhausted")) => None,
            // Who they are, the run itself sees to.
            ("failed", Some("poison")) if self.evidence.allowances.panics => None,
            ("discarded", Some("webhook_inactive")) if may_be_off => None,
            _ => Some(format!("L0: it is {status} with reason {reason:?}")),
        }
    }

    /// S0 of one delivery's attempts.
    fn record(&self, attempts: &[Value]) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.evidence.allowances.may_overlap {
            return wrong;
        }
        let numbers: Vec<i64> = attempts.iter().filter_map(|attempt| attempt["number"].as_i64()).collect();
        if !numbers.iter().copied().eq(1..=i64::try_from(attempts.len()).unwrap_or(i64::MAX)) {
            wrong.push(format!("S0: its attempts have the numbers {numbers:?}"));
        }
        let gaps = attempts.windows(2).filter_map(|pair| self.gap(&pair[0], &pair[1]));
        wrong.extend(gaps.filter(|gap| *gap < ONE_SECOND).map(|gap| format!("S0: a try {gap:?} after the one before")));
        wrong
    }

    /// How long after an attempt the next began: by the receiver's clock where it saw both, else by the record's.
    fn gap(&self, earlier: &Value, later: &Value) -> Option<Duration> {
        if let (Some(earlier), Some(later)) = (self.entry(earlier), self.entry(later)) {
            let (answered, _) = earlier.answered?;
            let was_set = |fault| self.evidence.allowances.clock_was_set && (answered..=later.arrived).contains(fault);
            // How long a process was away, only the clock can tell the next one.
            let is_known = !self.evidence.faults.iter().any(was_set);
            return is_known.then(|| later.arrived.saturating_duration_since(answered));
        }
        if self.evidence.allowances.clock_was_set {
            return None;
        }
        let began = |attempt: &Value| Timestamp::parse(attempt["started_at"].as_str()?);
        let took = Duration::from_secs_f64(earlier["duration_ms"].as_f64()? / 1000.0);
        Some(began(later)?.since(began(earlier)?).saturating_sub(took))
    }

    /// How many requests of a delivery came after one whose success is on record.
    fn after_success(&self, event_id: &str, path: &str, attempts: &[Value]) -> usize {
        let answers = attempts.iter().filter_map(|attempt| self.entry(attempt)?.answered);
        let Some(first) = answers.filter(|(_, status)| *status == 200).map(|(at, _)| at).min() else { return 0 };
        let requests = self.by_target.get(&(event_id, path)).map_or(&[][..], Vec::as_slice);
        requests.iter().filter(|entry| entry.arrived > first).count()
    }

    /// D0: each request that the record does not know was in flight at a fault.
    fn unrecorded(&mut self) {
        let known: HashSet<&str> = self.evidence.accepted.iter().map(|accepted| accepted.id.as_str()).collect();
        for (number, entry) in self.evidence.entries.iter().enumerate() {
            // Events whose answer was lost on the way are nobody's promise.
            if !known.contains(entry.event_id.as_str()) {
                continue;
            }
            let is_in_flight = self.evidence.was_in_flight(entry);
            self.findings.in_flight += usize::from(is_in_flight);
            if self.recorded.contains(&number) {
                continue;
            }
            let attempts = self.unnumbered.get_mut(&(entry.event_id.as_str(), entry.path.clone()));
            if let Some(left) = attempts.filter(|left| **left > 0) {
                *left -= 1;
                continue;
            }
            self.findings.unrecorded += 1;
            if !is_in_flight {
                let (path, id) = (&entry.path, &entry.event_id);
                let what = format!("D0: request {number} of event {id} to {path} left no record, without a fault");
                self.findings.violations.push(what);
            }
        }
    }
}

/// Attempts that were seen earlier and are no longer what they were.
#[must_use]
pub(super) fn changed(earlier: &HashMap<String, Value>, events: &HashMap<String, Value>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, event) in earlier {
        let now: HashSet<String> = attempts_of(events.get(id)).map(ToString::to_string).collect();
        let gone = attempts_of(Some(event)).filter(|attempt| !now.contains(&attempt.to_string())).count();
        if gone > 0 {
            wrong.push(format!("S0: {gone} attempts of event {id} are not what they were"));
        }
    }
    wrong
}

fn attempts_of(event: Option<&Value>) -> impl Iterator<Item = &Value> {
    let deliveries = event.and_then(|event| event["deliveries"].as_array()).into_iter().flatten();
    deliveries.flat_map(|delivery| delivery["attempts"].as_array().into_iter().flatten())
}

fn path_of(delivery: &Value) -> String {
    let url = delivery["webhook_url"].as_str().unwrap_or_default();
    format!("/{}", url.rsplit('/').next().unwrap_or_default())
}

fn number_of(attempt: &Value) -> Option<usize> {
    attempt["response_headers"][NUMBER].as_str()?.parse().ok()
}

fn ended_as(delivery: &Value) -> String {
    let status = delivery["status"].as_str().unwrap_or("?");
    match delivery["reason"].as_str() {
        Some(reason) => format!("{status} ({reason})"),
        None => status.to_owned(),
    }
}

/// Many violations have one cause.
fn cut_short(violations: &mut Vec<String>) {
    let more = violations.len().saturating_sub(TOLD);
    if more > 0 {
        violations.truncate(TOLD);
        violations.push(format!("and {more} more"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::faults::sink::Entry;
    use crate::faults::stage::Kind;

    /// An event to `/well`, whose one request the receiver answered so.
    fn seen(status: Option<u16>) -> Entry {
        let arrived = Instant::now();
        Entry {
            path: "/well".to_owned(),
            event_id: "e".to_owned(),
            arrived,
            answered: status.map(|status| (arrived, status)),
        }
    }

    fn attempt(number: i64, journal_number: Option<usize>, status: u16, started_at: &str) -> Value {
        let headers = journal_number.map_or(json!({}), |number| json!({NUMBER: number.to_string()}));
        json!({"number": number, "started_at": started_at, "duration_ms": 1.0, "http_status_code": status,
            "response_headers": headers})
    }

    fn judge(status: &str, attempts: &[Value], entries: &[Entry]) -> Findings {
        let delivery = json!({"id": "d", "webhook_id": "w", "webhook_url": "http://localhost/well", "status": status,
            "reason": if status == "failed" { json!("retries_exhausted") } else { Value::Null }, "attempts": attempts});
        let accepted = [Accepted { id: "e".to_owned(), kind: Kind::Plain }];
        let events = HashMap::from([("e".to_owned(), json!({"deliveries": [delivery]}))]);
        let (stage, faults) = (Stage::default(), []);
        Evidence {
            accepted: &accepted,
            stage: &stage,
            entries,
            faults: &faults,
            events: &events,
            allowances: Allowances::default(),
        }
        .judge()
    }

    const AT: &str = "2026-01-01T00:00:00.000000+00:00";

    #[test]
    fn what_is_well_is_not_blamed() {
        let found = judge("delivered", &[attempt(1, Some(0), 200, AT)], &[seen(Some(200))]);
        assert_eq!(found.violations, Vec::<String>::new());
    }

    #[test]
    fn a_loss_is_found() {
        let unknown = judge("delivered", &[attempt(1, None, 200, AT)], &[]);
        assert!(unknown.violations[0].starts_with("L0: delivered, and the receiver does not know"), "{unknown:?}");
        let pending = judge("pending", &[], &[]);
        assert!(pending.violations[0].starts_with("L0: it is pending"), "{pending:?}");
        let early = judge("failed", &[attempt(1, None, 500, AT)], &[]);
        assert!(early.violations[0].starts_with("L0: failed after 1 attempts of 4"), "{early:?}");
        let refused = judge("discarded", &[], &[]);
        assert!(refused.violations[0].starts_with("L0: it is discarded"), "{refused:?}");
    }

    #[test]
    fn a_double_is_found() {
        let entries = [seen(Some(200)), seen(Some(200))];
        let found = judge("delivered", &[attempt(1, Some(0), 200, AT)], &entries);
        assert_eq!((found.unrecorded, found.after_success, found.violations.len()), (1, 1, 2), "{found:?}");
    }

    #[test]
    fn an_unsound_record_is_found() {
        let twice = [attempt(1, None, 500, AT), attempt(1, None, 500, "2026-01-01T00:00:05.000000+00:00")];
        let found = judge("failed", &twice, &[]);
        assert!(found.violations[1].starts_with("S0: its attempts have the numbers [1, 1]"), "{found:?}");
        let early = [attempt(1, None, 500, AT), attempt(2, None, 500, "2026-01-01T00:00:00.900000+00:00")];
        let found = judge("failed", &early, &[]);
        assert!(found.violations[1].starts_with("S0: a try 899ms after"), "{found:?}");
        let before = HashMap::from([("e".to_owned(), json!({"deliveries": [{"attempts": [{"n": 1}]}]}))]);
        let after = HashMap::from([("e".to_owned(), json!({"deliveries": [{"attempts": [{"n": 2}]}]}))]);
        assert_eq!((changed(&before, &after).len(), changed(&before, &before).len()), (1, 0));
    }
}
