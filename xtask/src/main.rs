//! The developer's commands; `cargo xtask help` lists them.
//!
//! One program instead of shell scripts, so that a newcomer's machine, a maintainer's and the
//! continuous integration run exactly the same things.

mod architecture;
mod arguments;
mod bench;
mod book;
mod cargo_tests;
mod failures;
mod fuzz;
mod licences;
mod package;
mod peers;
mod report;
mod run;
mod schema;
mod steps;
mod workspace;

use std::env;
use std::process::ExitCode;

use anyhow::Result;

use crate::arguments::Invocation;
use crate::report::say;
use crate::workspace::Workspace;

fn main() -> ExitCode {
    let outcome = arguments::parse(env::args().skip(1)).and_then(carry_out);
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::complain(&error);
            ExitCode::from(2)
        }
    }
}

/// Runs one invocation and tells whether everything it asked for went well.
fn carry_out(invocation: Invocation) -> Result<bool> {
    if matches!(invocation, Invocation::Help) {
        say(arguments::USAGE);
        return Ok(true);
    }
    let workspace = Workspace::load()?;
    match invocation {
        Invocation::Help => Ok(true),
        Invocation::Steps(selection) => steps::run(&workspace, &selection),
        Invocation::Peers => peers::show(&workspace),
        Invocation::Architecture => architecture::show(&workspace),
        Invocation::Licences => licences::show(&workspace),
        Invocation::Fuzz { target, seconds } => fuzz::explore_one(&workspace, &target, seconds),
        Invocation::Bench { what, options } => bench::run(&workspace, &what, &options),
        Invocation::Schema { check } => {
            let manifest = schema::run(&workspace, &schema::MANIFEST, check)?;
            Ok(schema::run(&workspace, &schema::REPORT, check)? && manifest)
        }
        Invocation::OpenApi { check } => {
            let hub = schema::run(&workspace, &schema::OPENAPI, check)?;
            let devices = schema::run(&workspace, &schema::DEVICE_OPENAPI, check)?;
            Ok(schema::run(&workspace, &schema::AGENT_OPENAPI, check)? && hub && devices)
        }
    }
}
