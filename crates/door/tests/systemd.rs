//! Sockets that are handed in, and what is told in return.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use outgate_door::systemd::{self, Notice};
use outgate_door::{
    Arrival, At, Carries, Door, Happening, Hook, Limits, Listener, Reception, Security, Settings,
    Tls,
};
use tokio::io::AsyncWriteExt;

/// How long a child may take to say what is waited for before the test is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says hello to everybody.
#[derive(Clone)]
struct Greeter;

impl Reception for Greeter {
    async fn receive(&self, mut arrival: Arrival) {
        let connection = &mut arrival.connection;
        // A caller that is gone needs no greeting.
        let _ = connection.write_all(b"hello").await;
        let _ = connection.shutdown().await;
    }
}

/// What the child processes of the other tests do; on its own it does nothing.
#[tokio::test]
async fn child() {
    if std::env::var_os("OUTGATE_TEST_CHILD").is_none() {
        return;
    }
    let listener = |index| Listener {
        at: At::Inherited(index),
        security: Security::Plain,
        carries: Carries::Http,
        proxies: Vec::new(),
    };
    let settings = Settings {
        listeners: (0..systemd::inherited()).map(listener).collect(),
        limits: Limits::default(),
    };
    let hook: Hook = Arc::new(|happening| {
        if *happening == Happening::AcceptFailed {
            // Anything that needs a file descriptor would fail.
            eprintln!("no connection can be accepted");
        }
    });
    let door = Door::open(settings, Tls::default(), hook).unwrap();
    systemd::tell(Notice::Ready);
    systemd::tell(Notice::Status("waiting for callers"));
    systemd::tell(Notice::Reloading);
    systemd::tell(Notice::Stopping);
    tokio::join!(
        door.serve(Greeter, std::future::pending()),
        systemd::keep_watchdog()
    );
}

#[test]
fn a_socket_that_is_handed_in_is_served() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let _child = Started::with_socket(socket, &[]);
    assert_eq!(greeting(address), "hello");
}

#[test]
fn systemd_hears_that_we_are_ready_that_we_reload_and_that_we_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let hears = UnixDatagram::bind(&path).unwrap();
    hears.set_read_timeout(Some(PATIENCE)).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let path = path.to_str().unwrap();
    let environment = [("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "200000")];
    let _child = Started::with_socket(socket, &environment);
    assert_eq!(heard(&hears), "READY=1");
    assert_eq!(heard(&hears), "STATUS=waiting for callers");
    let reloading = heard(&hears);
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(heard(&hears), "STOPPING=1");
    assert_eq!(heard(&hears), "WATCHDOG=1");
    assert_eq!(heard(&hears), "WATCHDOG=1");
}

#[test]
fn without_file_descriptors_the_door_waits_and_goes_on_when_there_are_some() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut child = Started::with_files(64, socket, &[]);
    let silent: Vec<TcpStream> = (0..64)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let said = BufReader::new(child.0.stderr.take().unwrap()).lines();
    let mut said = said.map(Result::unwrap);
    assert!(said.any(|line| line == "no connection can be accepted"));
    drop(silent);
    // So few files leave room for one connection, and the others may not be gone yet: then this
    // one is refused, but it is answered.
    let answer = greeting(address);
    assert!(["hello", "HTTP/"].contains(&answer.as_str()), "{answer}");
}

#[tokio::test]
async fn a_socket_that_was_not_handed_in_is_missed() {
    let settings = Settings {
        listeners: vec![Listener {
            at: At::Inherited(7),
            security: Security::Plain,
            carries: Carries::Everything,
            proxies: Vec::new(),
        }],
        limits: Limits::default(),
    };
    let error = Door::open(settings, Tls::default(), Arc::new(|_| {})).unwrap_err();
    assert!(error.to_string().contains("socket 7"), "{error}");
}

#[cfg(feature = "peers")]
#[test]
fn systemds_own_program_hands_sockets_in() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new("systemd-socket-activate");
    command
        .args(["-E", "OUTGATE_TEST_CHILD=1", "-l", &address.to_string()])
        .arg(exe)
        .args(["--exact", "child", "--nocapture"]);
    let _child = Started::spawn(&mut command);
    let give_up = std::time::Instant::now() + PATIENCE;
    // Nobody tells when it listens.
    while TcpStream::connect(address).is_err() {
        assert!(std::time::Instant::now() < give_up);
        std::thread::yield_now();
    }
    assert_eq!(greeting(address), "hello");
}

/// A running child, which ends with the test.
struct Started(Child);

impl Started {
    /// A child that is handed `socket` as systemd would: as file 3.
    fn with_socket(socket: TcpListener, environment: &[(&str, &str)]) -> Self {
        Self::with_files(1024, socket, environment)
    }

    /// The same for a child that may have so many files open.
    fn with_files(files: u32, socket: TcpListener, environment: &[(&str, &str)]) -> Self {
        let exe = std::env::current_exe().unwrap();
        let script = format!(
            "ulimit -n {files}; LISTEN_PID=$$ LISTEN_FDS=1 \
             exec \"$0\" --exact child --nocapture 3<&0 </dev/null"
        );
        Self::spawn(
            Command::new("sh")
                .args([Path::new("-c"), Path::new(&script), &exe])
                .env("OUTGATE_TEST_CHILD", "1")
                .envs(environment.iter().copied())
                .stdin(Stdio::from(OwnedFd::from(socket)))
                .stderr(Stdio::piped()),
        )
    }

    fn spawn(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is heard at `address`.
fn greeting(address: SocketAddr) -> String {
    let mut caller = TcpStream::connect(address).unwrap();
    caller.set_read_timeout(Some(PATIENCE)).unwrap();
    caller.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = [0; 5];
    caller.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn heard(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 512];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
}
