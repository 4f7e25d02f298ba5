//! The sockets of LLMNR on an interface.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use outgate_wire::llmnr::{GROUP_V4, GROUP_V6, PORT};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::lan::interfaces::Interface;

/// Routers it may pass: groups of a link are not passed on, and some receivers want it whole (RFC
/// 4795 §2.5).
const HOPS: u32 = 255;
/// What is heard and said through on an interface, in each family that it has.
pub(super) struct Sockets {
    pub(super) v4: Option<Pair>,
    pub(super) v6: Option<Pair>,
}

/// The sockets of a family.
pub(super) struct Pair {
    pub(super) group: SocketAddr,
    /// Hears what goes to the group and nothing else: what is asked of a machine alone is not
    /// answered over UDP (RFC 4795 §2.4).
    pub(super) hears: UdpSocket,
    /// Asks for the own name.
    pub(super) asks: UdpSocket,
}

impl Sockets {
    pub(super) fn open(interface: &Interface) -> io::Result<Self> {
        let has = |v4: bool| {
            let mut own = interface.addresses.iter();
            own.any(|(own, _)| own.is_ipv4() == v4)
        };
        let v4 = SocketAddr::from((GROUP_V4, PORT));
        let v6 = SocketAddrV6::new(GROUP_V6, PORT, 0, interface.index);
        let pair = |group| Pair::open(interface, group);
        Ok(Self {
            v4: has(true).then(|| pair(v4)).transpose()?,
            v6: has(false).then(|| pair(v6.into())).transpose()?,
        })
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.v4.iter().chain(&self.v6)
    }
}

impl Pair {
    fn open(interface: &Interface, group: SocketAddr) -> io::Result<Self> {
        let any: IpAddr = match group {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let hears = socket(interface, group)?;
        match group {
            SocketAddr::V4(_) => {
                let on = InterfaceIndexOrAddress::Index(interface.index);
                hears.join_multicast_v4_n(&GROUP_V4, &on)?;
            }
            SocketAddr::V6(_) => hears.join_multicast_v6(&GROUP_V6, interface.index)?,
        }
        let asks = socket(interface, (any, 0).into())?;
        match group {
            SocketAddr::V4(_) => asks.set_multicast_loop_v4(false)?,
            SocketAddr::V6(_) => asks.set_multicast_loop_v6(false)?,
        }
        Ok(Self {
            group,
            hears: UdpSocket::from_std(hears.into())?,
            asks: UdpSocket::from_std(asks.into())?,
        })
    }
}

/// A socket that hears and speaks on this interface alone.
fn socket(interface: &Interface, own: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(own), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(interface.name.as_bytes()))?;
    if own.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_unicast_hops_v6(HOPS)?;
        socket.set_multicast_hops_v6(HOPS)?;
        socket.set_multicast_if_v6(interface.index)?;
    } else {
        socket.set_ttl_v4(HOPS)?;
        socket.set_multicast_ttl_v4(HOPS)?;
    }
    if own.port() != 0 {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&own.into())?;
    Ok(socket)
}
