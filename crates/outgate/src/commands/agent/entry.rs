//! `outgate agent code` and `outgate agent password`: who may change something from the page on site.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::Args;
use outgate_agent::local::page::{code, kept, password::Password};
use outgate_agent::queue::{Clock as _, MachineClock};

use super::Place;
use crate::output::{Failure, print, say};
use crate::terminal;

/// `outgate agent code`: a code with which somebody logs in to the page once.
#[derive(Args)]
#[command(
    after_help = "It is made on the device, by whoever may write to the agent's folder, and replaces
the one before."
)]
pub(super) struct CodeArgs {
    #[command(flatten)]
    place: Place,
}

impl CodeArgs {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = self.place.read()?;
        let clock = MachineClock::new().context("the system gives no random numbers");
        let now = clock.map_err(Failure::Internal)?.now();
        let code = code::make(&config.data, &now).with_context(|| {
            let folder = config.data.display();
            format!("failed to write to {folder}; it is there once the agent has run")
        });
        let code = code.map_err(Failure::Input)?;
        print(&format!("{}\n", &*code::shown(&code)))?;
        let minutes = code::LASTS.as_secs() / 60;
        say(&format!(
            "for the diagnostics page, once, within {minutes} minutes"
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// `outgate agent password`: set the password of the page.
#[derive(Args)]
#[command(
    after_help = "The password comes from the terminal or the standard input, never from the command
line, where others could see it. It is written to page.password-file, for the agent alone, in a form
from which nobody can read it; the agent reads it at each login."
)]
pub(super) struct PasswordArgs {
    #[command(flatten)]
    place: Place,
    /// Write to FILE instead of page.password-file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl PasswordArgs {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = self.place.read()?;
        let path = self.output.or(config.page.password_file);
        let path = path.ok_or_else(|| {
            Failure::input("there is nowhere to write it: give page.password-file, or --output")
        })?;
        let given = terminal::password()?;
        let password = Password::new(&given).map_err(|error| Failure::Input(anyhow!(error)))?;
        let written = kept::write(&path, &config.data, password.text().as_bytes());
        let context = || format!("failed to write {}", path.display());
        written.with_context(context).map_err(Failure::Input)?;
        say(&format!("written to {}", path.display()));
        Ok(ExitCode::SUCCESS)
    }
}
