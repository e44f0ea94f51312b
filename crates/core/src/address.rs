//! Which addresses may be dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// IPv4 blocks that are not public: those of the IANA IPv4 Special-Purpose Address Registry that are
/// not globally reachable, multicast (RFC 5771), 6to4 relays (RFC 7526), and the address at which
/// Azure serves its virtual machines.
const NOT_PUBLIC_V4: [(Ipv4Addr, u8); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// IPv6 blocks that are not public: those of the IANA IPv6 Special-Purpose Address Registry that are
/// not globally reachable, multicast, and every way to write an IPv4 address inside an IPv6 one
/// (mapped, compatible, translated, NAT64, 6to4, Teredo as a part of 2001::/23).
const NOT_PUBLIC_V6: [(Ipv6Addr, u8); 16] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x100, 0, 0, 1, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

/// Whether anyone on the internet could have this address.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !NOT_PUBLIC_V4.iter().any(|(block, bits)| {
            let mask = u32::MAX << (32 - bits);
            v4.to_bits() & mask == block.to_bits()
        }),
        IpAddr::V6(v6) => {
            let special = NOT_PUBLIC_V6.iter().any(|(block, bits)| {
                let mask = u128::MAX << (128 - bits);
                v6.to_bits() & mask == block.to_bits()
            });
            !special && !is_isatap(v6)
        }
    }
}

/// ISATAP (RFC 5214, section 6.1): an interface id of `0000:5efe` or `0200:5efe` and an IPv4 address.
const fn is_isatap(address: Ipv6Addr) -> bool {
    let [.., high, low, _, _] = address.segments();
    low == 0x5efe && (high == 0 || high == 0x200)
}

/// What may be dialled: public addresses, and what the operator adds or takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Permit this machine itself (`--dev`).
    pub loopback: bool,
    /// Permitted though not public (`POSTRIDER_TARGETS_ALLOW`).
    pub allow: Vec<IpNet>,
    /// Never permitted (`POSTRIDER_TARGETS_DENY`); wins over all else.
    pub deny: Vec<IpNet>,
}

impl AddressPolicy {
    /// What may be dialled of a resolver's answer.
    pub fn of_answer(&self, answer: impl IntoIterator<Item = IpAddr>) -> impl Iterator<Item = IpAddr> {
        answer.into_iter().filter(|address| self.permits(*address))
    }

    /// Whether somebody named this address, or a block that it is in, or permits this machine: it is meant, also if it
    /// is the address of this very machine.
    #[must_use]
    pub fn names(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        let is_in = |net: &IpNet| net.contains(&address) || net.contains(&plain);
        self.allow.iter().any(is_in) || (self.loopback && plain.is_loopback())
    }

    /// Whether `address` may be dialled.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        let listed = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address) || net.contains(&plain));
        if listed(&self.deny) {
            return false;
        }
        listed(&self.allow) || (self.loopback && plain.is_loopback()) || is_public(address)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[rstest]
    #[case("0.0.0.0", "0.255.255.255", "1.0.0.0")]
    #[case("10.0.0.0", "10.255.255.255", "11.0.0.0")]
    #[case("100.64.0.0", "100.127.255.255", "100.128.0.0")]
    #[case("127.0.0.0", "127.255.255.255", "128.0.0.0")]
    #[case("168.63.129.16", "168.63.129.16", "168.63.129.17")]
    #[case("169.254.0.0", "169.254.255.255", "169.255.0.0")]
    #[case("172.16.0.0", "172.31.255.255", "172.32.0.0")]
    #[case("192.0.0.0", "192.0.0.255", "192.0.1.0")]
    #[case("192.0.2.0", "192.0.2.255", "192.0.3.0")]
    #[case("192.88.99.0", "192.88.99.255", "192.88.100.0")]
    #[case("192.168.0.0", "192.168.255.255", "192.169.0.0")]
    #[case("198.18.0.0", "198.19.255.255", "198.20.0.0")]
    #[case("198.51.100.0", "198.51.100.255", "198.51.101.0")]
    #[case("203.0.113.0", "203.0.113.255", "203.0.114.0")]
    #[case("::", "::ffff", "1::")]
    #[case("::ffff:0.0.0.0", "::ffff:255.255.255.255", "::1:0:0:0")]
    #[case("64:ff9b::", "64:ff9b::8.8.8.8", "64:ff9c::")]
    #[case("64:ff9b:1::", "64:ff9b:1:ffff::1", "64:ff9b:2::")]
    #[case("100::", "100::ffff:1", "100:0:0:2::")]
    #[case("2001::", "2001:1ff:ffff::", "2001:200::")]
    #[case("2001:db8::", "2001:db8:ffff::", "2001:db9::")]
    #[case("2002::", "2002:ffff::", "2003::")]
    #[case("3fff::", "3fff:fff:ffff::", "3fff:1000::")]
    #[case("5f00::", "5f00:ffff::", "5f01::")]
    #[case("fc00::", "fdff:ffff::", "fbff:ffff::")]
    #[case("fe80::", "febf:ffff::", "fe7f:ffff::")]
    fn blocks_end_where_they_should(#[case] first: &str, #[case] last: &str, #[case] outside: &str) {
        assert!(!is_public(ip(first)), "{first}");
        assert!(!is_public(ip(last)), "{last}");
        assert!(is_public(ip(outside)), "{outside}");
    }

    #[rstest]
    #[case("224.0.0.1")]
    #[case("255.255.255.255")]
    #[case("ff02::1")]
    #[case("fec0::1")]
    #[case("2606:4700::5efe:10.0.0.1")]
    #[case("2606:4700::200:5efe:10.0.0.1")]
    fn never_public(#[case] address: &str) {
        assert!(!is_public(ip(address)));
    }

    #[test]
    fn answers_of_resolvers_lose_what_is_not_public() {
        let lines = include_str!("../corpus/answers.txt").lines();
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (answer, left) = line.split_once("->").expect("an answer and what is left");
            let read = |text: &str| text.split_whitespace().map(ip).collect::<Vec<_>>();
            assert_eq!(AddressPolicy::default().of_answer(read(answer)).collect::<Vec<_>>(), read(left), "{line}");
        }
    }

    #[test]
    fn deny_wins_over_allow_in_every_spelling() {
        let nets = |text: &str| vec![text.parse().expect("a net")];
        let policy = AddressPolicy { loopback: true, allow: nets("10.0.0.0/8"), deny: nets("10.1.0.0/16") };
        assert!(policy.permits(ip("10.2.0.1")) && policy.permits(ip("127.0.0.1")) && policy.permits(ip("::1")));
        assert!(!policy.permits(ip("10.1.0.1")) && !policy.permits(ip("::ffff:10.1.0.1")));
        assert!(!policy.permits(ip("192.168.0.1")));
        let nothing = AddressPolicy { deny: vec!["0.0.0.0/0".parse().expect("a net")], ..AddressPolicy::default() };
        assert!(!nothing.permits(ip("8.8.8.8")));
    }
}
