//! Whoever sits at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::output::Failure;
use crate::table::harmless;

/// The most bytes of an answer.
const MAX_ANSWER: u64 = 4 * 1024;

/// Whether somebody sits there who can be asked.
pub(crate) fn somebody() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a new password without showing it: one line.
pub(crate) fn password() -> Result<Zeroizing<String>, Failure> {
    let text = hidden("Password: ", MAX_ANSWER)?;
    Ok(Zeroizing::new(
        text.lines().next().unwrap_or_default().to_owned(),
    ))
}

/// What is typed after a question without being shown; where nobody sits, the standard input.
pub(crate) fn hidden(question: &str, most: u64) -> Result<Zeroizing<String>, Failure> {
    if somebody() {
        let _dark = Dark::new()?;
        let text = line(question);
        let _ = writeln!(io::stderr());
        return text.map(Zeroizing::new);
    }
    let mut text = Zeroizing::new(String::new());
    io::Read::read_to_string(&mut io::Read::take(io::stdin().lock(), most), &mut text)
        .map_err(|error| Failure::Input(error.into()))?;
    Ok(text)
}

/// What is typed after a question.
pub(crate) fn line(question: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::Internal(error.into());
    let mut out = io::stderr().lock();
    write!(out, "{}", harmless(question)).map_err(failed)?;
    out.flush().map_err(failed)?;
    let mut answer = String::new();
    io::Read::take(io::stdin().lock(), MAX_ANSWER)
        .read_line(&mut answer)
        .map_err(failed)?;
    Ok(answer)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Dark(Termios);

impl Dark {
    fn new() -> Result<Self, Failure> {
        let failed = |error: rustix::io::Errno| Failure::Internal(error.into());
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut dark = before.clone();
        dark.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &dark).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Dark {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// How many columns and rows the terminal has, if there is one.
#[cfg(feature = "full")]
pub(crate) fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// A terminal that hands on each key as it is pressed, until this is dropped.
#[cfg(feature = "full")]
pub(crate) struct Raw(Termios);

#[cfg(feature = "full")]
impl Raw {
    pub(crate) fn new() -> Result<Self, Failure> {
        let failed = |error: rustix::io::Errno| Failure::Internal(error.into());
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Flush, &raw).map_err(failed)?;
        Ok(Self(before))
    }
}

#[cfg(feature = "full")]
impl Drop for Raw {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
