//! Why an event did or did not go to a subscription.

use serde::Serialize;

use crate::Timestamp;
use crate::catalogue::Judge;
use crate::event::Event;
use crate::profile::Profiles;
use crate::standing::{Standing, Then};

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

/// What is known of a subscription, deleted ones too.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// When its filter or format was last changed.
    pub filters_changed_at: Timestamp,
    /// Whether it was there when the event was accepted.
    pub was_there: bool,
    /// What it was then; what it was made as, if it was not there yet.
    pub then: Then,
}

/// Checks in the order in which they decide. `is_payload_kept` is whether the event's payload is what
/// was published; if not, what depends on it cannot be told.
#[must_use]
pub fn explain(event: &Event, is_payload_kept: bool, subscription: &Remembered, profiles: &Profiles) -> Vec<Check> {
    let mut checks = vec![
        created(event, subscription),
        not_deleted(subscription),
        event_type(event, &subscription.then),
        active(&subscription.then),
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
    if subscription.was_there {
        return check("created", true, format!("the webhook was there since {made}"));
    }
    let detail = format!(
        "the webhook was created at {made}, after the event was accepted at {accepted}; if it is to have the event, \
         replay it to this webhook"
    );
    check("created", false, detail)
}

fn not_deleted(subscription: &Remembered) -> Check {
    let was_deleted = subscription.then.standing == Standing::Deleted;
    let detail = match subscription.deleted_at {
        None => "the webhook was not deleted".to_owned(),
        Some(deleted) if was_deleted => format!("the webhook was deleted at {deleted}"),
        Some(deleted) => format!("the webhook was deleted only later, at {deleted}"),
    };
    check("not_deleted", !was_deleted, detail)
}

fn event_type(event: &Event, then: &Then) -> Check {
    let (wanted, published) = (&then.event_type, &event.draft.event_type);
    let passed = then.wants(published);
    let detail = if wanted.is_all() {
        "the webhook receives all types".to_owned()
    } else if passed {
        format!("the webhook receives `{wanted}`")
    } else {
        format!("the webhook receives `{wanted}`; the event is `{published}`")
    };
    check("event_type", passed, detail)
}

fn active(then: &Then) -> Check {
    let (passed, detail) = match then.standing {
        Standing::Active => (Some(true), "the webhook was active when the event was accepted"),
        Standing::Inactive => (Some(false), "the webhook was inactive when the event was accepted"),
        Standing::Deleted => (None, "not looked at: the webhook was deleted before"),
    };
    Check { check: "active", passed, detail: detail.to_owned() }
}

fn condition(event: &Event, subscription: &Remembered, profiles: &Profiles) -> Check {
    let name = &subscription.then.profile;
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

/// Says so if the webhook is set otherwise today, or if it is not known how it was set when the event was accepted.
fn changed_since(event: &Event, subscription: &Remembered) -> String {
    let changed_at = subscription.filters_changed_at;
    if !subscription.then.is_exact {
        return format!(
            " (as the webhook is set since {changed_at}; how it was set when the event was accepted is not known)"
        );
    }
    if changed_at <= event.created_at || !subscription.was_there {
        return String::new();
    }
    format!(" (as the webhook was set when the event was accepted; it was changed at {changed_at})")
}

fn filters(event: &Event, subscription: &Remembered, profiles: &Profiles) -> Check {
    let changed = changed_since(event, subscription);
    match Judge::new(profiles, event).failing_place(&subscription.then.filters, &subscription.then.profile) {
        None => check("filters", true, format!("the filter lets it pass{changed}")),
        Some(place) => check("filters", false, format!("the filter turns it away at `{place}`{changed}")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::event_type::EventTypeName;
    use crate::filter::Filter;
    use crate::profile::Example;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn named(name: &str) -> EventTypeName {
        EventTypeName::parse(name).expect("well-formed")
    }

    fn subscription() -> Remembered {
        Remembered {
            created_at: at(1),
            deleted_at: None,
            filters_changed_at: at(1),
            was_there: true,
            then: Then {
                event_type: named("case.completed"),
                profile: "aplyid".to_owned(),
                filters: Filter::everything(),
                is_exact: true,
                standing: Standing::Active,
            },
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
    #[case(|s: &mut Remembered| s.was_there = false, &["created"])]
    #[case(|s: &mut Remembered| s.then.standing = Standing::Deleted, &["not_deleted"])]
    #[case(|s: &mut Remembered| s.deleted_at = Some(at(9)), &[])]
    #[case(|s: &mut Remembered| s.then.event_type = named("case.opened"), &["event_type"])]
    #[case(|s: &mut Remembered| s.then.event_type = named("all"), &[])]
    #[case(|s: &mut Remembered| s.then.standing = Standing::Inactive, &["active"])]
    #[case(|s: &mut Remembered| s.then.filters = Filter::compile(r#"{"country":"TH"}"#).expect("usable"), &["filters"])]
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
