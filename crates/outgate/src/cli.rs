//! What can be said on the command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{
    agent::AgentArgs, check::CheckArgs, completions::CompletionsArgs, profiles::ProfilesArgs,
};
use crate::output::finish;

#[cfg(feature = "full")]
mod full;

/// Exit codes, said once for all commands.
const EXIT_CODES: &str = "\
Exit codes: 0 pass, 1 internal error, 2 bad input, 3 a required flow failed, or the hub refused,
            4 only warnings, 5 incomplete: something required was not run";

/// Every flow that a product needs in a customer's network: as firewall rules, as the customer's
/// page, and checked on site.
#[derive(Parser)]
#[cfg_attr(
    not(feature = "full"),
    command(about = "The device end of Outgate: keeps connected, works offline, checks on site")
)]
#[command(name = "outgate", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the agent: the device end, which keeps connected and works offline.
    Agent(AgentArgs),
    /// Exercise every lane from here; say what does not work, why, and whose it is.
    Check(Box<CheckArgs>),
    /// List the built-in products.
    Profiles(ProfilesArgs),
    #[cfg(feature = "full")]
    #[command(flatten)]
    Full(full::Command),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
}

/// Runs the command that was asked for.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    finish(match cli.command {
        Command::Agent(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Profiles(args) => args.run(),
        #[cfg(feature = "full")]
        Command::Full(command) => command.run(),
        Command::Completions(args) => args.run::<Cli>(),
    })
}
