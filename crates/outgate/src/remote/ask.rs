//! Asking whoever sits at the terminal.

use outgate_client::{MAX_TOKEN, Token};

use crate::output::Failure;
pub(crate) use crate::terminal::somebody;
use crate::terminal::{hidden, line};

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
    let most = u64::try_from(MAX_TOKEN).unwrap_or(u64::MAX) + 64;
    Token::new(&hidden("Token: ", most)?).ok_or_else(|| {
        Failure::input("no token was given (on the standard input, or with --token-file)")
    })
}
