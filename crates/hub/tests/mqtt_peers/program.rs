//! Running other people's programs.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The longest that a client may run: far more than any needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Time between two looks at what a server does.
pub(crate) const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// A server that runs; killed when dropped.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command` in `folder` and waits until it answers at `port`.
    pub(crate) async fn start(command: &mut Command, folder: &Path, port: u16) -> Self {
        let name = command.as_std().get_program().to_owned();
        let log = folder.join(format!("{}-{port}.log", name.to_string_lossy()));
        let file = File::create(&log).unwrap();
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name:?}: {error}; `cargo xtask test` installs it"));
        let mut server = Self { child, log };
        let give_up = Instant::now() + PATIENCE;
        while TcpStream::connect(local(port)).await.is_err() {
            let ended = server.child.try_wait().unwrap();
            let late = Instant::now() > give_up;
            assert!(ended.is_none() && !late, "{ended:?}: {}", server.log());
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        server
    }

    /// What it has written.
    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Runs a client to its end and gives what it wrote. It is killed when the test ends first.
pub(crate) async fn run(command: &mut Command) -> String {
    let child = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, child)
        .await
        .expect("a client does not end");
    let output = output.expect("a client is missing; `cargo xtask test` installs it");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// The folder of the Python and Node packages.
pub(crate) fn packages() -> PathBuf {
    let peers = std::env::var_os("OUTGATE_PEERS");
    PathBuf::from(peers.expect("OUTGATE_PEERS is not set: run `cargo xtask test`, which sets it"))
}

/// A port that is free.
pub(crate) fn free() -> u16 {
    let listener = TcpListener::bind(local(0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}
