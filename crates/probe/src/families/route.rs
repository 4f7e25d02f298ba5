//! What this machine's routing table says about an address, without sending anything.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
};

use crate::path::Source;

/// Any port will do: none is ever spoken to.
const SOME_PORT: u16 = 53;

/// A way to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// There is one, or the attempt itself will tell better what is wrong.
    Known,
    /// There is none.
    None,
    /// There is one, but it leads to everybody on a network, and so to nobody who could be probed.
    Broadcast,
}

/// Connecting a datagram socket asks the routing table and sends nothing.
pub(super) fn to(address: IpAddr, source: &Source) -> Route {
    if !source.fits(address) {
        return Route::None;
    }
    // A group is reached without a route, on whatever network is chosen for it.
    if address.is_multicast() {
        return Route::Known;
    }
    let Ok(socket) = source.datagram_socket(address) else {
        // A machine without IPv6 has no such sockets. Whatever else is wrong is wrong again where
        // it is told apart.
        return if address.is_ipv4() || UdpSocket::bind("0.0.0.0:0").is_err() {
            Route::Known
        } else {
            Route::None
        };
    };
    let Err(error) = socket.connect(SocketAddr::new(address, SOME_PORT)) else {
        return Route::Known;
    };
    let kind = error.kind();
    if matches!(
        kind,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable
    ) {
        Route::None
    } else if kind == io::ErrorKind::PermissionDenied && is_broadcast(&socket, address) {
        Route::Broadcast
    } else {
        Route::Known
    }
}

/// Broadcast addresses are forbidden to a socket that does not ask to be allowed, and to no other.
fn is_broadcast(socket: &UdpSocket, address: IpAddr) -> bool {
    socket.set_broadcast(true).is_ok()
        && socket.connect(SocketAddr::new(address, SOME_PORT)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcast_addresses_are_told_from_others() {
        let route = |address: &str| to(address.parse().unwrap(), &Source::Any);
        assert_eq!(route("127.0.0.1"), Route::Known);
        assert_eq!(route("127.255.255.255"), Route::Broadcast);
    }
}
