//! Running other people's servers.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use outgate_probe::{Ask, Host};
use outgate_testbed::{Program, free_for_both, installed};
use tempfile::TempDir;

/// How long a server may take to answer a datagram before it is sent another.
const BEFORE_THE_NEXT: Duration = Duration::from_millis(200);

/// Both addresses of the loopback.
pub(crate) const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// A running server with a directory of its own. Both are gone when it is dropped.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    _program: Program,
    _directory: TempDir,
}

impl Peer {
    /// Starts a server that answers TCP connections on this port.
    pub(crate) fn tcp(command: &mut Command, port: u16, directory: TempDir) -> Self {
        Self::tcp_at(command, (Ipv4Addr::LOCALHOST, port).into(), directory)
    }

    /// Starts a server that answers TCP connections at this address.
    pub(crate) fn tcp_at(command: &mut Command, at: SocketAddr, directory: TempDir) -> Self {
        Self::start(command, at, directory, accepts)
    }

    /// Starts a server that answers TCP connections on this port over IPv4 and over IPv6.
    pub(crate) fn tcp_on_both(command: &mut Command, port: u16, directory: TempDir) -> Self {
        Self::on_both(command, port, directory, accepts)
    }

    /// Starts a server on this port, and waits until it is `ready` over IPv4 and over IPv6.
    pub(crate) fn on_both(
        command: &mut Command,
        port: u16,
        directory: TempDir,
        ready: impl Fn(SocketAddr) -> bool,
    ) -> Self {
        let both = |_| LOOPBACK.into_iter().all(|ip| ready((ip, port).into()));
        Self::start(command, (Ipv4Addr::LOCALHOST, port).into(), directory, both)
    }

    /// Starts a server that answers this datagram at this address.
    pub(crate) fn udp_at(
        command: &mut Command,
        at: SocketAddr,
        directory: TempDir,
        question: &[u8],
    ) -> Self {
        let answers = |address| replies(address, question);
        Self::start(command, at, directory, answers)
    }

    /// Starts a server that answers this datagram on this port.
    pub(crate) fn udp(
        command: &mut Command,
        port: u16,
        directory: TempDir,
        question: &[u8],
    ) -> Self {
        let at = (Ipv4Addr::LOCALHOST, port).into();
        Self::udp_at(command, at, directory, question)
    }

    /// Starts a server that answers this datagram on this port over IPv4 and over IPv6.
    pub(crate) fn udp_on_both(
        command: &mut Command,
        port: u16,
        directory: TempDir,
        question: &[u8],
    ) -> Self {
        Self::on_both(command, port, directory, |at| replies(at, question))
    }

    /// Where a server on both families is, over IPv4 and over IPv6.
    pub(crate) fn addresses(&self) -> [SocketAddr; 2] {
        LOOPBACK.map(|ip| (ip, self.address.port()).into())
    }

    fn start(
        command: &mut Command,
        address: SocketAddr,
        directory: TempDir,
        answers: impl Fn(SocketAddr) -> bool,
    ) -> Self {
        let program = Program::start_until(command, directory.path(), address, answers);
        Self {
            address,
            _program: program.unwrap(),
            _directory: directory,
        }
    }
}

pub(crate) fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

pub(crate) fn replies(address: SocketAddr, question: &[u8]) -> bool {
    let own = LOOPBACK[usize::from(address.is_ipv6())];
    let socket = UdpSocket::bind((own, 0)).unwrap();
    socket.set_read_timeout(Some(BEFORE_THE_NEXT)).unwrap();
    socket.connect(address).unwrap();
    socket.send(question).is_ok() && socket.recv(&mut [0; 600]).is_ok()
}

/// An ask as a lane has it by name, and the same by the address that the server is at.
pub(crate) fn by_name_and_address(ask: &Ask, at: SocketAddr) -> [Ask; 2] {
    let by_address = Ask {
        host: Host::Address(at.ip()),
        port: Some(at.port()),
        ..ask.clone()
    };
    [ask.clone(), by_address]
}

/// A port that is free for both TCP and UDP.
pub(crate) fn free_port() -> u16 {
    free_for_both().unwrap().port()
}

/// The folder that a program's package is unpacked in: the root of the file system where it is
/// installed.
pub(crate) fn root_of(program: &str) -> PathBuf {
    // .../usr/sbin/program
    installed(program)
        .unwrap()
        .ancestors()
        .nth(3)
        .unwrap()
        .to_owned()
}

/// Writes a file into a server's directory.
pub(crate) fn write(directory: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}
