//! The handshake: the first record of either side, always JSON, whatever follows.

use serde::{Deserialize, Serialize};

use crate::{Expected, ProtocolError, framing::RECORD_END};

/// Longest handshake that is taken, in bytes.
pub const HANDSHAKE_MAX: usize = 4 * 1024;

/// A client's handshake for JSON, with its end: [`Request::new`] of [`Protocol::Json`].
pub const FOR_JSON: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";

/// What messages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// JSON, in records of text.
    Json,
    /// MessagePack, in records of bytes.
    MessagePack,
}

impl Protocol {
    /// Its name in a handshake.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MessagePack => "messagepack",
        }
    }

    /// The protocol of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Json, Self::MessagePack]
            .into_iter()
            .find(|one| one.as_str() == name)
    }
}

/// What a client says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The protocol's name, which may be none that is known; see [`Protocol::of`].
    pub protocol: String,
    /// 1, and 2 where a stateful connection was negotiated.
    pub version: u32,
}

impl Request {
    /// The request for a protocol in its first version.
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        Self {
            protocol: protocol.as_str().to_owned(),
            version: 1,
        }
    }

    /// Reads a record without its end.
    ///
    /// # Errors
    /// It is no request for a handshake.
    pub fn read(record: &[u8]) -> Result<Self, ProtocolError> {
        read(record)
    }

    /// The record, with its end.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Why it refuses; `None` is a welcome. The connection is closed after a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Answer {
    /// A welcome.
    pub const WELCOME: Self = Self { error: None };

    /// Reads a record without its end.
    ///
    /// # Errors
    /// It is no answer to a handshake.
    pub fn read(record: &[u8]) -> Result<Self, ProtocolError> {
        read(record)
    }

    /// The record, with its end.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }
}

fn read<T: for<'de> Deserialize<'de>>(record: &[u8]) -> Result<T, ProtocolError> {
    if record.len() > HANDSHAKE_MAX {
        return Err(ProtocolError::TooLong { max: HANDSHAKE_MAX });
    }
    // Arrays would do for structs otherwise.
    if record.trim_ascii_start().first() != Some(&b'{') {
        return Err(ProtocolError::Not(Expected::Handshake));
    }
    serde_json::from_slice(record).map_err(|_| ProtocolError::Not(Expected::Handshake))
}

fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    // Strings and numbers in a struct always have a form in JSON.
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(RECORD_END);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_clients_send() {
        let json = Request::new(Protocol::Json);
        let bytes = json.to_bytes();
        assert_eq!(bytes, FOR_JSON.as_bytes());
        assert_eq!(Request::read(&bytes[..bytes.len() - 1]), Ok(json));
        let stateful = Request::read(br#"{"protocol":"messagepack","version":2}"#).unwrap();
        assert_eq!(
            Protocol::of(&stateful.protocol),
            Some(Protocol::MessagePack)
        );
    }

    #[test]
    fn an_answer_is_a_welcome_or_an_error() {
        assert_eq!(Answer::WELCOME.to_bytes(), b"{}\x1e");
        assert_eq!(Answer::read(b"{}"), Ok(Answer::WELCOME));
        let error = Some("which protocol?".to_owned());
        let refusal = Answer::read(br#"{"error":"which protocol?"}"#);
        assert_eq!(refusal, Ok(Answer { error }));
        let bytes = refusal.unwrap().to_bytes();
        assert_eq!(bytes, b"{\"error\":\"which protocol?\"}\x1e");
    }

    #[test]
    fn what_is_none_is_refused() {
        let none = Err(ProtocolError::Not(Expected::Handshake));
        for record in [&b""[..], b"[]", b"hello", br#"{"error":1}"#] {
            assert_eq!(Answer::read(record), none, "{record:?}");
        }
        assert_eq!(
            Request::read(br#"{"protocol":"json"}"#),
            Err(ProtocolError::Not(Expected::Handshake))
        );
        let long = vec![b' '; HANDSHAKE_MAX + 1];
        assert_eq!(
            Answer::read(&long),
            Err(ProtocolError::TooLong { max: HANDSHAKE_MAX })
        );
    }
}
