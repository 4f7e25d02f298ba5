//! Ports for programs that cannot be told to choose one themselves.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Those to choose from. They end where those begin that Linux gives to whoever asks for any port
/// (`ip_local_port_range`, ip(7)), so that no other test is given one while its program starts, or
/// while nobody is to listen there.
const PORTS: Range<u16> = 21_000..32_768;

/// How many of them are tried until one is free.
const PORT_TRIES: usize = 256;

/// How far apart processes begin that were started one after the other: their ports may not be free
/// yet for programs that are strict about it.
const APART: u32 = 97;

/// How many have been chosen in this process.
static CHOSEN: AtomicU32 = AtomicU32::new(0);

/// A port of this machine that is free for TCP. No two that this process is given are the same, until
/// there are no more.
///
/// # Errors
/// As the system; or none of 256 was free.
pub fn free() -> io::Result<SocketAddr> {
    chosen(|_| true)
}

/// A port of this machine that is free for both TCP and UDP.
///
/// # Errors
/// As [`free`].
pub fn free_for_both() -> io::Result<SocketAddr> {
    chosen(|address| UdpSocket::bind(address).is_ok())
}

/// The next one that is free for TCP and is right.
fn chosen(is_right: impl Fn(SocketAddr) -> bool) -> io::Result<SocketAddr> {
    for _ in 0..PORT_TRIES {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, next()));
        match TcpListener::bind(address) {
            Ok(_listener) if is_right(address) => return Ok(address),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no port is free"))
}

fn next() -> u16 {
    let chosen = CHOSEN.fetch_add(1, Ordering::Relaxed);
    let place = process::id().wrapping_mul(APART).wrapping_add(chosen) % PORTS.len() as u32;
    // It is less than their number, which fits.
    PORTS.start + u16::try_from(place).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_free_port_can_be_taken() {
        let address = free_for_both().unwrap();
        UdpSocket::bind(address).unwrap();
        TcpListener::bind(address).unwrap();
        TcpListener::bind(free().unwrap()).unwrap();
    }

    #[test]
    fn no_port_is_given_twice_or_to_who_asks_for_any() {
        let given: BTreeSet<_> = (0..100).map(|_| free().unwrap().port()).collect();
        assert_eq!(given.len(), 100);
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
        let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
        assert!(given.iter().all(|port| *port < first), "{first}: {given:?}");
    }
}
