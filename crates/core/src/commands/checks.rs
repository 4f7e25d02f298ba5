//! What may be in a command, a call and an answer, so that every dialect can carry it.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::limits::MAX_EVENT;
use crate::refusal::Refusal;

/// The most bytes of a command's name and of a call's method.
pub(crate) const MAX_NAME: usize = 128;

/// The most bytes of a media type with its parameters (RFC 6838, section 4.2, allows 127 for each
/// of its two halves; none in use comes near).
pub(crate) const MAX_MEDIA_TYPE: usize = 255;

/// The most properties.
pub(crate) const MAX_PROPERTIES: usize = 64;

/// The most bytes of all properties together, names and values.
pub(crate) const MAX_PROPERTY_BYTES: usize = 8_192;

/// A path of non-empty steps that a topic or an address can carry.
pub(crate) fn path(field: &str, text: &str) -> Result<(), Refusal> {
    let right = !text.is_empty()
        && text.len() <= MAX_NAME
        && text.split('/').all(|step| !step.is_empty())
        && text.chars().all(carried);
    right.then_some(()).ok_or_else(|| {
        Refusal::invalid(
            field,
            format!(
                "1 to {MAX_NAME} bytes, steps between slashes not empty, without +, # and control characters"
            ),
        )
    })
}

/// A single step of such a path.
pub(crate) fn step(field: &str, text: &str) -> Result<(), Refusal> {
    if text.contains('/') {
        return Err(Refusal::invalid(field, "no slashes"));
    }
    path(field, text)
}

/// A media type, or nothing: what a header can carry.
pub(crate) fn media_type(text: &str) -> Result<(), Refusal> {
    let right =
        text.len() <= MAX_MEDIA_TYPE && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    right.then_some(()).ok_or_else(|| {
        Refusal::invalid(
            "content type",
            format!("at most {MAX_MEDIA_TYPE} printable ASCII characters"),
        )
    })
}

/// Named texts.
pub(crate) fn properties(properties: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if properties.len() > MAX_PROPERTIES {
        return Err(Refusal::TooLarge {
            what: "number of properties",
            limit: MAX_PROPERTIES as u64,
        });
    }
    let bytes: usize = properties
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > MAX_PROPERTY_BYTES {
        return Err(Refusal::TooLarge {
            what: "bytes of all properties",
            limit: MAX_PROPERTY_BYTES as u64,
        });
    }
    let right = properties
        .iter()
        .all(|(name, value)| !name.is_empty() && !name.contains('\0') && !value.contains('\0'));
    right.then_some(()).ok_or_else(|| {
        Refusal::invalid(
            "properties",
            "names that are not empty, and no null characters",
        )
    })
}

/// A payload.
pub(crate) fn payload(payload: &Bytes) -> Result<(), Refusal> {
    if payload.len() > MAX_EVENT {
        return Err(Refusal::TooLarge {
            what: "bytes of the payload",
            limit: MAX_EVENT as u64,
        });
    }
    Ok(())
}

/// Whether a topic name (MQTT 5.0, section 4.7) can carry `letter`.
fn carried(letter: char) -> bool {
    !letter.is_control() && letter != '+' && letter != '#'
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

    #[test]
    fn a_media_type_that_would_break_out_of_its_header_is_refused() {
        for text in ["a\r\nb", "ä", &"a".repeat(256)] {
            assert!(media_type(text).is_err(), "{text:?}");
        }
        assert!(media_type("").is_ok());
        assert!(media_type("text/plain; charset=utf-8").is_ok());
    }

    #[test]
    fn properties_have_bounds_in_number_and_size() {
        let many = |count: usize, size: usize| -> BTreeMap<_, _> {
            (0..count)
                .map(|name| (format!("{name:04}"), "v".repeat(size)))
                .collect()
        };
        assert!(properties(&many(64, 124)).is_ok());
        assert!(properties(&many(65, 0)).is_err());
        assert!(properties(&many(64, 125)).is_err());
        let named = |name: &str| BTreeMap::from([(name.to_owned(), String::new())]);
        assert!(properties(&named("")).is_err());
        assert!(properties(&named("\0")).is_err());
    }
}
