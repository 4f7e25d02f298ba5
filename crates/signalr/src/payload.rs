//! Values in whichever protocol a connection speaks, for code that knows types and not protocols.

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use crate::json::Raw;
use crate::message_pack;

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
    MessagePack(#[source] rmpv::ext::Error),
}

impl Payload {
    /// Reads it as a type.
    ///
    /// # Errors
    /// It is of another.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, PayloadError> {
        match self {
            Self::Json(raw) => raw.read().map_err(PayloadError::Json),
            Self::MessagePack(value) => {
                rmpv::ext::from_value(value).map_err(PayloadError::MessagePack)
            }
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
