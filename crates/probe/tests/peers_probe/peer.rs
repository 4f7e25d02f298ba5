//! Running other people's servers.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use outgate_testbed::{Program, free_for_both};
use tempfile::TempDir;

/// How long a server may take to answer a datagram before it is sent another.
const BEFORE_THE_NEXT: Duration = Duration::from_millis(200);

/// A running server with a directory of its own. Both are gone when it is dropped.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    _program: Program,
    _directory: TempDir,
}

impl Peer {
    /// Starts a server that answers TCP connections on this port.
    pub(crate) fn tcp(command: &mut Command, port: u16, directory: TempDir) -> Self {
        let answers = |address| TcpStream::connect(address).is_ok();
        Self::start(command, port, directory, answers)
    }

    /// Starts a server that answers this datagram on this port.
    pub(crate) fn udp(
        command: &mut Command,
        port: u16,
        directory: TempDir,
        question: &[u8],
    ) -> Self {
        let answers = |address| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.set_read_timeout(Some(BEFORE_THE_NEXT)).unwrap();
            socket.connect(address).unwrap();
            socket.send(question).is_ok() && socket.recv(&mut [0; 600]).is_ok()
        };
        Self::start(command, port, directory, answers)
    }

    fn start(
        command: &mut Command,
        port: u16,
        directory: TempDir,
        answers: impl Fn(SocketAddr) -> bool,
    ) -> Self {
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let program = Program::start_until(command, directory.path(), address, answers);
        Self {
            address,
            _program: program.unwrap(),
            _directory: directory,
        }
    }
}

/// A port that is free for both TCP and UDP.
pub(crate) fn free_port() -> u16 {
    free_for_both().unwrap().port()
}

/// The folder that a program's package is unpacked in: the root of the file system where it is
/// installed.
pub(crate) fn root_of(program: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(program));
    let found = found.into_iter().find(|path| path.is_file());
    let found = found.unwrap_or_else(|| panic!("{program} is not there"));
    // .../usr/sbin/program
    found.ancestors().nth(3).unwrap().to_owned()
}

/// Writes a file into a server's directory.
pub(crate) fn write(directory: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}
