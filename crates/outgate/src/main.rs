//! The command line of Outgate.

mod cli;
mod commands;
mod diagnostics;
mod library;
mod output;
mod progress;
mod remote;
mod signals;
mod site;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
