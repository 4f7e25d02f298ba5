//! Running other people's servers.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);

/// Time between two looks at whether it has.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// A running server with a directory of its own. Both are gone when it is dropped.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    child: Child,
    directory: TempDir,
}

impl Peer {
    /// Starts a server that answers TCP connections on this port.
    pub(crate) fn tcp(command: &mut Command, port: u16, directory: TempDir) -> Self {
        let mut peer = Self::spawn(command, port, directory);
        peer.wait(|address| TcpStream::connect(address).is_ok());
        peer
    }

    /// Starts a server that answers this datagram on this port.
    pub(crate) fn udp(
        command: &mut Command,
        port: u16,
        directory: TempDir,
        question: &[u8],
    ) -> Self {
        let mut peer = Self::spawn(command, port, directory);
        peer.wait(|address| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(200)))
                .unwrap();
            socket.connect(address).unwrap();
            socket.send(question).is_ok() && socket.recv(&mut [0; 600]).is_ok()
        });
        peer
    }

    fn spawn(command: &mut Command, port: u16, directory: TempDir) -> Self {
        let log = File::create(directory.path().join("log")).unwrap();
        let program = command.get_program().to_owned();
        let child = command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program:?} cannot be started: {error}"));
        Self {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            child,
            directory,
        }
    }

    fn wait(&mut self, ready: impl Fn(SocketAddr) -> bool) {
        let give_up = Instant::now() + START;
        while !ready(self.address) {
            let ended = self.child.try_wait().unwrap();
            let late = Instant::now() > give_up;
            assert!(ended.is_none() && !late, "{ended:?}: {}", self.log());
            std::thread::sleep(BETWEEN_TRIES);
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free for both TCP and UDP.
pub(crate) fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Writes a file into a server's directory.
pub(crate) fn write(
    directory: &TempDir,
    name: &str,
    content: impl AsRef<[u8]>,
) -> std::path::PathBuf {
    let path: &Path = directory.path();
    let path = path.join(name);
    std::fs::write(&path, content).unwrap();
    path
}
