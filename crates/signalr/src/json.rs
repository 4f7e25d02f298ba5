//! Messages in JSON: an object each, ended by [`RECORD_END`].

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::framing::RECORD_END;
use crate::message::{Call, Completed, Headers, Message, kind};
use crate::{DEPTH_MAX, Expected, ProtocolError};

/// A ping, with its end: [`Message::Ping`].
pub const PING: &str = "{\"type\":6}\u{1e}";

/// A value that is left as it was written, for whoever knows its type.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Raw(Box<RawValue>);

impl Raw {
    /// A value as JSON.
    ///
    /// # Errors
    /// It has no form in JSON, such as a map whose keys are no strings.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Reads it as a type.
    ///
    /// # Errors
    /// It is of another.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }
}

/// Null.
impl Default for Raw {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

/// By its text: blanks count.
impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Every field that a message of any kind has.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Record {
    #[serde(rename = "type")]
    kind: u64,
    #[serde(skip_serializing_if = "Headers::is_empty")]
    headers: Headers,
    #[serde(skip_serializing_if = "Option::is_none")]
    invocation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Vec<Raw>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stream_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    item: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    result: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_reconnect: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_id: Option<u64>,
}

/// A null that is there is a value like any other.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Raw>, D::Error> {
    Raw::deserialize(deserializer).map(Some)
}

/// Reads a record without its end. `None` is a message of a kind that is not known, which is to be
/// ignored.
///
/// # Errors
/// It is no message.
pub fn read(record: &[u8]) -> Result<Option<Message<Raw>>, ProtocolError> {
    if is_too_deep(record) {
        return Err(ProtocolError::TooDeep);
    }
    // Arrays would do for structs otherwise.
    if record.trim_ascii_start().first() != Some(&b'{') {
        return Err(ProtocolError::Not(Expected::Json));
    }
    let record: Record =
        serde_json::from_slice(record).map_err(|_| ProtocolError::Not(Expected::Json))?;
    record.message()
}

impl Record {
    fn message(mut self) -> Result<Option<Message<Raw>>, ProtocolError> {
        Ok(Some(match self.kind {
            0 => return Err(ProtocolError::Part("type")),
            kind::INVOCATION => Message::Invocation {
                id: self.invocation_id.take(),
                call: self.call()?,
            },
            kind::STREAM_ITEM => Message::StreamItem {
                id: self.id()?,
                item: self.item.ok_or(ProtocolError::Part("item"))?,
                headers: self.headers,
            },
            kind::COMPLETION => Message::Completion {
                id: self.id()?,
                completed: match (self.error, self.result) {
                    (Some(_), Some(_)) => return Err(ProtocolError::Part("result")),
                    (Some(error), None) => Completed::Error(error),
                    (None, Some(result)) => Completed::Result(result),
                    (None, None) => Completed::Void,
                },
                headers: self.headers,
            },
            kind::STREAM_INVOCATION => Message::StreamInvocation {
                id: self.id()?,
                call: self.call()?,
            },
            kind::CANCEL_INVOCATION => Message::CancelInvocation {
                id: self.id()?,
                headers: self.headers,
            },
            kind::PING => Message::Ping,
            kind::CLOSE => Message::Close {
                error: self.error,
                allow_reconnect: self.allow_reconnect.unwrap_or_default(),
            },
            kind::ACK => Message::Ack {
                sequence_id: self.number()?,
            },
            kind::SEQUENCE => Message::Sequence {
                sequence_id: self.number()?,
            },
            _ => return Ok(None),
        }))
    }

    fn id(&mut self) -> Result<String, ProtocolError> {
        let id = self.invocation_id.take();
        id.ok_or(ProtocolError::Part("invocationId"))
    }

    fn number(&self) -> Result<u64, ProtocolError> {
        self.sequence_id.ok_or(ProtocolError::Part("sequenceId"))
    }

    fn call(self) -> Result<Call<Raw>, ProtocolError> {
        Ok(Call {
            headers: self.headers,
            target: self.target.ok_or(ProtocolError::Part("target"))?,
            arguments: self.arguments.ok_or(ProtocolError::Part("arguments"))?,
            stream_ids: self.stream_ids,
        })
    }
}

/// Whether arrays and objects stand in each other beyond [`DEPTH_MAX`]. Of text that is no JSON it
/// says nothing of use.
fn is_too_deep(text: &[u8]) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return true;
                }
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Writes a message as a record with its end.
#[must_use]
pub fn write(message: &Message<Raw>) -> Vec<u8> {
    // Strings, numbers and what is JSON already always have a form in JSON.
    let mut bytes = serde_json::to_vec(&record(message)).unwrap_or_default();
    bytes.push(RECORD_END);
    bytes
}

fn record(message: &Message<Raw>) -> Record {
    let mut record = Record::default();
    match message {
        Message::Invocation { id, call } => {
            record.kind = kind::INVOCATION;
            record.invocation_id.clone_from(id);
            put_call(&mut record, call);
        }
        Message::StreamItem { headers, id, item } => {
            record.kind = kind::STREAM_ITEM;
            put_id(&mut record, headers, id);
            record.item = Some(item.clone());
        }
        Message::Completion {
            headers,
            id,
            completed,
        } => {
            record.kind = kind::COMPLETION;
            put_id(&mut record, headers, id);
            match completed {
                Completed::Void => {}
                Completed::Result(result) => record.result = Some(result.clone()),
                Completed::Error(error) => record.error = Some(error.clone()),
            }
        }
        Message::StreamInvocation { id, call } => {
            record.kind = kind::STREAM_INVOCATION;
            record.invocation_id = Some(id.clone());
            put_call(&mut record, call);
        }
        Message::CancelInvocation { headers, id } => {
            record.kind = kind::CANCEL_INVOCATION;
            put_id(&mut record, headers, id);
        }
        Message::Ping => record.kind = kind::PING,
        Message::Close {
            error,
            allow_reconnect,
        } => {
            record.kind = kind::CLOSE;
            record.error.clone_from(error);
            record.allow_reconnect = allow_reconnect.then_some(true);
        }
        Message::Ack { sequence_id } => {
            record.kind = kind::ACK;
            record.sequence_id = Some(*sequence_id);
        }
        Message::Sequence { sequence_id } => {
            record.kind = kind::SEQUENCE;
            record.sequence_id = Some(*sequence_id);
        }
    }
    record
}

fn put_id(record: &mut Record, headers: &Headers, id: &str) {
    record.headers.clone_from(headers);
    record.invocation_id = Some(id.to_owned());
}

fn put_call(record: &mut Record, call: &Call<Raw>) {
    record.headers.clone_from(&call.headers);
    record.target = Some(call.target.clone());
    record.arguments = Some(call.arguments.clone());
    record.stream_ids.clone_from(&call.stream_ids);
}
