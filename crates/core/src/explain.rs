//! Why an event did or did not go to a subscription.

use serde::Serialize;

use crate::Timestamp;
use crate::catalogue::Judge;
use crate::event::Event;
use crate::event_type::{self, EventTypeName};
use crate::filter::Filter;
use crate::profile::Profiles;

/// One thing that had to be so for the event to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub check: &'static str,
    /// Whether it was so; `None` if that can no longer be told.
    pub passed: Option<bool>,
    /// What was found, for people.
    pub detail: String,
}

/// What is still known of a subscription, deleted ones too.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// What it receives.
    pub event_type: EventTypeName,
    /// Whether it receives anything now.
    pub is_active: bool,
    /// When it was last activated.
    pub active_since: Timestamp,
    /// Deliveries opened up to then were discarded when it was deactivated.
    pub discard_through: Option<Timestamp>,
    /// What the payload must match.
    pub filters: Filter,
    /// The wire format's name.
    pub profile: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its filter or format was last changed.
    pub filters_changed_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// Checks in the order in which they decide. `is_payload_kept` is whether the event's payload is what
/// was published; if not, what depends on it cannot be told.
#[must_use]
pub fn explain(event: &Event, is_payload_kept: bool, subscription: &Remembered, profiles: &Profiles) -> Vec<Check> {
    let mut checks = vec![
        created(event, subscription),
        not_deleted(event, subscription),
        event_type(event, subscription),
        active(event, subscription),
    ];
    if is_payload_kept {
        let condition = condition(event, subscription, profiles);
        let is_unmet = condition.passed == Some(false);
        checks.push(condition);
        checks.push(if is_unmet { not_reached() } else { filters(event, subscription, profiles) });
    } else {
        let gone = |check| Check { check, passed: None, detail: "the payload is no longer kept".to_owned() };
        checks.extend([gone("profile_condition"), gone("filters")]);
    }
    checks
}

fn check(check: &'static str, passed: bool, detail: String) -> Check {
    Check { check, passed: Some(passed), detail }
}

fn created(event: &Event, subscription: &Remembered) -> Check {
    let (made, accepted) = (subscription.created_at, event.created_at);
    if made <= accepted {
        return check("created", true, format!("the webhook was there since {made}"));
    }
    let detail = format!(
        "the webhook was created at {made}, after the event was accepted at {accepted}; if it is to have the event, \
         replay it to this webhook"
    );
    check("created", false, detail)
}

fn not_deleted(event: &Event, subscription: &Remembered) -> Check {
    match subscription.deleted_at {
        None => check("not_deleted", true, "the webhook was not deleted".to_owned()),
        Some(deleted) => {
            let detail = format!("the webhook was deleted at {deleted}");
            check("not_deleted", deleted > event.created_at, detail)
        }
    }
}

fn event_type(event: &Event, subscription: &Remembered) -> Check {
    let (wanted, published) = (&subscription.event_type, &event.draft.event_type);
    if wanted.as_str() == event_type::ALL {
        return check("event_type", true, "the webhook receives all types".to_owned());
    }
    let passed = wanted == published;
    let detail = if passed {
        format!("the webhook receives `{wanted}`")
    } else {
        format!("the webhook receives `{wanted}`; the event is `{published}`")
    };
    check("event_type", passed, detail)
}

fn active(event: &Event, subscription: &Remembered) -> Check {
    let accepted = event.created_at;
    let was_deactivated_later = subscription.discard_through.is_some_and(|through| through >= accepted);
    // That it was not there yet is said elsewhere.
    let since = accepted.max(subscription.created_at);
    if subscription.is_active && subscription.active_since <= since {
        return check("active", true, format!("the webhook was active since {}", subscription.active_since));
    }
    if was_deactivated_later {
        return check(
            "active",
            true,
            "the webhook was active when the event was accepted; not any more later".to_owned(),
        );
    }
    let detail = if subscription.is_active {
        format!("the webhook was inactive until {}", subscription.active_since)
    } else {
        "the webhook is inactive".to_owned()
    };
    check("active", false, detail)
}

