//! How often keys that nobody has may be tried from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postrider_core::Timestamp;

/// So many may fail at once.
const AT_ONCE: u32 = 50;

/// Then one more in this time.
const ONE_MORE_EVERY: Duration = Duration::from_millis(200);

/// Most addresses remembered; beyond, those are forgotten that may have their number again.
const CAPACITY: usize = 10_000;

/// Failures of each address, as the time at which they all will be forgotten.
#[derive(Debug, Default)]
pub(crate) struct FailedKeys(Mutex<HashMap<IpAddr, Timestamp>>);

impl FailedKeys {
    /// How long to wait until another key may be tried from there; `None` if one may now.
    pub(crate) fn wait(&self, from: IpAddr, now: Timestamp) -> Option<Duration> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten_at = failures.get(&network(from))?;
        let over = forgotten_at.since(now).saturating_sub(ONE_MORE_EVERY * (AT_ONCE - 1));
        (!over.is_zero()).then_some(over)
    }

    /// A key from there was nobody's.
    pub(crate) fn note(&self, from: IpAddr, now: Timestamp) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= CAPACITY {
            failures.retain(|_, forgotten_at| *forgotten_at > now);
        }
        if failures.len() >= CAPACITY {
            failures.clear();
        }
        let forgotten_at = failures.entry(network(from)).or_insert(now);
        *forgotten_at = (*forgotten_at).max(now) + ONE_MORE_EVERY;
    }
}

/// Whoever has one address of IPv6 has all that begin with the same 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_failures_and_then_one_each_200_ms() {
        let failed = FailedKeys::default();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..AT_ONCE {
            assert_eq!(failed.wait(one, at(0)), None);
            failed.note(one, at(0));
        }
        assert_eq!(failed.wait(one, at(0)), Some(ONE_MORE_EVERY));
        assert_eq!(failed.wait(other, at(0)), None);
        assert_eq!(failed.wait(one, at(200)), None);
        failed.note(one, at(200));
        assert_eq!(failed.wait(one, at(399)), Some(Duration::from_millis(1)));
        assert_eq!(failed.wait(one, at(60_000)), None);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_and_mapped_addresses_as_ipv4() {
        assert_eq!(network(address("2001:db8:1:2::1")), network(address("2001:db8:1:2:ffff::9")));
        assert_ne!(network(address("2001:db8:1:2::1")), network(address("2001:db8:1:3::1")));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_is_room_for() {
        let failed = FailedKeys::default();
        for number in 0..=u32::try_from(CAPACITY).expect("small") {
            failed.note(IpAddr::V4(number.into()), at(0));
        }
        assert!(failed.0.lock().expect("unpoisoned").len() <= CAPACITY);
    }
}
