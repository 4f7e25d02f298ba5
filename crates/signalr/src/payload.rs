//! Values in whichever protocol a connection speaks, for code that knows types and not protocols.

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use crate::encode::{self, EncodeError};
use crate::json::Raw;
use crate::{Protocol, message_pack};

/// A value as it came.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// In JSON.
    Json(Raw),
    /// In MessagePack.
    MessagePack(message_pack::Value),
}

/// As it came: of use for a connection of the same protocol.
impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(raw) => raw.serialize(serializer),
            Self::MessagePack(value) => value.serialize(serializer),
        }
    }
}

/// Why a value is not of the type that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// In JSON.
    #[error("JSON of another type")]
    Json(#[source] serde_json::Error),
    /// In MessagePack.
    #[error("MessagePack of another type")]
    MessagePack(#[source] rmp_serde::decode::Error),
}

impl Payload {
    /// A value in a protocol. In MessagePack a struct is a map with the names of its fields, and
    /// what has a form for people and one for machines is in that for people: so Microsoft's
    /// servers and clients have it.
    ///
    /// # Errors
    /// It has no form in the protocol.
    pub fn of(protocol: Protocol, value: &(impl Serialize + ?Sized)) -> Result<Self, EncodeError> {
        match protocol {
            Protocol::Json => Raw::of(&value).map(Self::Json).map_err(EncodeError::Json),
            Protocol::MessagePack => {
                let mut bytes = Vec::new();
                encode::pack_value(&mut bytes, value)?;
                // What was written is read, unless it is deeper than the library reads.
                let too_deep =
                    EncodeError::MessagePack(rmp_serde::encode::Error::DepthLimitExceeded);
                let read = rmpv::decode::read_value(&mut bytes.as_slice());
                read.map(Self::MessagePack).map_err(|_| too_deep)
            }
        }
    }

    /// Reads it as a type.
    ///
    /// # Errors
    /// It is of another.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, PayloadError> {
        match self {
            Self::Json(raw) => raw.read().map_err(PayloadError::Json),
            Self::MessagePack(value) => {
                // rmpv reads no enum as other languages write it: it wants arrays and numbers.
                let mut bytes = Vec::new();
                // A vector takes whatever is written to it.
                let _ = rmpv::encode::write_value(&mut bytes, &value);
                let mut reader =
                    rmp_serde::Deserializer::from_read_ref(&bytes).with_human_readable();
                T::deserialize(&mut reader).map_err(PayloadError::MessagePack)
            }
        }
    }
}

impl Payload {
    /// The same in JSON: bytes as base 64, points of time as in RFC 3339, keys of maps as texts.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Json(raw) => raw.read().unwrap_or_default(),
            Self::MessagePack(value) => message_pack::to_json(value),
        }
    }
}

/// A call's arguments as they came.
#[derive(Debug, Clone, PartialEq)]
pub enum Arguments {
    /// In JSON.
    Json(Vec<Raw>),
    /// In MessagePack.
    MessagePack(Vec<message_pack::Value>),
}

impl Arguments {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Json(arguments) => arguments.len(),
            Self::MessagePack(arguments) => arguments.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl IntoIterator for Arguments {
    type Item = Payload;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        match self {
            Self::Json(arguments) => IntoIter::Json(arguments.into_iter()),
            Self::MessagePack(arguments) => IntoIter::MessagePack(arguments.into_iter()),
        }
    }
}

/// Arguments, one after the other.
#[derive(Debug)]
pub enum IntoIter {
    /// In JSON.
    Json(std::vec::IntoIter<Raw>),
    /// In MessagePack.
    MessagePack(std::vec::IntoIter<message_pack::Value>),
}

impl Iterator for IntoIter {
    type Item = Payload;

    fn next(&mut self) -> Option<Payload> {
        match self {
            Self::Json(arguments) => arguments.next().map(Payload::Json),
            Self::MessagePack(arguments) => arguments.next().map(Payload::MessagePack),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Place {
        table: u32,
        name: Option<String>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    enum Bill {
        Open,
        Paid { by: String },
    }

    #[test]
    fn an_enum_is_a_text_or_a_map_in_either_protocol() {
        let json = |text| Payload::Json(serde_json::from_str(text).unwrap());
        let by = message_pack::Value::Map(vec![("by".into(), "card".into())]);
        let paid = message_pack::Value::Map(vec![("Paid".into(), by)]);
        for open in [json("\"Open\""), Payload::MessagePack("Open".into())] {
            assert_eq!(open.read::<Bill>().unwrap(), Bill::Open);
        }
        let by = "card".to_owned();
        let expected = Bill::Paid { by };
        for paid in [
            json("{\"Paid\":{\"by\":\"card\"}}"),
            Payload::MessagePack(paid),
        ] {
            assert_eq!(paid.read::<Bill>().unwrap(), expected);
        }
    }

    #[test]
    fn a_value_reads_alike_in_either_protocol() {
        let text = r#"{"table":7,"name":null}"#;
        let json = Payload::Json(serde_json::from_str(text).unwrap());
        let packed = Payload::MessagePack(message_pack::Value::Map(vec![
            ("table".into(), 7.into()),
            ("name".into(), message_pack::Value::Nil),
        ]));
        for payload in [json, packed] {
            let place = payload.clone().read::<Place>().unwrap();
            assert_eq!((place.table, place.name), (7, None));
            assert!(payload.read::<u8>().is_err());
        }
    }

    #[test]
    fn arguments_come_one_after_the_other() {
        let arguments = Arguments::Json(vec![Raw::of(&1).unwrap(), Raw::of(&"a").unwrap()]);
        assert_eq!(arguments.len(), 2);
        let mut arguments = arguments.into_iter();
        assert_eq!(arguments.next().unwrap().read::<u8>().unwrap(), 1);
        assert_eq!(arguments.next().unwrap().read::<String>().unwrap(), "a");
        assert!(arguments.next().is_none());
    }
}
