//! What names of commands and methods of calls may be, so that every dialect can carry them.

use crate::limits::check_path;
use crate::refusal::Refusal;

/// The most bytes of a command's name and of a call's method.
pub(crate) const MAX_NAME: usize = 128;

/// Checks a path of steps that are not empty and that a topic name (MQTT 5.0, section 4.7) can
/// carry.
///
/// # Errors
/// [`Refusal::TooLarge`], [`Refusal::Invalid`].
pub(crate) fn path(field: &'static str, text: &str) -> Result<(), Refusal> {
    check_path(field, text, MAX_NAME)?;
    if text.split('/').any(str::is_empty) || text.contains(['+', '#']) {
        return Err(Refusal::invalid(
            field,
            "steps that are not empty, between slashes, without + and #",
        ));
    }
    Ok(())
}

/// Checks a single step of such a path.
///
/// # Errors
/// As [`path`].
pub(crate) fn step(field: &'static str, text: &str) -> Result<(), Refusal> {
    if text.contains('/') {
        return Err(Refusal::invalid(field, "no slashes"));
    }
    path(field, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_topic_can_carry_is_refused() {
        for text in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            "a+",
            "#",
            "a\0",
            "a\n",
            &"a".repeat(129),
        ] {
            assert!(path("name", text).is_err(), "{text:?}");
        }
        for text in ["a", "a/b", "Tür öffnen", "$a", &"a".repeat(128)] {
            assert!(path("name", text).is_ok(), "{text:?}");
        }
        assert!(step("method", "a/b").is_err());
        assert!(step("method", "ab").is_ok());
    }
}
