//! `outgate completions`.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::output::{Failure, print};

/// `outgate completions`: a completion script for a shell.
#[derive(Args)]
#[command(after_help = "Example:
  outgate completions bash > ~/.local/share/bash-completion/completions/outgate")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

impl CompletionsArgs {
    pub(crate) fn run<Cli: CommandFactory>(self) -> Result<ExitCode, Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "outgate", &mut script);
        print(&String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}
