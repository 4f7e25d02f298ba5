//! Asking whoever sits at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use outgate_client::{MAX_TOKEN, Token};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::output::Failure;
use crate::table::harmless;

/// The most bytes of an answer.
const MAX_ANSWER: u64 = 4 * 1024;

/// Whether somebody sits there who can be asked.
pub(crate) fn somebody() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks whether to do what cannot be undone easily; `yes` answers beforehand.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !somebody() {
        return Err(Failure::input(format!(
            "{question} Nobody can be asked here; say --yes"
        )));
    }
    if agreed(&format!("{question} [y/N] "), false)? {
        Ok(())
    } else {
        Err(Failure::input("nothing was done"))
    }
}

/// Asks a question whose answer is yes or no.
pub(crate) fn agreed(question: &str, otherwise: bool) -> Result<bool, Failure> {
    let answer = line(question)?;
    Ok(match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => true,
        "" => otherwise,
        _ => false,
    })
}

/// Asks for a token without showing it; where nobody sits, reads the standard input.
pub(crate) fn token() -> Result<Token, Failure> {
    let text = if somebody() {
        let _dark = Dark::new()?;
        let text = line("Token: ");
        let _ = writeln!(io::stderr());
        text?
    } else {
        let mut text = String::new();
        let most = u64::try_from(MAX_TOKEN).unwrap_or(u64::MAX) + 64;
        io::Read::read_to_string(&mut io::Read::take(io::stdin().lock(), most), &mut text)
            .map_err(|error| Failure::Input(error.into()))?;
        text
    };
    Token::new(&text).ok_or_else(|| {
        Failure::input("no token was given (on the standard input, or with --token-file)")
    })
}

fn line(question: &str) -> Result<String, Failure> {
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
