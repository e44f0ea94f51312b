//! How often keys that nobody has may be tried from one address. The same again is none more: a client that was
//! not told of a new key does not use up what those beside it have.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postrider_core::Timestamp;
use postrider_core::api_key::KeyHash;

/// So many may fail at once.
const AT_ONCE: u32 = 50;

/// Then one more in this time.
const ONE_MORE_EVERY: Duration = Duration::from_millis(200);

/// How long a key is known to be nobody's.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// Most addresses remembered, and most keys; beyond, those are forgotten whose time has passed, or all.
const CAPACITY: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct FailedKeys(Mutex<Failures>);

/// Each with the time at which it is forgotten.
#[derive(Debug, Default)]
struct Failures {
    /// What came from an address: each failure adds to its time.
    addresses: HashMap<IpAddr, Timestamp>,
    keys: HashMap<KeyHash, Timestamp>,
}

impl FailedKeys {
    /// How long to wait until another key may be tried from there; `None` if one may now.
    pub(crate) fn wait(&self, from: IpAddr, now: Timestamp) -> Option<Duration> {
        let failures = self.lock();
        let forgotten_at = failures.addresses.get(&network(from))?;
        let over = forgotten_at.since(now).saturating_sub(ONE_MORE_EVERY * (AT_ONCE - 1));
        (!over.is_zero()).then_some(over)
    }

    /// Whether it was found just now that nobody has this key.
    pub(crate) fn knows(&self, key: &KeyHash, now: Timestamp) -> bool {
        self.lock().keys.get(key).is_some_and(|forgotten_at| *forgotten_at > now)
    }

    /// A key from there was nobody's.
    pub(crate) fn note(&self, from: IpAddr, key: KeyHash, now: Timestamp) {
        let mut failures = self.lock();
        make_room(&mut failures.addresses, now);
        let forgotten_at = failures.addresses.entry(network(from)).or_insert(now);
        *forgotten_at = (*forgotten_at).max(now) + ONE_MORE_EVERY;
        make_room(&mut failures.keys, now);
        failures.keys.insert(key, now + KNOWN_FOR);
    }

    fn lock(&self) -> MutexGuard<'_, Failures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets those whose time has passed, when there are very many; or all.
pub(crate) fn make_room<K>(times: &mut HashMap<K, Timestamp>, now: Timestamp) {
    if times.len() >= CAPACITY {
        times.retain(|_, forgotten_at| *forgotten_at > now);
    }
    if times.len() >= CAPACITY {
        times.clear();
    }
}

/// Whoever has one address of IPv6 has all that begin with the same 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyHash = KeyHash([7; 32]);

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
            failed.note(one, KEY, at(0));
        }
        assert_eq!(failed.wait(one, at(0)), Some(ONE_MORE_EVERY));
        assert_eq!(failed.wait(other, at(0)), None);
        assert_eq!(failed.wait(one, at(200)), None);
        failed.note(one, KEY, at(200));
        assert_eq!(failed.wait(one, at(399)), Some(Duration::from_millis(1)));
        assert_eq!(failed.wait(one, at(60_000)), None);
    }

    #[test]
    fn a_key_is_known_to_be_nobodys_for_a_while() {
        let failed = FailedKeys::default();
        assert!(!failed.knows(&KEY, at(0)));
        failed.note(address("192.0.2.1"), KEY, at(0));
        assert!(failed.knows(&KEY, at(4999)) && !failed.knows(&KEY, at(5000)));
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
            let mut key = KEY;
            key.0[..4].copy_from_slice(&number.to_be_bytes());
            failed.note(IpAddr::V4(number.into()), key, at(0));
        }
        let failures = failed.lock();
        assert!(failures.addresses.len() <= CAPACITY && failures.keys.len() <= CAPACITY);
    }
}
