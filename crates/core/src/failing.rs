//! Subscriptions that fail, and what is done about it.

use std::time::Duration;

use crate::Timestamp;

/// Attempts of a subscription that all failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streak {
    /// When the first ended.
    pub since: Timestamp,
    /// When the last did.
    pub last_at: Timestamp,
    /// How many.
    pub attempts: i64,
}

/// What some attempts in a row make of a streak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreakChange {
    /// One succeeded: what was before is over.
    pub is_over: bool,
    /// Those that failed after it, or all.
    pub more: Option<Streak>,
}

impl StreakChange {
    /// One more, in the order of their ends.
    pub fn note(&mut self, is_success: bool, at: Timestamp) {
        if is_success {
            *self = Self { is_over: true, more: None };
            return;
        }
        let more = self.more.get_or_insert(Streak { since: at, last_at: at, attempts: 0 });
        more.since = more.since.min(at);
        more.last_at = more.last_at.max(at);
        more.attempts += 1;
    }
}

/// After which parts of the patience somebody is warned, in hundredths.
const WARNED_AT: [u32; 3] = [10, 50, 80];

/// What is done about a subscription that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing yet.
    Wait,
    /// Somebody is told; so many warnings are due by now.
    Warn(i64),
    /// It is deactivated.
    Deactivate,
}

/// Judges a streak by how long it has been seen to last: from the first failure to the last, so that who is sent nothing is
/// not blamed for it. `patience` is how long a subscription may fail.
#[must_use]
pub fn remedy(streak: Streak, warnings: i64, patience: Duration) -> Remedy {
    let lasted = streak.last_at.since(streak.since);
    if lasted >= patience {
        return Remedy::Deactivate;
    }
    let due = WARNED_AT.iter().filter(|part| lasted >= patience * **part / 100).count();
    let due = i64::try_from(due).unwrap_or(i64::MAX);
    if due > warnings { Remedy::Warn(due) } else { Remedy::Wait }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn streak(hours: u64) -> Streak {
        let since = Timestamp::from_micros(0);
        Streak { since, last_at: since + Duration::from_secs(hours * 3_600), attempts: 2 }
    }

    #[rstest]
    #[case(0, 0, Remedy::Wait)]
    #[case(11, 0, Remedy::Wait)]
    #[case(12, 0, Remedy::Warn(1))]
    #[case(12, 1, Remedy::Wait)]
    #[case(60, 1, Remedy::Warn(2))]
    #[case(119, 0, Remedy::Warn(3))]
    #[case(119, 3, Remedy::Wait)]
    #[case(120, 0, Remedy::Deactivate)]
    fn of_five_days(#[case] hours: u64, #[case] warnings: i64, #[case] remedy: Remedy) {
        assert_eq!(super::remedy(streak(hours), warnings, 5 * DAY), remedy);
    }

    #[test]
    fn a_success_ends_a_streak() {
        let at = Timestamp::from_micros;
        let mut change = StreakChange::default();
        change.note(false, at(1));
        assert_eq!(
            change,
            StreakChange { is_over: false, more: Some(Streak { since: at(1), last_at: at(1), attempts: 1 }) }
        );
        change.note(true, at(2));
        assert_eq!(change, StreakChange { is_over: true, more: None });
        change.note(false, at(4));
        change.note(false, at(3));
        assert_eq!(
            change,
            StreakChange { is_over: true, more: Some(Streak { since: at(3), last_at: at(4), attempts: 2 }) }
        );
    }
}
