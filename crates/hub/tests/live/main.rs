//! Live look-ups, against a whole hub and an API on loopback.

#![cfg(test)]

#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;

mod forwarding;
mod keys;
mod tables;
mod terminal;
mod tricks;
mod vendor;

use self::running::Running;
use self::terminal::Terminal;
use self::vendor::Vendor;

/// A hub without TLS that listens on loopback.
const PLAIN: &str = "[[listen]]\naddress = '127.0.0.1:0'\ntls = false\n";

/// How long the hub waits for an API that answers: no machine is as late as that.
const PATIENT_SECONDS: u32 = 60;

/// A hub that knows an API, and a terminal of its fleet.
struct Whole {
    running: Running,
    vendor: Vendor,
    terminal: Terminal,
}

impl Whole {
    async fn start() -> Self {
        Self::with("").await
    }

    /// With more of a configuration for the API.
    async fn with(more: &str) -> Self {
        Self::waiting(PATIENT_SECONDS, more).await
    }

    /// With an API for which the hub waits that long.
    async fn waiting(seconds: u32, more: &str) -> Self {
        let vendor = Vendor::start().await;
        let api = vendor.configured();
        let text = format!("{PLAIN}{api}answer-seconds = {seconds}\n{more}");
        let running = Running::on(tempfile::tempdir().unwrap(), &text).await;
        running.furnish().await;
        let fleet = running.fleet("T*").await;
        let terminal = running.terminal("T7", &fleet).await;
        Self {
            running,
            vendor,
            terminal,
        }
    }
}
