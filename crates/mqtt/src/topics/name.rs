//! The name of a topic, under which messages are published.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::text::{self, TextError};
use crate::topics::LEVELS_MAX;

/// The name of a topic: at least one character, no wildcard, at most [`LEVELS_MAX`] levels, and
/// what [`text`] asks for. Copies share their text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

/// Why something is not a [`TopicName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// A topic has at least one character [MQTT-4.7.3-1].
    #[error("topic name is empty")]
    Empty,
    /// `#` and `+` belong to filters [MQTT-3.3.2-2].
    #[error("topic name contains a wildcard")]
    Wildcard,
    /// More than [`LEVELS_MAX`] levels.
    #[error("topic name has more than {LEVELS_MAX} levels")]
    TooDeep,
    /// It is no text that MQTT can carry.
    #[error("topic name is not MQTT text")]
    Text(#[from] TextError),
}

impl TopicName {
    /// Takes `name` as a topic's name.
    ///
    /// # Errors
    /// Any [`TopicError`].
    pub fn new(name: &str) -> Result<Self, TopicError> {
        text::check(name)?;
        if name.is_empty() {
            return Err(TopicError::Empty);
        }
        if name.bytes().any(|byte| matches!(byte, b'#' | b'+')) {
            return Err(TopicError::Wildcard);
        }
        if levels(name) > LEVELS_MAX {
            return Err(TopicError::TooDeep);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How many levels `topic` has.
pub(super) fn levels(topic: &str) -> usize {
    topic.bytes().filter(|byte| *byte == b'/').count() + 1
}

impl Deref for TopicName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_wildcards_and_at_least_one_character() {
        for name in ["a", "/", "//", "a b/ä", "$SYS/x", "$share/g/x"] {
            assert_eq!(TopicName::new(name).unwrap().as_str(), name);
        }
        assert_eq!(TopicName::new(""), Err(TopicError::Empty));
        assert_eq!(TopicName::new("a/#"), Err(TopicError::Wildcard));
        assert_eq!(TopicName::new("a+b"), Err(TopicError::Wildcard));
        assert_eq!(TopicName::new("a\0"), Err(TopicError::Text(TextError::Nul)));
    }

    #[test]
    fn a_name_has_a_bounded_number_of_levels() {
        assert!(TopicName::new(&"/".repeat(LEVELS_MAX - 1)).is_ok());
        assert_eq!(
            TopicName::new(&"/".repeat(LEVELS_MAX)),
            Err(TopicError::TooDeep)
        );
    }
}
