//! Evidence about HTTP and WebSocket.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;

use super::{micros, optional_micros};

/// What an HTTP server answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HttpEvidence {
    /// Status code.
    pub status: u16,
    /// The `Server` header, at most 256 characters.
    pub server: Option<String>,
    /// The `Via` header, which a proxy on the way may add, at most 256 characters.
    pub via: Option<String>,
    /// The `Location` header, which is recorded and not followed, at most 2,048 characters. An
    /// ellipsis stands for user name, the values of the query, and the fragment, as any of these may
    /// be a secret.
    pub location: Option<String>,
    /// The `Content-Type` header, at most 256 characters.
    pub content_type: Option<String>,
    /// The server's clock.
    pub date: Option<DateWitness>,
    /// Bytes of body that were read.
    pub body_bytes: u64,
    /// Whether the body went on beyond the 65,536 bytes that are read.
    pub body_cut: bool,
}

/// A server's clock beside the local one: a witness when a clock is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DateWitness {
    /// The `Date` header.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    pub server: OffsetDateTime,
    /// Milliseconds to add to the local clock to agree with it, to a second's precision.
    pub offset_millis: i64,
}

/// What a WebSocket did after its handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WebSocketEvidence {
    /// The subprotocol the server chose, at most 256 characters.
    pub subprotocol: Option<String>,
    /// From ping to pong; `None` if no pong came while the socket was held.
    #[serde(rename = "pong_micros", serialize_with = "optional_micros")]
    #[schemars(with = "Option<u64>")]
    pub pong: Option<Duration>,
    /// From a text to the same text back, where the ask says that it comes back.
    #[serde(rename = "echo_micros", serialize_with = "optional_micros")]
    #[schemars(with = "Option<u64>")]
    pub echo: Option<Duration>,
    /// How long the socket was seen open.
    #[serde(rename = "held_micros", serialize_with = "micros")]
    #[schemars(with = "u64")]
    pub held: Duration,
    /// Messages that the server sent by itself; no more are read after 1,000.
    pub messages: u32,
}
