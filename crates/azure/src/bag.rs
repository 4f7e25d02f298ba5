//! Property bags: named texts in a topic or an address, each percent-encoded, `name=value` joined
//! with `&`.
//!
//! Those of the system have names that begin with `$.`: `$.mid` is the message's name, `$.cid` what
//! it belongs to, `$.uid` its author, `$.ct` and `$.ce` the type and the encoding of its content,
//! `$.exp` its end, `$.to` where it goes, `$.on` the output of a module that it comes from.

use percent_encoding::{percent_decode_str, utf8_percent_encode};

use crate::UNRESERVED;

/// The most properties of a bag.
pub const PROPERTIES_MAX: usize = 128;

/// The most bytes of a bag, as it is written.
pub const BAG_MAX_BYTES: usize = 32 * 1024;

/// The type of a message's content.
pub const CONTENT_TYPE: &str = "$.ct";

/// A message's name, which its sender gives.
pub const MESSAGE_ID: &str = "$.mid";

/// Until when a message is worth taking (RFC 3339).
pub const EXPIRY: &str = "$.exp";

/// Where a message goes.
pub const TO: &str = "$.to";

/// Named texts, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bag(Vec<(String, String)>);

/// Why a text is no property bag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BagError {
    /// It has too many properties, or too many bytes.
    #[error("it has more than {PROPERTIES_MAX} properties or {BAG_MAX_BYTES} bytes")]
    TooLarge,
    /// What is encoded is no UTF-8, or a property has no name.
    #[error("a property cannot be read")]
    Property,
}

impl Bag {
    /// Reads a bag. A property without `=` has an empty value, as Azure takes it.
    ///
    /// # Errors
    /// [`BagError`].
    pub fn parse(text: &str) -> Result<Self, BagError> {
        if text.len() > BAG_MAX_BYTES {
            return Err(BagError::TooLarge);
        }
        let mut properties = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if properties.len() == PROPERTIES_MAX {
                return Err(BagError::TooLarge);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name).filter(|name| !name.is_empty());
            properties.push((
                name.ok_or(BagError::Property)?,
                decoded(value).ok_or(BagError::Property)?,
            ));
        }
        Ok(Self(properties))
    }

    /// Adds a property behind the others.
    pub fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// The value of the first property of that name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(its, _)| its == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The properties.
    #[must_use]
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

impl std::fmt::Display for Bag {
    /// As it is sent: whatever a topic, an address or the bag itself could take for something else
    /// is encoded.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, (name, value)) in self.0.iter().enumerate() {
            let join = if place == 0 { "" } else { "&" };
            let name = utf8_percent_encode(name, UNRESERVED);
            let value = utf8_percent_encode(value, UNRESERVED);
            write!(f, "{join}{name}={value}")?;
        }
        Ok(())
    }
}

fn decoded(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_sdks_send_is_read() {
        let python = "%24.mid=m%201&%24.cid=c&%24.ct=application%2Fjson&%24.ce=utf-8&door=open";
        let bag = Bag::parse(python).unwrap();
        assert_eq!(bag.value(MESSAGE_ID), Some("m 1"));
        assert_eq!(bag.value(CONTENT_TYPE), Some("application/json"));
        assert_eq!(bag.value("door"), Some("open"));
        assert_eq!(bag.value("none"), None);
        assert_eq!(bag.to_string(), python);
        assert_eq!(Bag::parse("").unwrap(), Bag::default());
        assert_eq!(Bag::parse("alarm").unwrap().value("alarm"), Some(""));
    }

    #[test]
    fn too_many_properties_and_what_is_no_text_are_refused() {
        let many = "a=b&".repeat(PROPERTIES_MAX + 1);
        assert_eq!(Bag::parse(&many), Err(BagError::TooLarge));
        let long = "a".repeat(BAG_MAX_BYTES + 1);
        assert_eq!(Bag::parse(&long), Err(BagError::TooLarge));
        for wrong in ["=b", "a=%ff", "%c3=b"] {
            assert_eq!(Bag::parse(wrong), Err(BagError::Property), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_bag_is_read_as_it_was_written_and_fits_into_one_level_of_a_topic(
            pairs in proptest::collection::vec((".{1,16}", ".{0,16}"), 0..16),
        ) {
            let mut bag = Bag::default();
            for (name, value) in &pairs {
                bag.push(name, value);
            }
            let text = bag.to_string();
            prop_assert!(!text.contains(['/', '+', '#', '\0', '?']));
            prop_assert_eq!(Bag::parse(&text).unwrap().into_pairs(), pairs);
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = Bag::parse(&text);
        }
    }
}
