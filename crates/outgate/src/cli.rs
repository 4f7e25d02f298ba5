//! What can be said on the command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{
    check::CheckArgs, completions::CompletionsArgs, demo::DemoArgs, flows::FlowsArgs, hub::HubArgs,
    lint::LintArgs, page::PageArgs, profiles::ProfilesArgs, rules::RulesArgs,
};
use crate::output::{Failure, finish};

/// Exit codes, said once for all commands.
const EXIT_CODES: &str = "\
Exit codes: 0 pass, 1 internal error, 2 bad input, 3 a required flow failed,
            4 only warnings, 5 incomplete: something required was not run";

/// Every flow that a product needs in a customer's network: as firewall rules, as the customer's
/// page, and checked on site.
#[derive(Parser)]
#[command(name = "outgate", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play all servers on this machine and check the built-in products against them.
    Demo(DemoArgs),
    /// Run the hub: the cloud end of a product's flows.
    Hub(HubArgs),
    /// List the built-in products.
    Profiles(ProfilesArgs),
    /// List the lanes of a product: who talks to whom, how, and why.
    Flows(FlowsArgs),
    /// Say what is wrong with a manifest, and what could be better.
    Lint(LintArgs),
    /// Exercise every lane from here; say what does not work, why, and whose it is.
    Check(CheckArgs),
    /// Write firewall rules for a product.
    Rules(RulesArgs),
    /// Write the customer's page for a product.
    Page(PageArgs),
    /// Print the JSON Schema of manifests.
    Schema,
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
}

/// Runs the command that was asked for.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    finish(match cli.command {
        Command::Demo(args) => args.run(),
        Command::Hub(args) => args.run(),
        Command::Profiles(args) => args.run(),
        Command::Flows(args) => args.run(),
        Command::Lint(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Rules(args) => args.run(),
        Command::Page(args) => args.run(),
        Command::Schema => schema(),
        Command::Completions(args) => args.run::<Cli>(),
    })
}

fn schema() -> Result<ExitCode, Failure> {
    crate::output::json(&outgate_manifest::schema())?;
    Ok(ExitCode::SUCCESS)
}
