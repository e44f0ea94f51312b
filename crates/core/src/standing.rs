//! What a subscription was at a version of its tenant's catalogue: that decides who gets an event, not what it is now.

use crate::catalogue::Judge;
use crate::event_type::EventTypeName;
use crate::filter::Filter;

/// Whether a subscription receives anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Events pass it by.
    Inactive,
    /// It receives what matches.
    Active,
    /// It is there only for its log.
    Deleted,
}

impl Standing {
    /// For the store.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Inactive => 0,
            Self::Active => 1,
            Self::Deleted => 2,
        }
    }

    /// From the store.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        [Self::Inactive, Self::Active, Self::Deleted].into_iter().find(|standing| standing.code() == code)
    }

    /// That of a subscription that is there.
    #[must_use]
    pub const fn of_living(is_active: bool) -> Self {
        if is_active { Self::Active } else { Self::Inactive }
    }
}

/// What decided of a subscription who gets an event, from one version of the catalogue to the next.
#[derive(Clone, Debug)]
pub struct Then {
    /// What it received.
    pub event_type: EventTypeName,
    /// The wire format's name.
    pub profile: String,
    /// What the payload had to match.
    pub filters: Filter,
    /// Whether it had this format and filter when the event was accepted. Databases that were made before versions were kept
    /// do not tell what a subscription had before its last change.
    pub is_exact: bool,
    /// Whether it received anything.
    pub standing: Standing,
}

impl Then {
    /// Whether events of this type were for it, had it been active.
    #[must_use]
    pub fn wants(&self, event_type: &EventTypeName) -> bool {
        self.event_type.is_all() || self.event_type == *event_type
    }

    /// Whether its filter and format let the event pass. In doubt they do: nothing is lost.
    pub fn passes(&self, judge: &mut Judge<'_>) -> bool {
        !self.is_exact || judge.passes(&self.filters, &self.profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_again() {
        for standing in [Standing::Inactive, Standing::Active, Standing::Deleted] {
            assert_eq!(Standing::from_code(standing.code()), Some(standing));
        }
        assert_eq!(Standing::from_code(3), None);
    }
}
