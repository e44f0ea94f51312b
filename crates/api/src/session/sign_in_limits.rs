//! How often it may be tried to sign in: a password is guessed by trying.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use postrider_core::Timestamp;
use tokio::sync::Semaphore;

use crate::failed_keys::network;
use crate::problem::Problem;
use crate::rate_limits::{RateLimits, RequestLimit};

const MINUTE: Duration = Duration::from_secs(60);
/// Of one name, from wherever.
const OF_NAME: RequestLimit = RequestLimit { requests: 20, window: MINUTE };
/// From one address, of whatever name.
const FROM_ADDRESS: RequestLimit = RequestLimit { requests: 60, window: MINUTE };

/// Tries to sign in, and how many passwords are looked at at once.
#[derive(Debug)]
pub(crate) struct SignInLimits {
    names: RateLimits<String>,
    addresses: RateLimits<IpAddr>,
    /// To look at a password takes a processor for a while, and 19 MiB: deliveries have the others.
    pub(crate) looking: Semaphore,
}

impl Default for SignInLimits {
    fn default() -> Self {
        let (names, addresses) = (RateLimits::new(Some(OF_NAME)), RateLimits::new(Some(FROM_ADDRESS)));
        Self { names, addresses, looking: Semaphore::new(1) }
    }
}

impl SignInLimits {
    /// Counts one try.
    pub(crate) fn take(&self, name: &str, from: Option<IpAddr>, now: Timestamp) -> Result<(), Problem> {
        let from = network(from.unwrap_or(Ipv4Addr::UNSPECIFIED.into()));
        let waits = [self.addresses.take(from, now), self.names.take(name.to_owned(), now)];
        let wait = waits.into_iter().flatten().filter_map(|left| left.wait).max();
        wait.map_or(Ok(()), |wait| Err(Problem::too_many("It was tried too often to sign in; wait a little.", wait)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_an_address_have_their_tries() {
        let (limits, now) = (SignInLimits::default(), Timestamp::from_micros(0));
        let from = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        for n in 0..20 {
            assert!(limits.take("anna", from(n), now).is_ok());
        }
        assert!(limits.take("anna", from(99), now).is_err(), "of that name, from wherever");
        assert!(limits.take("anna", from(99), now + Duration::from_secs(3)).is_ok());
        for n in 0..60 {
            assert!(limits.take(&n.to_string(), from(200), now).is_ok());
        }
        assert!(limits.take("other", from(200), now).is_err(), "from there, of whatever name");
    }
}
