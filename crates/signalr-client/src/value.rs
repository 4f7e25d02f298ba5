//! Values: what arguments, results and items are on the wire, and in Rust.

use std::error::Error;

use outgate_signalr::json::Raw;
use outgate_signalr::payload::Payload;
use outgate_signalr::{Message, Protocol, ProtocolError, json, message_pack};
use serde::{Serialize, de::DeserializeOwned};

/// A value that does not fit its type, or that a protocol has no form for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(String);

impl ValueError {
    pub(crate) fn of(error: impl ToString) -> Self {
        Self(error.to_string())
    }
}

/// A value of Rust in a protocol.
pub(crate) fn of(
    protocol: Protocol,
    value: &(impl Serialize + ?Sized),
) -> Result<Payload, ValueError> {
    Payload::of(protocol, value).map_err(|error| reason(&error))
}

/// Nothing: JSON's null, MessagePack's nil.
pub(crate) fn nothing(protocol: Protocol) -> Payload {
    match protocol {
        Protocol::Json => Payload::Json(Raw::default()),
        Protocol::MessagePack => Payload::MessagePack(message_pack::Value::Nil),
    }
}

/// Reads a value as a type of Rust.
pub(crate) fn to<T: DeserializeOwned>(value: Payload) -> Result<T, ValueError> {
    value.read().map_err(|error| reason(&error))
}

/// What is behind an error that itself says only in which protocol it was.
fn reason(error: &dyn Error) -> ValueError {
    ValueError::of(error.source().unwrap_or(error))
}

/// A message as a record. Its values are all of that protocol.
pub(crate) fn write(protocol: Protocol, message: Message<Payload>) -> Vec<u8> {
    match protocol {
        Protocol::Json => json::write(&message.map(|value| match value {
            Payload::Json(raw) => raw,
            Payload::MessagePack(_) => Raw::default(),
        })),
        Protocol::MessagePack => message_pack::write(&message.map(|value| match value {
            Payload::MessagePack(value) => value,
            Payload::Json(_) => message_pack::Value::Nil,
        })),
    }
}

/// The message in a record, unless it is of a kind that is not known.
pub(crate) fn read(
    protocol: Protocol,
    record: &[u8],
) -> Result<Option<Message<Payload>>, ProtocolError> {
    Ok(match protocol {
        Protocol::Json => json::read(record)?.map(|message| message.map(Payload::Json)),
        Protocol::MessagePack => {
            message_pack::read(record)?.map(|message| message.map(Payload::MessagePack))
        }
    })
}
