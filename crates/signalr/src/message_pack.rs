//! Messages in MessagePack: an array each, after its length.

mod in_json;

use std::vec::IntoIter;

pub use rmpv::Value;

pub(crate) use in_json::to_json;
use rmpv::decode::{Error, read_value_with_max_depth};

use crate::framing::write_length;
use crate::message::{Call, Completed, Headers, Message, kind};
use crate::{DEPTH_MAX, Expected, ProtocolError};

/// The depth in the library's count: two for each array or map, three for what stands in the last.
const LIBRARY_DEPTH_MAX: usize = 2 * DEPTH_MAX + 3;

/// How a completion ended, on the wire.
const ERROR: u64 = 1;
const VOID: u64 = 2;
const RESULT: u64 = 3;

/// Reads a record without its length. `None` is a message of a kind that is not known, which is to
/// be ignored. An array may be longer than is known.
///
/// A value takes up to forty times as much memory as its bytes.
///
/// # Errors
/// It is no message.
pub fn read(record: &[u8]) -> Result<Option<Message<Value>>, ProtocolError> {
    let mut rest = record;
    let value = read_value_with_max_depth(&mut rest, LIBRARY_DEPTH_MAX).map_err(|error| {
        if matches!(error, Error::DepthLimitExceeded) {
            ProtocolError::TooDeep
        } else {
            ProtocolError::Not(Expected::MessagePack)
        }
    })?;
    if depth(&value) > DEPTH_MAX {
        return Err(ProtocolError::TooDeep);
    }
    let Value::Array(parts) = value else {
        return Err(ProtocolError::Not(Expected::MessagePack));
    };
    if !rest.is_empty() {
        return Err(ProtocolError::Not(Expected::MessagePack));
    }
    Parts(parts.into_iter()).message()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => {
            let deepest = entries
                .iter()
                .map(|(key, item)| depth(key).max(depth(item)));
            1 + deepest.max().unwrap_or(0)
        }
        Value::Nil
        | Value::Boolean(_)
        | Value::Integer(_)
        | Value::F32(_)
        | Value::F64(_)
        | Value::String(_)
        | Value::Binary(_)
        | Value::Ext(..) => 0,
    }
}

/// The parts of a message that are not read yet.
struct Parts(IntoIter<Value>);

impl Parts {
    fn message(mut self) -> Result<Option<Message<Value>>, ProtocolError> {
        Ok(Some(match self.number("type")? {
            kind::INVOCATION => {
                let headers = self.headers()?;
                Message::Invocation {
                    id: self.optional_text("invocationId")?,
                    call: self.call(headers)?,
                }
            }
            kind::STREAM_ITEM => Message::StreamItem {
                headers: self.headers()?,
                id: self.text("invocationId")?,
                item: self.part("item")?,
            },
            kind::COMPLETION => Message::Completion {
                headers: self.headers()?,
                id: self.text("invocationId")?,
                completed: match self.number("result kind")? {
                    ERROR => Completed::Error(self.text("error")?),
                    VOID => Completed::Void,
                    RESULT => Completed::Result(self.part("result")?),
                    _ => return Err(ProtocolError::Part("result kind")),
                },
            },
            kind::STREAM_INVOCATION => {
                let headers = self.headers()?;
                Message::StreamInvocation {
                    id: self.text("invocationId")?,
                    call: self.call(headers)?,
                }
            }
            kind::CANCEL_INVOCATION => Message::CancelInvocation {
                headers: self.headers()?,
                id: self.text("invocationId")?,
            },
            kind::PING => Message::Ping,
            kind::CLOSE => Message::Close {
                error: self.optional_text("error")?,
                allow_reconnect: match self.0.next() {
                    None => false,
                    Some(Value::Boolean(allow)) => allow,
                    Some(_) => return Err(ProtocolError::Part("allowReconnect")),
                },
            },
            kind::ACK => Message::Ack {
                sequence_id: self.number("sequenceId")?,
            },
            kind::SEQUENCE => Message::Sequence {
                sequence_id: self.number("sequenceId")?,
            },
            _ => return Ok(None),
        }))
    }

    fn call(&mut self, headers: Headers) -> Result<Call<Value>, ProtocolError> {
        let target = self.text("target")?;
        let Value::Array(arguments) = self.part("arguments")? else {
            return Err(ProtocolError::Part("arguments"));
        };
        let stream_ids = match self.0.next() {
            // The first version of the protocol had none.
            None => Vec::new(),
            Some(Value::Array(ids)) => {
                let ids = ids.into_iter().map(|id| text(id, "streamIds"));
                ids.collect::<Result<_, _>>()?
            }
            Some(_) => return Err(ProtocolError::Part("streamIds")),
        };
        Ok(Call {
            headers,
            target,
            arguments,
            stream_ids,
        })
    }

