//! Where a stand-in listens: on loopback, or in a network that is cut off from all others.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// An address and port to listen on. Port 0 lets the system choose.
///
/// There is no way to make one of an address that other machines can reach: stand-ins answer for
/// names that belong to others, so they must never be seen outside this machine. Other addresses
/// than loopback's are places only in a network namespace of the process's own making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place(SocketAddr);

impl Place {
    /// 127.0.0.1, at a port that the system chooses.
    pub fn v4() -> Self {
        Self(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0))
    }

    /// `[::1]`, at a port that the system chooses.
    pub fn v6() -> Self {
        Self(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0))
    }

    /// The same address at a port of the caller's choice.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self(SocketAddr::new(self.0.ip(), port))
    }

    /// Any address of 127.0.0.0/8, or `::1`, at a port that the system chooses.
    ///
    /// # Errors
    /// The address is not a loopback address.
    pub fn at(address: IpAddr) -> Result<Self, NotLoopback> {
        if address.is_loopback() {
            Ok(Self(SocketAddr::new(address, 0)))
        } else {
            Err(NotLoopback { address })
        }
    }

    /// Any address and port of the network namespace that this thread is in, for a lab.
    ///
    /// # Errors
    /// The thread is in the network that process 1 is in, which other machines may reach, or it
    /// cannot be told (Linux alone can).
    pub fn in_private_network(address: SocketAddr) -> Result<Self, NotPrivate> {
        let own = fs::read_link("/proc/thread-self/ns/net");
        let first = fs::read_link("/proc/1/ns/net");
        match (own, first) {
            (Ok(own), Ok(first)) if own != first => Ok(Self(address)),
            (Ok(_) | Err(_), Ok(_) | Err(_)) => Err(NotPrivate { address }),
        }
    }

    /// Another address or a group of the same network; none but loopback's beside loopback.
    pub(crate) fn beside(self, address: SocketAddr) -> Option<Self> {
        let known = address.ip().is_loopback() || !self.0.ip().is_loopback();
        known.then_some(Self(address))
    }

    /// The address and port.
    pub fn address(self) -> SocketAddr {
        self.0
    }
}

/// A stand-in was to listen at an address of the machine's own network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{address} is not in a private network namespace")]
pub struct NotPrivate {
    /// The address that was refused.
    pub address: SocketAddr,
}

/// A stand-in was to listen where other machines could reach it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{address} is not a loopback address")]
pub struct NotLoopback {
    /// The address that was refused.
    pub address: IpAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_network_is_no_private_one() {
        // Even where process 1 hides its own from us, nothing is shown, and it is refused.
        let address = "192.0.2.1:443".parse().unwrap();
        assert_eq!(
            Place::in_private_network(address),
            Err(NotPrivate { address })
        );
    }

    #[test]
    fn only_loopback_addresses_are_places() {
        for good in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert!(Place::at(good.parse().unwrap()).is_ok(), "{good}");
        }
        for bad in ["0.0.0.0", "::", "192.0.2.1", "::ffff:127.0.0.1", "fe80::1"] {
            assert!(Place::at(bad.parse().unwrap()).is_err(), "{bad}");
        }
    }
}
