//! The command line of Outgate.
#![cfg_attr(
    not(feature = "full"),
    expect(dead_code, reason = "what only the commands of the full program use")
)]

mod answer;
mod cli;
mod commands;
mod diagnostics;
mod library;
mod output;
mod progress;
#[cfg(feature = "full")]
mod remote;
mod signals;
mod site;
mod table;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
