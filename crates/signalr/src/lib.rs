//! SignalR as ASP.NET Core speaks it (`TransportProtocols.md` and `HubProtocol.md` of its
//! repository), for servers and clients alike: bytes to values and back.
//!
//! A connection goes through these, in this order:
//!
//! | step | here |
//! |---|---|
//! | `POST …/negotiate`: which transports there are, and what names the connection | [`negotiate`] |
//! | records of text or bytes out of what a transport delivers, however it is cut | [`framing`] |
//! | the handshake: which protocol the messages are in | [`handshake`] |
//! | messages, in JSON or in MessagePack | [`message`], [`json`], [`message_pack`] |
//! | the same, straight from and to a program's own types | [`encode`], [`payload`] |
//! | bytes and points of time, as either protocol has them | [`native`] |
//! | text as Server-Sent Events carry it | [`event`] |
//! | a server's end of all of it | [`connection`] |
//! | what lets a connection outlive its transport | [`replay`] |
//! | for clients: which transport to try next, and what works here | [`ladder`] |
//! | for clients: when to come back | [`retry`] |
//!
//! Nothing here moves bytes, reads a clock or waits; the caller does. What a peer sends is bounded
//! by [`MESSAGE_MAX`] (or what the caller says in its place), [`DEPTH_MAX`] and
//! [`negotiate::ANSWER_MAX`].

pub mod connection;
pub mod encode;
pub mod event;
pub mod framing;
pub mod handshake;
pub mod json;
pub mod ladder;
pub mod message;
pub mod message_pack;
pub mod native;
pub mod negotiate;
pub mod payload;
pub mod replay;
pub mod retry;

pub use self::handshake::Protocol;
pub use self::message::{Call, Completed, Headers, Message};
pub use self::native::{Binary, Timestamp};

/// Longest message that is taken unless the caller says otherwise, in bytes: what ASP.NET Core's
/// servers take (`MaximumReceiveMessageSize`).
pub const MESSAGE_MAX: usize = 32 * 1024;

/// How deep arrays and objects may stand in each other, in either protocol: what ASP.NET Core's
/// JSON reader takes (`MaxDepth`).
pub const DEPTH_MAX: usize = 64;

/// Why what came is not SignalR's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// More bytes than are taken.
    #[error("more than {max} bytes")]
    TooLong {
        /// How many are.
        max: usize,
    },
    /// Arrays and objects in each other beyond [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// It is not in its protocol at all.
    #[error("not {0}")]
    Not(Expected),
    /// It is, but this part of a message is missing or of another type.
    #[error("the message has no proper {0}")]
    Part(&'static str),
}

/// What was expected in place of what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// An answer to a negotiation.
    Negotiation,
    /// A handshake or the answer to one.
    Handshake,
    /// A message in JSON.
    Json,
    /// A message in MessagePack.
    MessagePack,
    /// The length before a message in MessagePack.
    Length,
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Negotiation => "an answer to a negotiation",
            Self::Handshake => "a handshake of SignalR",
            Self::Json => "a message of SignalR in JSON",
            Self::MessagePack => "a message of SignalR in MessagePack",
            Self::Length => "a length of a message",
        })
    }
}
