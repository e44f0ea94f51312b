//! Which addresses are dialled: those that the policy permits, but for this machine's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use postrider_core::address::AddressPolicy;

/// Whether an address may be dialled now. A public address of this machine leads to what listens here for nobody but this
/// machine's neighbours; only who names it in `targets.allow` means that.
pub(crate) fn may_dial(policy: &AddressPolicy, address: IpAddr) -> bool {
    policy.permits(address) && (policy.names(address) || !is_own(address))
}

/// Whether this machine has the address: then the way there begins where it ends. Nothing is sent: for datagrams, to
/// connect is to choose the way.
fn is_own(address: IpAddr) -> bool {
    let any = if address.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let chosen = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 443))?;
        socket.local_addr()
    });
    // Without a way there is nothing to dial.
    chosen.is_ok_and(|local| local.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_its_loopback_and_not_the_others() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_own(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}
