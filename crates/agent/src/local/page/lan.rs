//! Who may see the pages: who is on the local network.

use std::net::IpAddr;

use ipnet::IpNet;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// Whether somebody is near: on this machine, on a network that it is a part of, or on one that the
/// configuration names.
pub(crate) fn is_near(peer: IpAddr, own: &[IpNet], further: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    peer.is_loopback()
        || own
            .iter()
            .chain(further)
            .any(|network| network.prefix_len() > 0 && network.contains(&peer))
}

/// The networks that this machine is a part of. One that leads to a single other end (a tunnel, a
/// modem) is none of the site's.
pub(crate) fn own() -> Vec<IpNet> {
    let found = match getifaddrs() {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "the network interfaces cannot be listed");
            return Vec::new();
        }
    };
    let far = InterfaceFlags::IFF_POINTOPOINT;
    found
        .filter(|part| part.flags.contains(InterfaceFlags::IFF_UP) && !part.flags.intersects(far))
        .filter_map(|part| {
            let (address, mask) = (part.address?, part.netmask?);
            let v4 = |storage: &nix::sys::socket::SockaddrStorage| {
                storage.as_sockaddr_in().map(|found| found.ip())
            };
            let v6 = |storage: &nix::sys::socket::SockaddrStorage| {
                storage.as_sockaddr_in6().map(|found| found.ip())
            };
            let (address, mask): (IpAddr, IpAddr) = match (v4(&address), v4(&mask)) {
                (Some(address), Some(mask)) => (address.into(), mask.into()),
                _ => (v6(&address)?.into(), v6(&mask)?.into()),
            };
            IpNet::with_netmask(address, mask).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(peer: &str, own: &[&str], further: &[&str]) -> bool {
        let read = |texts: &[&str]| -> Vec<IpNet> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        is_near(peer.parse().unwrap(), &read(own), &read(further))
    }

    #[test]
    fn who_is_on_a_network_of_this_machine_is_near_and_nobody_else_is() {
        let own = ["192.168.7.5/24", "2001:db8:7::5/64", "fe80::5/64"];
        for peer in [
            "192.168.7.200",
            "::ffff:192.168.7.200",
            "2001:db8:7::1",
            "fe80::1",
            "127.0.0.1",
            "::1",
        ] {
            assert!(near(peer, &own, &[]), "{peer}");
        }
        for peer in [
            "192.168.8.1",
            "::ffff:192.168.8.1",
            "10.0.0.1",
            "2001:db8:8::1",
            "8.8.8.8",
        ] {
            assert!(!near(peer, &own, &[]), "{peer}");
        }
    }

    #[test]
    fn a_network_that_is_named_is_near_too() {
        assert!(near("10.20.3.4", &["192.168.7.5/24"], &["10.20.0.0/16"]));
        assert!(!near("10.21.3.4", &["192.168.7.5/24"], &["10.20.0.0/16"]));
    }

    #[test]
    fn an_interface_without_a_mask_does_not_bring_the_internet_near() {
        assert!(!near("8.8.8.8", &["192.168.7.5/0", "::/0"], &[]));
    }

    #[test]
    fn this_machine_is_on_loopback() {
        assert!(own().iter().any(|network| network.addr().is_loopback()));
    }
}
