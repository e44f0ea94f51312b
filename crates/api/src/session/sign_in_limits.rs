//! How often it may be tried to sign in: a password is guessed by trying.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use postrider_core::Timestamp;
use postrider_core::user::is_user_name;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::failed_keys::network;
use crate::problem::Problem;
use crate::rate_limits::{RateLimits, RequestLimit};

const MINUTE: Duration = Duration::from_secs(60);
/// From one address.
const FROM_ADDRESS: RequestLimit = RequestLimit { requests: 60, window: MINUTE };
/// Of one name from one address: whoever guesses keeps nobody elsewhere out.
const OF_NAME_THERE: RequestLimit = RequestLimit { requests: 20, window: MINUTE };
/// Of one name, from wherever.
const OF_NAME: RequestLimit = RequestLimit { requests: 200, window: MINUTE };
/// How many passwords may wait to be looked at: some two seconds of a processor.
const WAITING: usize = 64;

/// Tries to sign in, and how many passwords are looked at at once.
#[derive(Debug)]
pub(crate) struct SignInLimits {
    addresses: RateLimits<IpAddr>,
    names_there: RateLimits<(String, IpAddr)>,
    names: RateLimits<String>,
    waiting: Semaphore,
    looking: Semaphore,
}

/// The right to look at a password.
pub(crate) struct Turn<'a> {
    _waited: SemaphorePermit<'a>,
    _looking: SemaphorePermit<'a>,
}

impl Default for SignInLimits {
    fn default() -> Self {
        Self {
            addresses: RateLimits::new(Some(FROM_ADDRESS)),
            names_there: RateLimits::new(Some(OF_NAME_THERE)),
            names: RateLimits::new(Some(OF_NAME)),
            waiting: Semaphore::new(WAITING),
            looking: Semaphore::new(1),
        }
    }
}

impl SignInLimits {
    /// Counts one try from there, of that name if there is one.
    pub(crate) fn take(&self, name: Option<&str>, from: Option<IpAddr>, now: Timestamp) -> Result<(), Problem> {
        let from = network(from.unwrap_or(Ipv4Addr::UNSPECIFIED.into()));
        let mut waits = self.addresses.take(from, now).and_then(|left| left.wait);
        // What can be nobody's name takes up no memory.
        if let Some(name) = name.filter(|name| waits.is_none() && is_user_name(name)) {
            waits = self.names_there.take((name.to_owned(), from), now).and_then(|left| left.wait);
            if waits.is_none() {
                waits = self.names.take(name.to_owned(), now).and_then(|left| left.wait);
            }
        }
        waits.map_or(Ok(()), |wait| Err(Problem::too_many("It was tried too often to sign in; wait a little.", wait)))
    }

    /// Waits for the right to look at a password: that takes a processor for a while, and 19 MiB. Deliveries have the
    /// others.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, Problem> {
        let too_many = |_| Problem::too_many("Too many people sign in at once.", Duration::from_secs(2));
        let waited = self.waiting.try_acquire().map_err(too_many)?;
        let looking = self.looking.acquire().await.map_err(|_| Problem::internal())?;
        Ok(Turn { _waited: waited, _looking: looking })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn an_address_and_a_name_have_their_tries() {
        let (limits, now) = (SignInLimits::default(), Timestamp::from_micros(0));
        for _ in 0..20 {
            assert!(limits.take(Some("anna"), from(1), now).is_ok());
        }
        assert!(limits.take(Some("anna"), from(1), now).is_err(), "of that name, from there");
        assert!(limits.take(Some("anna"), from(2), now).is_ok(), "elsewhere she can");
        assert!(limits.take(Some("anna"), from(1), now + Duration::from_secs(3)).is_ok());
        for n in 0..60 {
            assert!(limits.take(Some(&n.to_string()), from(200), now).is_ok());
        }
        assert!(limits.take(None, from(200), now).is_err(), "from there, of whatever name");
        for n in 0..180 {
            assert!(limits.take(Some("tom"), from(n), now).is_ok());
        }
    }

    #[tokio::test]
    async fn no_endless_line_waits() {
        let limits = SignInLimits::default();
        let _one = limits.turn().await.expect("the first");
        let _rest = limits.waiting.try_acquire_many(u32::try_from(WAITING - 1).expect("small")).expect("free");
        assert!(limits.turn().await.is_err());
    }
}
