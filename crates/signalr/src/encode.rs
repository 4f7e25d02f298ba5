//! Messages written straight from a program's own types, in one pass.
//!
//! What [`json`] and [`message_pack`] write, without a
//! [`Message`] in between: for whoever sends much.

use bytes::Bytes;
use rmp::encode as pack;
use serde::Serialize;
use serde_json::ser;

use crate::framing::{RECORD_END, write_length};
use crate::handshake::Protocol;
use crate::message::kind;
use crate::native::in_message_pack;
use crate::{Completed, Message, json, message_pack};

/// Why a value cannot be sent: it has no form in the protocol, such as a map whose keys are no
/// strings in JSON.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// In JSON.
    #[error("no form in JSON")]
    Json(#[source] serde_json::Error),
    /// In MessagePack.
    #[error("no form in MessagePack")]
    MessagePack(#[source] rmp_serde::encode::Error),
}

/// A message without values, which always has a form.
#[must_use]
pub fn plain(protocol: Protocol, message: &Plain<'_>) -> Bytes {
    match protocol {
        Protocol::Json => json::write(&message.to_message()).into(),
        Protocol::MessagePack => message_pack::write(&message.to_message()).into(),
    }
}

/// Messages without values.
#[derive(Debug, Clone, Copy)]
pub enum Plain<'a> {
    /// [`Message::Ping`].
    Ping,
    /// [`Message::Close`].
    Close {
        /// Why, if something went wrong.
        error: Option<&'a str>,
        /// Whether the client should come back by itself.
        allow_reconnect: bool,
    },
    /// [`Message::Ack`].
    Ack(u64),
    /// [`Message::Sequence`].
    Sequence(u64),
    /// [`Message::Completion`] without a result.
    Done {
        /// Of which call or stream.
        id: &'a str,
    },
    /// [`Message::Completion`] with an error.
    Failed {
        /// Of which call or stream.
        id: &'a str,
        /// In words.
        error: &'a str,
    },
}

impl Plain<'_> {
    fn to_message<V>(self) -> Message<V> {
        match self {
            Self::Ping => Message::Ping,
            Self::Close {
                error,
                allow_reconnect,
            } => Message::Close {
                error: error.map(str::to_owned),
                allow_reconnect,
            },
            Self::Ack(sequence_id) => Message::Ack { sequence_id },
            Self::Sequence(sequence_id) => Message::Sequence { sequence_id },
            Self::Done { id } => completion_of(id, Completed::Void),
            Self::Failed { id, error } => completion_of(id, Completed::Error(error.to_owned())),
        }
    }
}

fn completion_of<V>(id: &str, completed: Completed<V>) -> Message<V> {
    Message::Completion {
        headers: crate::Headers::new(),
        id: id.to_owned(),
        completed,
    }
}

/// A call. `arguments` is a tuple, an array or a list: one item an argument; `()` is none.
///
/// # Errors
/// An argument has no form in the protocol.
pub fn invocation(
    protocol: Protocol,
    id: Option<&str>,
    target: &str,
    arguments: &impl Serialize,
) -> Result<Bytes, EncodeError> {
    match protocol {
        Protocol::Json => {
            let mut out = begin(kind::INVOCATION);
            if let Some(id) = id {
                text(&mut out, ",\"invocationId\":", id)?;
            }
            text(&mut out, ",\"target\":", target)?;
            out.extend_from_slice(b",\"arguments\":");
            let start = out.len();
            value(&mut out, arguments)?;
            if &out[start..] == b"null" {
                out.truncate(start);
                out.extend_from_slice(b"[]");
            }
            Ok(end(out))
        }
        Protocol::MessagePack => {
            let mut out = packed(6, kind::INVOCATION);
            match id {
                Some(id) => pack_text(&mut out, id),
                None => out.push(NIL),
            }
            pack_text(&mut out, target);
            let start = out.len();
            pack_value(&mut out, arguments)?;
            if out[start..] == [NIL] {
                out[start] = EMPTY_ARRAY;
            }
            out.push(EMPTY_ARRAY);
            Ok(framed(&out))
        }
    }
}

/// The end of a call, with its result.
///
/// # Errors
/// The result has no form in the protocol.
pub fn completion(
    protocol: Protocol,
    id: &str,
    result: &impl Serialize,
) -> Result<Bytes, EncodeError> {
    match protocol {
        Protocol::Json => {
            let mut out = begin(kind::COMPLETION);
            text(&mut out, ",\"invocationId\":", id)?;
            out.extend_from_slice(b",\"result\":");
            value(&mut out, result)?;
            Ok(end(out))
        }
        Protocol::MessagePack => {
            let mut out = packed(5, kind::COMPLETION);
            pack_text(&mut out, id);
            out.push(RESULT);
            pack_value(&mut out, result)?;
            Ok(framed(&out))
        }
    }
}

/// One item of a stream.
///
/// # Errors
/// The item has no form in the protocol.
pub fn stream_item(
    protocol: Protocol,
    id: &str,
    item: &impl Serialize,
) -> Result<Bytes, EncodeError> {
    match protocol {
        Protocol::Json => {
            let mut out = begin(kind::STREAM_ITEM);
            text(&mut out, ",\"invocationId\":", id)?;
            out.extend_from_slice(b",\"item\":");
            value(&mut out, item)?;
            Ok(end(out))
        }
        Protocol::MessagePack => {
            let mut out = packed(4, kind::STREAM_ITEM);
            pack_text(&mut out, id);
            pack_value(&mut out, item)?;
            Ok(framed(&out))
        }
    }
}

const NIL: u8 = 0xc0;
const EMPTY_ARRAY: u8 = 0x90;
const EMPTY_MAP: u8 = 0x80;
/// The kind of a completion that has a result.
const RESULT: u8 = 3;

fn begin(kind: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(b"{\"type\":");
    out.extend_from_slice(kind.to_string().as_bytes());
    out
}

fn text(out: &mut Vec<u8>, name: &str, text: &str) -> Result<(), EncodeError> {
    out.extend_from_slice(name.as_bytes());
    value(out, &text)
}

fn value(out: &mut Vec<u8>, value: &impl Serialize) -> Result<(), EncodeError> {
    let mut serializer = ser::Serializer::new(out);
    value.serialize(&mut serializer).map_err(EncodeError::Json)
}

fn end(mut out: Vec<u8>) -> Bytes {
    out.extend_from_slice(&[b'}', RECORD_END]);
    out.into()
}

/// The beginning of every message that has headers: Microsoft's client in JavaScript wants a map,
/// empty or not.
fn packed(parts: u8, kind: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.push(EMPTY_ARRAY | parts);
    // Every kind is less than 128, and so a byte.
    out.push(u8::try_from(kind).unwrap_or_default());
    out.push(EMPTY_MAP);
    out
}

fn pack_text(out: &mut Vec<u8>, text: &str) {
    // A vector takes whatever is written to it.
    let _ = pack::write_str(out, text);
}

/// Objects as maps by name, and what has a form for people and one for machines in that for
/// people, as in JSON: other languages' clients know no other.
pub(crate) fn pack_value(
    out: &mut Vec<u8>,
    value: &(impl Serialize + ?Sized),
) -> Result<(), EncodeError> {
    let mut serializer = rmp_serde::Serializer::new(out)
        .with_struct_map()
        .with_human_readable();
    let written = in_message_pack(|| value.serialize(&mut serializer));
    written.map_err(EncodeError::MessagePack)
}

fn framed(record: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(record.len() + 5);
    write_length(record.len(), &mut out);
    out.extend_from_slice(record);
    out.into()
}

#[cfg(test)]
mod tests;
