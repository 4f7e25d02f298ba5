//! Names of one label.

/// The most bytes of a label (RFC 1035 §2.3.4).
const LABEL_MAX: usize = 63;

/// A machine's name of one label: letters, digits and hyphens (RFC 1123 §2.1), the same in capital
/// letters.
#[derive(Clone, Debug, Eq)]
pub struct Label(String);

/// What a name of one label is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name of 1 to {LABEL_MAX} letters, digits and hyphens, with no hyphen at its ends")]
pub struct NotALabel;

impl Label {
    /// Reads a name.
    ///
    /// # Errors
    /// [`NotALabel`].
    pub fn new(text: &str) -> Result<Self, NotALabel> {
        let right = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        let bytes = text.as_bytes();
        let hyphen_at_end = text.starts_with('-') || text.ends_with('-');
        let fits = (1..=LABEL_MAX).contains(&bytes.len());
        if fits && !hyphen_at_end && bytes.iter().all(right) {
            return Ok(Self(text.to_owned()));
        }
        Err(NotALabel)
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether these bytes are this name (RFC 4343).
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        self.0.as_bytes().eq_ignore_ascii_case(bytes)
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.0.as_bytes())
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
