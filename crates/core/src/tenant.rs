//! A customer of the sender, who owns everything else.

use std::fmt;
use std::time::Duration;

use crate::redaction::RedactedPaths;
use crate::time::{duration_text, parse_duration};
use crate::{TenantId, Timestamp};

/// The tenant that every new installation has.
pub const DEFAULT_TENANT: &str = "default";

/// Longest name of a tenant, an API key or the like, in characters.
pub const NAME_LIMIT: usize = 128;

/// How long the payloads of ended events are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadRetention {
    /// As long as the installation says.
    #[default]
    Default,
    /// Until everything that the event was for has it, or was not to have it. What failed keeps its payload as long as
    /// the installation says, to be tried again.
    OnSuccess,
    /// So long after the last delivery ended.
    For(Duration),
}

impl PayloadRetention {
    /// Reads `default`, `on_success`, or a duration such as `12h`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "default" => Some(Self::Default),
            "on_success" => Some(Self::OnSuccess),
            _ => parse_duration(text).filter(|time| !time.is_zero()).map(Self::For),
        }
    }

    /// For the store: seconds; 0 is [`PayloadRetention::OnSuccess`], nothing is the installation's.
    #[must_use]
    pub fn stored(self) -> Option<i64> {
        match self {
            Self::Default => None,
            Self::OnSuccess => Some(0),
            Self::For(time) => Some(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)),
        }
    }

    /// Read back from the store.
    #[must_use]
    pub fn from_stored(seconds: Option<i64>) -> Self {
        match seconds {
            None => Self::Default,
            Some(seconds) if seconds <= 0 => Self::OnSuccess,
            Some(seconds) => Self::For(Duration::from_secs(seconds.unsigned_abs())),
        }
    }
}

impl fmt::Display for PayloadRetention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::OnSuccess => f.write_str("on_success"),
            Self::For(time) => f.write_str(&duration_text(*time)),
        }
    }
}

/// A customer of the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// What people call it; unique among the living.
    pub name: String,
    /// The wire format of what does not name one.
    pub default_profile: String,
    /// What of its payloads is shown only to keys with the scope `payloads`.
    pub redacted_paths: RedactedPaths,
    /// How long payloads are kept.
    pub payload_retention: PayloadRetention,
    /// When it was made.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("default")]
    #[case("on_success")]
    #[case("90s")]
    #[case("12h")]
    #[case("30d")]
    fn payload_retention_is_shown_and_stored_as_it_was_given(#[case] text: &str) {
        let retention = PayloadRetention::parse(text).expect("readable");
        assert_eq!(retention.to_string(), text);
        assert_eq!(PayloadRetention::from_stored(retention.stored()), retention);
    }

    #[rstest]
    #[case("0s")]
    #[case("never")]
    #[case("")]
    fn what_is_no_payload_retention_is_refused(#[case] text: &str) {
        assert_eq!(PayloadRetention::parse(text), None);
    }
}
