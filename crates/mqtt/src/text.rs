//! What MQTT calls a UTF-8 encoded string (MQTT 5.0, section 1.5.4).

use std::fmt;
use std::ops::Deref;

/// The longest text, in bytes: its length travels in two bytes (section 1.5.4).
pub const TEXT_MAX: usize = u16::MAX as usize;

/// Text as MQTT carries it: UTF-8 of at most [`TEXT_MAX`] bytes, without U+0000.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Box<str>);

/// Why something is not a [`Text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The bytes are not UTF-8, or encode a surrogate [MQTT-1.5.4-1].
    #[error("text is not UTF-8")]
    NotUtf8,
    /// U+0000 must not occur [MQTT-1.5.4-2].
    #[error("text contains U+0000")]
    Nul,
    /// More than [`TEXT_MAX`] bytes.
    #[error("text is longer than {TEXT_MAX} bytes")]
    TooLong,
}

impl Text {
    /// Takes `text` as it is.
    ///
    /// # Errors
    /// [`TextError::Nul`] or [`TextError::TooLong`].
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, TextError> {
        let text = text.into();
        check(&text)?;
        Ok(Self(text))
    }

    /// `text` without what MQTT cannot carry: every U+0000 is left out, and so is what goes beyond
    /// [`TEXT_MAX`] bytes. For words that people read, such as reason strings.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let mut kept = text.replace('\0', "");
        let mut end = kept.len().min(TEXT_MAX);
        while !kept.is_char_boundary(end) {
            end -= 1;
        }
        kept.truncate(end);
        Self(kept.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

/// Reads `bytes` as text, without keeping it.
///
/// # Errors
/// Any [`TextError`].
pub(crate) fn read(bytes: &[u8]) -> Result<&str, TextError> {
    let text = std::str::from_utf8(bytes).map_err(|_| TextError::NotUtf8)?;
    check(text)?;
    Ok(text)
}

/// Whether MQTT can carry `text`.
pub(crate) fn check(text: &str) -> Result<(), TextError> {
    if text.len() > TEXT_MAX {
        return Err(TextError::TooLong);
    }
    if text.as_bytes().contains(&0) {
        return Err(TextError::Nul);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_utf8_without_nul() {
        assert_eq!(
            read(b"\xef\xbb\xbfa\xf0\xaa\x9b\x94"),
            Ok("\u{feff}a\u{2a6d4}")
        );
        assert_eq!(read(b"a\0b"), Err(TextError::Nul));
        assert_eq!(
            read(b"\xed\xa0\x80"),
            Err(TextError::NotUtf8),
            "a surrogate"
        );
        assert_eq!(
            read(b"\xc0\x80"),
            Err(TextError::NotUtf8),
            "an overlong U+0000"
        );
        assert_eq!(Text::new("a".repeat(TEXT_MAX + 1)), Err(TextError::TooLong));
    }

    #[test]
    fn lossy_text_ends_between_two_characters() {
        let long = format!("\0a{}", "ä".repeat(TEXT_MAX));
        let kept = Text::lossy(&long);
        assert_eq!(kept.len(), TEXT_MAX);
        assert!(kept.ends_with('ä'));
        assert_eq!(
            Text::lossy(&format!("\0{}", "ä".repeat(TEXT_MAX))).len(),
            TEXT_MAX - 1
        );
    }
}
