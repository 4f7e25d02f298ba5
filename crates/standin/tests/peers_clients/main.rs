//! The stand-ins as clients written by others see them.
//!
//! Needs curl, openssl, dig and chronyd, Python with `websockets`, Node with `ws` and
//! `@microsoft/signalr`; `cargo xtask test` installs them.

#![cfg(test)]

mod curl;
mod dns;
mod ntp;
mod openssl;
mod signalr;
mod websocket;

use std::{io::Write, net::SocketAddr, time::SystemTime};

use tempfile::NamedTempFile;
use tokio::process::Command;

use outgate_standin::{Authority, Place, Stage, SystemClock, TlsFault};

/// How a peer ended.
struct Ended {
    /// Exit status; -1 when a signal ended it.
    status: i32,
    /// What it wrote to stdout and then to stderr.
    text: String,
}

/// Runs a peer to its end, without input. It is killed when the test ends first.
async fn run(program: &str, arguments: &[&str]) -> Ended {
    let ended = outgate_testbed::run(Command::new(program).args(arguments)).await;
    let (status, text) = ended.unwrap();
    Ended {
        status: status.code().unwrap_or(-1),
        text,
    }
}

/// A stage of good servers, and its authority in a file.
fn stage() -> (Stage, NamedTempFile) {
    let stage = Stage::new(Authority::new(SystemTime::now()).unwrap(), SystemClock);
    let authority = file(&stage.authority().pem());
    (stage, authority)
}

/// A TLS server for `a.example`, `*.b.example` and the address 192.0.2.1.
async fn https(stage: &mut Stage, fault: TlsFault) -> SocketAddr {
    let names = ["a.example", "*.b.example", "192.0.2.1"].map(str::to_owned);
    stage.https(Place::v4(), &names, fault).await.unwrap()
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}