fn condition(event: &Event, subscription: &Remembered, profiles: &Profiles) -> Check {
    let name = &subscription.profile;
    let Some(profile) = profiles.named(name) else {
        let detail = format!("this server does not know the format `{name}`");
        return Check { check: "profile_condition", passed: None, detail };
    };
    let since = changed_since(event, subscription);
    match profile.unmet_condition(event) {
        None => check("profile_condition", true, format!("the format `{name}` has no objection{since}")),
        Some(unmet) => {
            let detail = format!("the format `{name}` does not send such an event: {unmet}{since}");
            check("profile_condition", false, detail)
        }
    }
}

fn not_reached() -> Check {
    let detail = "not looked at: what the format does not send is no matter of filters".to_owned();
    Check { check: "filters", passed: None, detail }
}

/// Says so if what is judged by was set only after the event.
fn changed_since(event: &Event, subscription: &Remembered) -> String {
    let changed_at = subscription.filters_changed_at;
    if changed_at <= event.created_at {
        return String::new();
    }
    format!(" (as the webhook is set since {changed_at}; when the event was accepted, it was set otherwise)")
}

fn filters(event: &Event, subscription: &Remembered, profiles: &Profiles) -> Check {
    let changed = changed_since(event, subscription);
    match Judge::new(profiles, event).failing_place(&subscription.filters, &subscription.profile) {
        None => check("filters", true, format!("the filter lets it pass{changed}")),
        Some(place) => check("filters", false, format!("the filter turns it away at `{place}`{changed}")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::profile::Example;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn named(name: &str) -> EventTypeName {
        EventTypeName::parse(name).expect("well-formed")
    }

    fn subscription() -> Remembered {
        Remembered {
            event_type: named("case.completed"),
            is_active: true,
            active_since: at(1),
            discard_through: None,
            filters: Filter::everything(),
            profile: "aplyid".to_owned(),
            created_at: at(1),
            filters_changed_at: at(1),
            deleted_at: None,
        }
    }

    fn failing(subscription: &Remembered) -> Vec<&'static str> {
        let payload = r#"{"external_id":"x","country":"NZ"}"#.to_owned();
        let example = Example { event_type: named("case.completed"), payload, metadata: None };
        let event = Event { created_at: at(10), ..example.as_event() };
        let checks = explain(&event, true, subscription, &Profiles::published());
        checks.into_iter().filter(|check| check.passed == Some(false)).map(|check| check.check).collect()
    }

    #[rstest]
    #[case(|_: &mut Remembered| (), &[])]
    #[case(|s: &mut Remembered| s.created_at = at(11), &["created"])]
    #[case(|s: &mut Remembered| s.deleted_at = Some(at(9)), &["not_deleted"])]
    #[case(|s: &mut Remembered| s.deleted_at = Some(at(11)), &[])]
    #[case(|s: &mut Remembered| s.event_type = named("case.opened"), &["event_type"])]
    #[case(|s: &mut Remembered| s.event_type = named("all"), &[])]
    #[case(|s: &mut Remembered| s.is_active = false, &["active"])]
    #[case(|s: &mut Remembered| s.active_since = at(11), &["active"])]
    #[case(|s: &mut Remembered| (s.is_active, s.discard_through) = (false, Some(at(11))), &[])]
    #[case(|s: &mut Remembered| s.filters = Filter::compile(r#"{"country":"TH"}"#).expect("usable"), &["filters"])]
    fn names_what_failed(#[case] change: fn(&mut Remembered), #[case] expected: &[&str]) {
        let mut changed = subscription();
        change(&mut changed);
        assert_eq!(failing(&changed), expected);
    }

    #[test]
    fn without_its_payload_less_can_be_told() {
        let example = Example { event_type: named("case.completed"), payload: "null".to_owned(), metadata: None };
        let checks = explain(&example.as_event(), false, &subscription(), &Profiles::published());
        assert_eq!(checks.iter().filter(|check| check.passed.is_none()).count(), 2);
    }
}
