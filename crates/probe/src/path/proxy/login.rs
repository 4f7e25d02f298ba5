//! What a proxy is told when it asks who is there.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};

/// Longest user name and longest password, in bytes (RFC 1929 §2, for SOCKS; here for all).
const PART_MAX: usize = 255;

/// A user name and a password. Neither is ever printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    user: String,
    password: String,
}

impl Login {
    /// A login; each part has at most 255 bytes and no control characters, and there is no colon
    /// in the user name (RFC 7617 §2).
    pub fn new(user: &str, password: &str) -> Result<Self, LoginError> {
        let parts = [user, password];
        if parts.iter().any(|part| part.len() > PART_MAX) {
            return Err(LoginError::TooLong);
        }
        if parts.iter().any(|part| part.chars().any(char::is_control)) || user.contains(':') {
            return Err(LoginError::Character);
        }
        Ok(Self {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    /// Reads `USER:PASSWORD`, as it stands in a file; one line break at the end is left out.
    pub fn read(text: &str) -> Result<Self, LoginError> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let (user, password) = text.split_once(':').ok_or(LoginError::NoColon)?;
        Self::new(user, password)
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// The credentials of the scheme Basic (RFC 7617 §2).
    pub(crate) fn basic(&self) -> String {
        let pair = format!("{}:{}", self.user, self.password);
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

/// Why a text is no login. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// No colon between user name and password.
    #[error("a login is USER:PASSWORD, and there is no colon")]
    NoColon,
    /// More than 255 bytes.
    #[error("user name and password of a login have at most {PART_MAX} bytes each")]
    TooLong,
    /// A character that cannot be sent.
    #[error("a login holds a control character, or its user name a colon")]
    Character,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_sent_as_the_standard_shows_and_never_printed() {
        // RFC 7617 §2.
        let login = Login::read("Aladdin:open sesame\n").unwrap();
        assert_eq!(login.basic(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(format!("{login:?}"), "Login(…)");
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        assert_eq!(Login::read("alice"), Err(LoginError::NoColon));
        assert_eq!(Login::read("a:b\r\nX: y"), Err(LoginError::Character));
        assert_eq!(Login::new("a:b", "c"), Err(LoginError::Character));
        assert_eq!(Login::new("a", &"x".repeat(256)), Err(LoginError::TooLong));
    }
}
