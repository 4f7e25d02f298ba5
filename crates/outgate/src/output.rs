//! Where output goes: data to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use outgate_manifest::nearest;
use serde::Serialize;

use crate::table::harmless;

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was given is wrong; exit code 2.
    Input(anyhow::Error),
    /// Something of ours, or of this machine; exit code 1.
    Internal(anyhow::Error),
    /// What was wrong has been printed already; exit code 2.
    Said,
    /// Nobody reads the output any more.
    Closed,
}

impl Failure {
    /// Bad input, in a sentence.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input(anyhow::Error::msg(message.into()))
    }
}

impl Failure {
    /// A word that is none of those that there are.
    pub(crate) fn unknown(kind: &str, word: &str, known: &[&str]) -> Self {
        let hint = nearest(word, known.iter().copied()).map_or_else(String::new, |nearest| {
            format!("; did you mean `{nearest}`?")
        });
        Self::input(format!(
            "there is no {kind} `{word}`{hint} (there are {})",
            known.join(", ")
        ))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Closed
        } else {
            Self::Internal(anyhow::Error::new(error).context("failed to write the output"))
        }
    }
}

/// Says what went wrong, if something did, and gives the exit code.
pub(crate) fn finish(result: Result<ExitCode, Failure>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(Failure::Said) => ExitCode::from(2),
        Err(Failure::Input(error)) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
        Err(Failure::Internal(error)) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(1)
        }
    }
}

/// Writes text to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes a value to standard output as indented JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::Internal(anyhow::Error::new(error)))?;
    print(&format!("{text}\n"))
}

/// Writes a line for people to standard error. That nobody reads it is no failure.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", harmless(line));
}

/// Whether output to standard output is coloured: on a terminal, unless `NO_COLOR` is set.
pub(crate) fn coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
