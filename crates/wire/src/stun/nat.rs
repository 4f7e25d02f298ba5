//! What answers to binding requests tell of a NAT (RFC 5780 §4).

use std::net::{IpAddr, SocketAddr};

/// How a NAT's choice depends on whom the inside talks to (RFC 4787 §4.1, §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// It does not.
    EndpointIndependent,
    /// On the address.
    AddressDependent,
    /// On the address and the port.
    AddressAndPortDependent,
}

/// The mapping behaviour (RFC 5780 §4.3): as whom one socket was seen by three ends of a server.
/// `first` is its address and port, `address` has another address and the same port, `both` has
/// another address and another port.
pub fn mapping(first: SocketAddr, address: SocketAddr, both: SocketAddr) -> Behaviour {
    if first == address && address == both {
        Behaviour::EndpointIndependent
    } else if address == both {
        Behaviour::AddressDependent
    } else {
        Behaviour::AddressAndPortDependent
    }
}

/// The filtering behaviour (RFC 5780 §4.4): whether a socket that had only talked to a server's
/// first address and port heard from `both` another address and port, and from another `port`.
pub fn filtering(both: bool, port: bool) -> Behaviour {
    match (both, port) {
        (true, _) => Behaviour::EndpointIndependent,
        (false, true) => Behaviour::AddressDependent,
        (false, false) => Behaviour::AddressAndPortDependent,
    }
}

/// Whether a server's OTHER-ADDRESS can be asked: it is somewhere else, of the same family, and no
/// place that only the asker's own networks have while the server is on the Internet.
///
/// # Errors
///
/// Why it cannot.
pub fn usable_other_address(
    server: SocketAddr,
    other: SocketAddr,
) -> Result<(), OtherAddressError> {
    if server.is_ipv4() != other.is_ipv4() {
        return Err(OtherAddressError::OtherFamily);
    }
    if server.ip() == other.ip() || server.port() == other.port() || other.port() == 0 {
        return Err(OtherAddressError::NotOther);
    }
    if other.ip().is_multicast() || other.ip().is_unspecified() || is_broadcast(other.ip()) {
        return Err(OtherAddressError::NotAHost);
    }
    // A server must not have us knock at doors that only stand open from here.
    if is_local(other.ip()) && !is_local(server.ip()) {
        return Err(OtherAddressError::Local);
    }
    Ok(())
}

fn is_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

/// Loopback, link-local and private addresses (RFC 1918, RFC 3927, RFC 4193, RFC 6598).
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let shared = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
            address.is_loopback() || address.is_private() || address.is_link_local() || shared
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address
                    .to_ipv4_mapped()
                    .is_some_and(|address| is_local(address.into()))
        }
    }
}

/// Why an OTHER-ADDRESS is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OtherAddressError {
    /// IPv4 where IPv6 was asked, or the other way round.
    #[error("the server's other address is of another family")]
    OtherFamily,
    /// The address or the port is the same.
    #[error("the server's other address is not another address and another port")]
    NotOther,
    /// Nobody in particular.
    #[error("the server's other address is no host's")]
    NotAHost,
    /// A server on the Internet names an address of a local network.
    #[error("the server's other address is one of a local network")]
    Local,
}
