//! The networks that this machine is a part of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};

use crate::{evidence::Trouble, path::Source, run::Stop};

/// Most interfaces that are used. A product has one or two.
const INTERFACES_MAX: usize = 8;

/// Addresses of nobody (RFC 5737, RFC 3849), to which the routing table still names a way.
const SOMEBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
const SOMEBODY_V6: SocketAddr = SocketAddr::new(
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    9,
);

/// A way onto a local network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Its number, by which IPv6 knows it.
    pub(crate) index: u32,
    pub(crate) v4: Vec<Ipv4Addr>,
    pub(crate) v6: Vec<Ipv6Addr>,
    /// Its address below IP, if it has one of six bytes.
    pub(crate) hardware: Option<[u8; 6]>,
}

impl Interface {
    /// Whether this is one of its own addresses.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.v4.contains(&v4),
            IpAddr::V6(v6) => self.v6.contains(&v6),
        }
    }
}

/// The usable interfaces that lead where a path sets out: that of its source, else that of the route
/// to everywhere, else all.
pub(crate) fn of(source: &Source) -> Result<Vec<Interface>, Stop> {
    let mut all = usable()?;
    match source {
        Source::Interface(name) => all.retain(|one| one.name == *name),
        Source::Address(address) => all.retain(|one| one.has(*address)),
        Source::Any => {
            let own = [SOMEBODY, SOMEBODY_V6].into_iter().find_map(towards);
            if let Some(at) = all
                .iter()
                .position(|one| own.is_some_and(|own| one.has(own)))
            {
                all = vec![all.swap_remove(at)];
            }
        }
    }
    Ok(all)
}

/// The address from which this machine would send there. Nothing is sent.
fn towards(somebody: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match somebody {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(somebody).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The interfaces that are up and lead to a network with more than one neighbour, in the system's
/// order.
pub(crate) fn usable() -> Result<Vec<Interface>, Stop> {
    let found = getifaddrs().map_err(|error| Trouble::Local {
        what: format!("the network interfaces cannot be listed: {error}"),
    })?;
    let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
    let many = InterfaceFlags::IFF_MULTICAST | InterfaceFlags::IFF_BROADCAST;
    let unwanted = InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_POINTOPOINT;
    let mut interfaces: Vec<Interface> = Vec::new();
    for part in found {
        let flags = part.flags;
        if !flags.contains(wanted) || !flags.intersects(many) || flags.intersects(unwanted) {
            continue;
        }
        let Some(address) = part.address else {
            continue;
        };
        let known = interfaces
            .iter()
            .position(|one| one.name == part.interface_name);
        let at = match known {
            Some(at) => at,
            None if interfaces.len() < INTERFACES_MAX => {
                let name = part.interface_name;
                interfaces.push(Interface {
                    name,
                    ..Interface::default()
                });
                interfaces.len() - 1
            }
            None => continue,
        };
        let Some(interface) = interfaces.get_mut(at) else {
            continue;
        };
        if let Some(v4) = address.as_sockaddr_in() {
            interface.v4.push(v4.ip());
        } else if let Some(v6) = address.as_sockaddr_in6() {
            interface.v6.push(v6.ip());
        } else if let Some(link) = address.as_link_addr() {
            interface.index = u32::try_from(link.ifindex()).unwrap_or_default();
            interface.hardware = link.addr();
        }
    }
    Ok(interfaces)
}
