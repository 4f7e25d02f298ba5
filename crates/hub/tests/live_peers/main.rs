//! Live look-ups at APIs that others serve: nginx, and the server of Python's own library.
//!
//! Needs the programs in `xtask/peers`; `cargo xtask test` installs them.

#![cfg(test)]

#[expect(dead_code, reason = "other tests look at where its data lies")]
#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;
#[path = "../live/terminal.rs"]
mod terminal;

mod nginx;
mod python;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use http::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::running::Running;
use self::terminal::Terminal;

/// A hub without TLS that listens on loopback.
const PLAIN: &str = "[[listen]]\naddress = '127.0.0.1:0'\ntls = false\n";

/// A hub, and a terminal that may look things up.
struct Whole {
    running: Running,
    terminal: Terminal,
    token: String,
}

impl Whole {
    /// With these APIs.
    async fn with(upstreams: &str) -> Self {
        let text = format!("{PLAIN}{upstreams}");
        let running = Running::on(tempfile::tempdir().unwrap(), &text).await;
        running.furnish().await;
        let fleet = running.fleet("T*").await;
        let terminal = running.terminal("T7", &fleet).await;
        let token = terminal.token().await;
        Self {
            running,
            terminal,
            token,
        }
    }

    /// What the terminal is answered.
    async fn looks_up(&self, path: &str) -> (StatusCode, String) {
        let answer = self.terminal.look_up(&self.token, path).send();
        let answer = answer.await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// The status that it is answered with, and the kind of problem that the hub tells of.
    async fn fails(&self, path: &str) -> (u16, String) {
        let (status, text) = self.looks_up(path).await;
        let problem: Value = serde_json::from_str(&text).unwrap();
        let kind = problem["type"].as_str().unwrap();
        let kind = kind.strip_prefix("/problems/").unwrap().to_owned();
        (status.as_u16(), kind)
    }

    /// The status that it is answered with when it writes its path as it stands here: clients leave
    /// out dots by themselves.
    async fn asks_as_written(&self, path: &str) -> String {
        let address = self.running.hub.listening()[0].address;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let token = &self.token;
        let request = format!(
            "GET /live/{path} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {token}\r\n\
             connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// How many look-ups at `flow` have come to that.
    fn counted(&self, outcome: &str) -> u64 {
        let name = format!("outgate_live_lookups_total{{target=\"flow\",outcome=\"{outcome}\"}}");
        self.metric(&name)
    }

    /// How many look-ups at `flow` took no longer than that many seconds.
    fn within(&self, seconds: &str) -> u64 {
        let name =
            format!("outgate_live_lookup_seconds_bucket{{le=\"{seconds}\",target=\"flow\"}}");
        self.metric(&name)
    }

    fn metric(&self, name: &str) -> u64 {
        let metrics = self.running.hub.state().metrics.text();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |number| number.trim().parse().unwrap())
    }
}

/// An API as it is configured: everything below `/v1/open`, up to a kibibyte, for longer than any that
/// answers takes.
fn upstream(name: &str, url: &str, more: &str) -> String {
    waited_for(60, name, url, more)
}

/// An API for which the hub waits that long.
fn waited_for(seconds: u32, name: &str, url: &str, more: &str) -> String {
    format!(
        "[[live.upstreams]]\nname = '{name}'\nurl = '{url}/v1'\npaths = ['open']\n\
         networks = ['127.0.0.0/8']\nanswer-kibibytes = 1\nanswer-seconds = {seconds}\n{more}"
    )
}

/// An address that nobody has configured, and at which nobody answers.
struct Elsewhere(TcpListener);

impl Elsewhere {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Whether somebody has come.
    fn was_asked(&self) -> bool {
        match self.0.accept() {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        }
    }
}
