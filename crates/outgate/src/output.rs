//! Where output goes: data to standard output, everything else to standard error.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use outgate_manifest::{SelectionError, nearest};
use serde::Serialize;

use crate::table::harmless;

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was given is wrong; exit code 2.
    Input(anyhow::Error),
    /// Something of ours, or of this machine; exit code 1.
    Internal(anyhow::Error),
    /// The hub or a device understood and said no; exit code 3.
    Refused(anyhow::Error),
    /// What was wrong has been printed already; exit code 2.
    Said,
}

impl Failure {
    /// Bad input, in a sentence.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input(anyhow::Error::msg(message.into()))
    }

    /// What it says, where nobody is to be shown more.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Input(error) | Self::Internal(error) | Self::Refused(error) => {
                format!("{error:#}")
            }
            Self::Said => "it has been said already".to_owned(),
        }
    }

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

impl From<SelectionError> for Failure {
    fn from(error: SelectionError) -> Self {
        Self::Input(error.into())
    }
}

/// Says what went wrong, if something did, and gives the exit code.
pub(crate) fn finish(result: Result<ExitCode, Failure>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(Failure::Said) => ExitCode::from(2),
        Err(Failure::Input(error)) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
        Err(Failure::Internal(error)) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(1)
        }
        Err(Failure::Refused(error)) => {
            say(&format!("refused: {error:#}"));
            ExitCode::from(3)
        }
    }
}

/// Writes text to standard output. That nobody reads on is no failure: a command ends with the
/// exit code of what it found, also when its output is cut short.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Internal(
            anyhow::Error::new(error).context("failed to write the output"),
        )),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a part of what goes on and on. Breaks when nobody reads on.
pub(crate) fn print_more(text: &str) -> Result<ControlFlow<()>, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(Failure::Internal(
            anyhow::Error::new(error).context("failed to write the output"),
        )),
    }
}

/// Writes a secret to a new file that only its owner may read.
pub(crate) fn keep_secret(text: &str, file: &Path) -> Result<(), Failure> {
    let write = || {
        let mut open = OpenOptions::new();
        let mut file = open.write(true).create_new(true).mode(0o600).open(file)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write()
        .with_context(|| format!("failed to write the new file {}", file.display()))
        .map_err(Failure::Input)
}

/// Writes text to the file that was asked for, or else to standard output.
pub(crate) fn deliver(text: &str, file: Option<&Path>) -> Result<(), Failure> {
    let Some(file) = file else { return print(text) };
    std::fs::write(file, text)
        .with_context(|| format!("failed to write {}", file.display()))
        .map_err(Failure::Input)
}

/// Reads a file of at most so many bytes.
pub(crate) fn read_bounded(file: &Path, bound: usize) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    let open = File::open(file).with_context(|| format!("failed to open {shown}"))?;
    let mut bytes = Vec::new();
    // One byte beyond the bound is enough to know that there are too many.
    let most = u64::try_from(bound).unwrap_or(u64::MAX).saturating_add(1);
    open.take(most)
        .read_to_end(&mut bytes)
        .with_context(|| format!("failed to read {shown}"))?;
    anyhow::ensure!(bytes.len() <= bound, "{shown} has more than {bound} bytes");
    Ok(bytes)
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

/// A number of things: `1 error`, `2 errors`.
pub(crate) fn counted(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Whether output to standard output is coloured: on a terminal, unless `NO_COLOR` is set.
pub(crate) fn coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
