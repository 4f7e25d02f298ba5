//! The local password: who knows it may change something from the page.
//!
//! Its file holds what it is recognised by and not the password (PBKDF2, RFC 8018, in the form of
//! the PHC strings). A slower function that fills memory would need as much of it as a whole agent
//! may have.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::pbkdf2;
use thiserror::Error;

/// How it is made unreadable.
const FUNCTION: &str = "pbkdf2-sha256";
/// How often (OWASP's Password Storage Cheat Sheet, 2023).
const ROUNDS: u32 = 600_000;
/// The fewest and the most rounds of a file that somebody else has made.
const MAY_BE: std::ops::RangeInclusive<u32> = 100_000..=10_000_000;
/// The fewest characters of a password that is set here.
pub const LEAST: usize = 8;
/// The most bytes of one.
pub const MOST: usize = 256;
/// The most bytes of its file.
pub const MAX_FILE: u64 = 512;

const SALT: usize = 16;
const HASH: usize = 32;

/// Why there is no password.
#[derive(Debug, Error)]
pub enum PasswordError {
    /// It is too short or too long.
    #[error("a password has at least {LEAST} characters and at most {MOST} bytes")]
    Length,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// The file holds something else.
    #[error("there is no password in it: write it by `outgate agent password`")]
    Text,
}

/// What a password is recognised by.
#[derive(Clone)]
pub struct Password {
    rounds: NonZeroU32,
    salt: [u8; SALT],
    hash: [u8; HASH],
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl Password {
    /// What that password is recognised by.
    ///
    /// # Errors
    /// [`PasswordError::Length`], [`PasswordError::Random`].
    pub fn new(password: &str) -> Result<Self, PasswordError> {
        if password.chars().count() < LEAST || password.len() > MOST {
            return Err(PasswordError::Length);
        }
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt)?;
        let rounds = NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN);
        let mut hash = [0; HASH];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, rounds, &salt, password.as_bytes(), &mut hash);
        Ok(Self { rounds, salt, hash })
    }

    /// Whether it is this one. It takes long, on purpose, and as long whatever is given.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        let given = given.as_bytes();
        given.len() <= MOST
            && pbkdf2::verify(algorithm, self.rounds, &self.salt, given, &self.hash).is_ok()
    }

    /// What its file holds.
    #[must_use]
    pub fn text(&self) -> String {
        let (salt, hash) = (
            STANDARD_NO_PAD.encode(self.salt),
            STANDARD_NO_PAD.encode(self.hash),
        );
        format!("${FUNCTION}$i={}${salt}${hash}\n", self.rounds)
    }
}

impl FromStr for Password {
    type Err = PasswordError;

    fn from_str(text: &str) -> Result<Self, PasswordError> {
        let fields: Vec<&str> = text.trim().split('$').collect();
        let ["", FUNCTION, rounds, salt, hash] = fields.as_slice() else {
            return Err(PasswordError::Text);
        };
        let rounds = rounds
            .strip_prefix("i=")
            .and_then(|rounds| rounds.parse().ok());
        let rounds = rounds.filter(|rounds| MAY_BE.contains(rounds));
        let rounds = rounds.and_then(NonZeroU32::new);
        Ok(Self {
            rounds: rounds.ok_or(PasswordError::Text)?,
            salt: bytes(salt).ok_or(PasswordError::Text)?,
            hash: bytes(hash).ok_or(PasswordError::Text)?,
        })
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_recognised_by_what_its_file_holds_and_no_other_one_is() {
        let text = Password::new("correct horse").unwrap().text();
        assert!(!text.contains("horse"), "{text}");
        let read: Password = text.parse().unwrap();
        assert!(read.is("correct horse"));
        assert!(!read.is("correct horsE"));
        assert!(!read.is(""));
        assert_eq!(format!("{read:?}"), "Password");
    }

    #[test]
    fn two_files_of_one_password_are_not_the_same() {
        let text = || Password::new("correct horse").unwrap().text();
        assert_ne!(text(), text());
    }

    #[test]
    fn short_passwords_and_files_that_hold_none_are_refused() {
        assert!(matches!(
            Password::new("1234567"),
            Err(PasswordError::Length)
        ));
        let long = "x".repeat(MOST + 1);
        assert!(matches!(Password::new(&long), Err(PasswordError::Length)));
        for text in [
            "",
            "correct horse",
            "$pbkdf2-sha256$i=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$pbkdf2-sha256$i=600000$AAAA$AAAA",
            "$argon2id$i=600000$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(text.parse::<Password>().is_err(), "{text}");
        }
    }
}
