//! What proves to the hub who asks.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The most bytes of a token.
pub const MAX_TOKEN: usize = 512;

/// A secret text: wiped when dropped, hidden from `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes `text`, without white space around it, as a token.
    ///
    /// `None` when there is nothing, more than [`MAX_TOKEN`] bytes, or what no header can carry.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = (1..=MAX_TOKEN).contains(&text.len());
        (fits && text.bytes().all(|byte| byte.is_ascii_graphic()))
            .then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The text. Whoever asks takes care of where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Serialize for Token {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(from)?);
        Self::new(&text).ok_or_else(|| {
            serde::de::Error::custom("a token is 1 to 1024 printable characters without spaces")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_no_header_can_carry_is_none() {
        for text in ["", "  \n", "a b", "a\nb", "å", &"a".repeat(MAX_TOKEN + 1)] {
            assert_eq!(Token::new(text), None, "{text:?}");
        }
        assert_eq!(Token::new(" abc\n").unwrap().expose(), "abc");
    }

    #[test]
    fn a_token_is_not_in_its_debug_output() {
        let shown = format!("{:?}", Token::new("very-secret").unwrap());
        assert!(!shown.contains("very-secret"), "{shown}");
    }
}
