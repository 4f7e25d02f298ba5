//! The hub, the agent's queue and the check measured beside their peers, in one run. `cargo xtask bench` builds and starts it.
//!
//! Every server runs on one core, the load on the other. All figures are of one run on one
//! machine; what means something elsewhere too are the ratios.

mod administration;
mod blob;
mod check;
mod durable;
mod http;
mod mqtt;
mod process;
mod queue;
mod raw;
mod realtime;
mod report;
mod revoke;
mod servers;
mod sigv4;
mod start;
mod updates;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::servers::Programs;

/// Measures the hub and the check beside their peers.
#[derive(Parser)]
struct Arguments {
    /// What to measure
    what: What,
    /// The binary of Outgate, built for release
    #[arg(long)]
    outgate: PathBuf,
    /// The binary of Mosquitto
    #[arg(long, default_value = "mosquitto")]
    mosquitto: PathBuf,
    /// The folder with `node_modules` in it
    #[arg(long)]
    node: PathBuf,
    /// The binary of nginx
    #[arg(long, default_value = "nginx")]
    nginx: PathBuf,
    /// The binary of the exporter that the check is measured beside
    #[arg(long, default_value = "prometheus-blackbox-exporter")]
    exporter: PathBuf,
    /// Write the figures of `blob`, `check`, `realtime`, `revoke`, `sigv4` or `updates` to this file too, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// A tenth of everything, to see that it works
    #[arg(long)]
    short: bool,
    /// Measure only what has this in its name, as `handshakes`
    #[arg(long, default_value = "")]
    only: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Files sent and got beside nginx and azurite, and the memory for it
    Blob,
    /// A whole product beside `nmap -sV` and the exporter
    Check,
    /// Throughput, handshakes, memory, durable events
    Mqtt,
    /// The agent's queue beside what the disk can do
    Queue,
    /// SignalR beside socketioxide, socket.io and ws: calls, broadcasts, memory, TLS
    Realtime,
    /// From a revocation to the closed connections of every kind
    Revoke,
    /// Verifying AWS's signatures beside AWS's own libraries, which sign
    Sigv4,
    /// From an empty folder to a hub that listens
    Start,
    /// Devices that ask what is due and fetch a release, beside nginx
    Updates,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    process::settle()?;
    // Fails when one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let programs = Programs {
        outgate: arguments.outgate,
        mosquitto: arguments.mosquitto,
        node: arguments.node,
        nginx: arguments.nginx,
        exporter: arguments.exporter,
    };
    let share = if arguments.short { 10 } else { 1 };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let json = arguments.json.as_deref();
        match arguments.what {
            What::Blob => blob::run(&programs, share, &arguments.only, json).await,
            What::Check => check::run(&programs, share, json).await,
            What::Mqtt => mqtt::run(&programs, share, &arguments.only).await,
            What::Queue => queue::run(share, &arguments.only).await,
            What::Realtime => realtime::run(&programs, share, &arguments.only, json).await,
            What::Revoke => revoke::run(&programs, share, json).await,
            What::Sigv4 => sigv4::run(&programs, share, &arguments.only, json),
            What::Start => start::run(&programs, share),
            What::Updates => updates::run(&programs, share, json).await,
        }
    })
}
