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
        let vendor = Vendor::start().await;
        let text = format!("{PLAIN}{}{more}", vendor.configured());
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
