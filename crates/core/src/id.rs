//! One type for each kind of identifier, so that they cannot be mixed up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// Makes a UUID of version 7 (RFC 9562, section 5.7) from a time and ten random bytes.
///
/// Twelve bits hold the fraction of the millisecond (method 3 of section 6.2), so that ids made in
/// one process sort by the microsecond they were made in.
#[must_use]
pub fn uuid_v7(at: Timestamp, random: [u8; 10]) -> Uuid {
    let micros = u64::try_from(at.as_micros()).unwrap_or(0);
    let fraction = ((micros % 1000) * 4096 / 1000).to_be_bytes();
    let mut bytes = random;
    bytes[0] = fraction[6];
    bytes[1] = fraction[7];
    uuid::Builder::from_unix_timestamp_millis(micros / 1000, &bytes).into_uuid()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// All zeros: no row has it.
            pub const NIL: Self = Self(Uuid::nil());

            /// The plain UUID, as the store keeps it.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

ids! {
    /// A customer of the sender.
    TenantId;
    /// A credential. Not secret; the key itself is.
    ApiKeyId;
    /// An entry of the audit log.
    AuditId;
    /// Somebody who signs in.
    UserId;
    /// Sending again what happened in a period.
    ReplayId;
    /// A link that signs somebody in once.
    PortalLinkId;
    /// An event type → URL subscription (`webhook` in the REST API).
    SubscriptionId;
    /// A subscription to one resource.
    CallbackId;
    /// One accepted fact.
    EventId;
    /// One event at one target; the same on every try.
    DeliveryId;
}

/// One attempt (`log_id` in the REST API): a positive integer, rising in the order of recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(pub i64);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_microsecond_they_were_made_in() {
        let at = Timestamp::from_micros(1_800_000_000_123_456);
        let earlier = uuid_v7(at, [255; 10]);
        let later = uuid_v7(at.plus_micros(1), [0; 10]);
        assert!(earlier < later);
        assert_eq!(earlier.get_version_num(), 7);
        assert_eq!(earlier.get_variant(), uuid::Variant::RFC4122);
    }
}
