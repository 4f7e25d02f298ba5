//! The machine's ways onto local networks.

use std::io;
use std::net::IpAddr;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;

/// The most interfaces that are used; a device has one or two.
const INTERFACES_MAX: usize = 16;
/// The most addresses of an interface that are used.
const ADDRESSES_MAX: usize = 16;

/// A way onto a local network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) name: String,
    /// Its number, by which IPv6 knows it.
    pub(super) index: u32,
    /// Its addresses, with the length of their prefix in bits.
    pub(super) addresses: Vec<(IpAddr, u8)>,
}

/// The interfaces that are up, lead to a network with more than one neighbour, and have an address;
/// of them those that are named, or all where none is.
pub(super) fn usable(only: &[String]) -> io::Result<Vec<Interface>> {
    let mut interfaces: Vec<Interface> = Vec::new();
    for part in getifaddrs()? {
        if !is_wanted(&part, only) {
            continue;
        }
        let known = interfaces
            .iter()
            .position(|one| one.name == part.interface_name);
        let at = known.unwrap_or(interfaces.len());
        if at == INTERFACES_MAX {
            continue;
        }
        if at == interfaces.len() {
            let name = part.interface_name.clone();
            interfaces.push(Interface {
                name,
                ..Interface::default()
            });
        }
        if let Some(interface) = interfaces.get_mut(at) {
            take(interface, &part);
        }
    }
    interfaces.retain(|one| one.index != 0 && !one.addresses.is_empty());
    Ok(interfaces)
}

fn is_wanted(part: &InterfaceAddress, only: &[String]) -> bool {
    let up = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING | InterfaceFlags::IFF_MULTICAST;
    let alone = InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_POINTOPOINT;
    let named = only.is_empty() || only.contains(&part.interface_name);
    named && part.flags.contains(up) && !part.flags.intersects(alone)
}

fn take(interface: &mut Interface, part: &InterfaceAddress) {
    let Some(address) = &part.address else {
        return;
    };
    if let Some(link) = address.as_link_addr() {
        interface.index = u32::try_from(link.ifindex()).unwrap_or_default();
        return;
    }
    let mask = part.netmask.as_ref();
    let v4 = address.as_sockaddr_in().map(|own| {
        let mask = mask.and_then(|mask| mask.as_sockaddr_in());
        let ones = mask.map_or(32, |mask| mask.ip().to_bits().leading_ones());
        (IpAddr::V4(own.ip()), ones)
    });
    let v6 = address.as_sockaddr_in6().map(|own| {
        let mask = mask.and_then(|mask| mask.as_sockaddr_in6());
        let ones = mask.map_or(128, |mask| mask.ip().to_bits().leading_ones());
        (IpAddr::V6(own.ip()), ones)
    });
    if let Some((own, ones)) = v4.or(v6)
        && interface.addresses.len() < ADDRESSES_MAX
    {
        // A mask has at most 128 bits.
        let prefix = u8::try_from(ones).unwrap_or(u8::MAX);
        interface.addresses.push((own, prefix));
    }
}
