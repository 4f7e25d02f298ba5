//! Ports for programs that cannot be told to choose one themselves.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Ports that are tried to find one that is free for UDP and TCP alike.
const PORT_TRIES: usize = 16;

/// A port of this machine that is free for TCP.
///
/// # Errors
/// As the system.
pub fn free() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A port of this machine that is free for both TCP and UDP.
///
/// # Errors
/// As the system; or none of 16 was free for both.
pub fn free_for_both() -> io::Result<SocketAddr> {
    for _ in 0..PORT_TRIES {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(io::Error::other("no port is free for both TCP and UDP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_taken() {
        let address = free_for_both().unwrap();
        UdpSocket::bind(address).unwrap();
        TcpListener::bind(address).unwrap();
        TcpListener::bind(free().unwrap()).unwrap();
    }
}