    fn headers(&mut self) -> Result<Headers, ProtocolError> {
        let headers = self.part("headers")?;
        // What the document does not know and some clients send.
        if headers.is_nil() {
            return Ok(Headers::new());
        }
        let Value::Map(headers) = headers else {
            return Err(ProtocolError::Part("headers"));
        };
        let entries = headers
            .into_iter()
            .map(|(name, value)| Ok((text(name, "headers")?, text(value, "headers")?)));
        entries.collect()
    }

    fn part(&mut self, name: &'static str) -> Result<Value, ProtocolError> {
        self.0.next().ok_or(ProtocolError::Part(name))
    }

    fn number(&mut self, name: &'static str) -> Result<u64, ProtocolError> {
        let number = self.part(name)?.as_u64();
        number.ok_or(ProtocolError::Part(name))
    }

    fn text(&mut self, name: &'static str) -> Result<String, ProtocolError> {
        text(self.part(name)?, name)
    }

    fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, ProtocolError> {
        match self.0.next() {
            None | Some(Value::Nil) => Ok(None),
            Some(value) => text(value, name).map(Some),
        }
    }
}

fn text(value: Value, name: &'static str) -> Result<String, ProtocolError> {
    let Value::String(text) = value else {
        return Err(ProtocolError::Part(name));
    };
    text.into_str().ok_or(ProtocolError::Part(name))
}

/// Writes a message as a record after its length.
#[must_use]
pub fn write(message: &Message<Value>) -> Vec<u8> {
    let mut record = Vec::new();
    // A vector takes whatever is written to it.
    let _ = rmpv::encode::write_value(&mut record, &Value::Array(parts(message)));
    let mut bytes = Vec::with_capacity(record.len() + 5);
    write_length(record.len(), &mut bytes);
    bytes.extend_from_slice(&record);
    bytes
}

fn parts(message: &Message<Value>) -> Vec<Value> {
    let optional = |text: &Option<String>| text.as_deref().map_or(Value::Nil, Value::from);
    match message {
        Message::Invocation { id, call } => called(kind::INVOCATION, optional(id), call),
        Message::StreamItem { headers, id, item } => {
            let mut parts = named(kind::STREAM_ITEM, headers, id);
            parts.push(item.clone());
            parts
        }
        Message::Completion {
            headers,
            id,
            completed,
        } => {
            let mut parts = named(kind::COMPLETION, headers, id);
            match completed {
                Completed::Void => parts.push(VOID.into()),
                Completed::Result(result) => parts.extend([RESULT.into(), result.clone()]),
                Completed::Error(error) => parts.extend([ERROR.into(), error.as_str().into()]),
            }
            parts
        }
        Message::StreamInvocation { id, call } => {
            called(kind::STREAM_INVOCATION, id.as_str().into(), call)
        }
        Message::CancelInvocation { headers, id } => named(kind::CANCEL_INVOCATION, headers, id),
        Message::Ping => vec![kind::PING.into()],
        Message::Close {
            error,
            allow_reconnect,
        } => vec![
            kind::CLOSE.into(),
            optional(error),
            (*allow_reconnect).into(),
        ],
        Message::Ack { sequence_id } => vec![kind::ACK.into(), (*sequence_id).into()],
        Message::Sequence { sequence_id } => vec![kind::SEQUENCE.into(), (*sequence_id).into()],
    }
}

fn named(kind: u64, headers: &Headers, id: &str) -> Vec<Value> {
    vec![kind.into(), map(headers), id.into()]
}

fn called(kind: u64, id: Value, call: &Call<Value>) -> Vec<Value> {
    let stream_ids = call.stream_ids.iter().map(|id| Value::from(id.as_str()));
    vec![
        kind.into(),
        map(&call.headers),
        id,
        call.target.as_str().into(),
        Value::Array(call.arguments.clone()),
        Value::Array(stream_ids.collect()),
    ]
}

/// A map even when it is empty: Microsoft's client in JavaScript takes no nil.
fn map(headers: &Headers) -> Value {
    let entries = headers
        .iter()
        .map(|(name, value)| (name.as_str().into(), value.as_str().into()));
    Value::Map(entries.collect())
}
