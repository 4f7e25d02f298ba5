//! Running other people's programs.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How long a program may take to start.
const START: Duration = Duration::from_secs(60);

/// Time between two looks at whether it has.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// A running program; ended when dropped.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `command` in `folder` and waits until it answers at `address`.
    pub(crate) async fn start(mut command: Command, folder: &Path, address: SocketAddr) -> Self {
        let name = command.as_std().get_program().to_owned();
        let log = folder.join(format!("{}.log", name.to_string_lossy()));
        let file = File::create(&log).unwrap();
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name:?} cannot be started: {error}"));
        let mut program = Self { child, log };
        let give_up = Instant::now() + START;
        while TcpStream::connect(address).await.is_err() {
            let ended = program.child.try_wait().unwrap();
            let late = Instant::now() > give_up;
            assert!(ended.is_none() && !late, "{ended:?}: {}", program.log());
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        program
    }

    /// What it has written.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// A port that is free.
pub(crate) fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
