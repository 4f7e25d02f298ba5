//! What the two ends say to each other once their handshake is done (`HubProtocol.md`).

use std::collections::BTreeMap;

/// What a message carries beside what it says. Nobody uses it so far.
pub type Headers = BTreeMap<String, String>;

/// A message. `V` is a value as its protocol carries it: [`json::Raw`](crate::json::Raw) or
/// [`message_pack::Value`](crate::message_pack::Value).
#[derive(Debug, Clone, PartialEq)]
pub enum Message<V> {
    /// Wants a method called (kind 1).
    Invocation {
        /// Names the call in its completion; without one nobody waits for an answer.
        id: Option<String>,
        /// What is called.
        call: Call<V>,
    },
    /// One item of a stream (kind 2).
    StreamItem {
        /// See [`Headers`].
        headers: Headers,
        /// Which stream.
        id: String,
        /// The item.
        item: V,
    },
    /// The end of a call or of a stream (kind 3).
    Completion {
        /// See [`Headers`].
        headers: Headers,
        /// Which one.
        id: String,
        /// How it ended.
        completed: Completed<V>,
    },
    /// Wants a method called whose answer is a stream (kind 4).
    StreamInvocation {
        /// Names the stream.
        id: String,
        /// What is called.
        call: Call<V>,
    },
    /// Wants no more of a stream (kind 5).
    CancelInvocation {
        /// See [`Headers`].
        headers: Headers,
        /// Which stream.
        id: String,
    },
    /// Says that the connection lives (kind 6).
    Ping,
    /// The last message on a connection (kind 7).
    Close {
        /// Why, if something went wrong.
        error: Option<String>,
        /// Whether the client should come back by itself.
        allow_reconnect: bool,
    },
    /// What of a stateful connection has arrived (kind 8).
    Ack {
        /// The number of the last message that did.
        sequence_id: u64,
    },
    /// Where a stateful connection is taken up again (kind 9).
    Sequence {
        /// The number of the first message that is sent again: both of Microsoft's libraries do
        /// so, whatever the document says.
        sequence_id: u64,
    },
}

impl<V> Message<V> {
    /// Whether a stateful connection numbers it ([`replay`](crate::replay)).
    #[must_use]
    pub const fn is_counted(&self) -> bool {
        match self {
            Self::Invocation { .. }
            | Self::StreamItem { .. }
            | Self::Completion { .. }
            | Self::StreamInvocation { .. }
            | Self::CancelInvocation { .. } => true,
            Self::Ping | Self::Close { .. } | Self::Ack { .. } | Self::Sequence { .. } => false,
        }
    }

    /// The same message with its values in another form.
    #[must_use]
    pub fn map<U>(self, mut into: impl FnMut(V) -> U) -> Message<U> {
        match self {
            Self::Invocation { id, call } => Message::Invocation {
                id,
                call: call.map(into),
            },
            Self::StreamItem { headers, id, item } => Message::StreamItem {
                headers,
                id,
                item: into(item),
            },
            Self::Completion {
                headers,
                id,
                completed,
            } => Message::Completion {
                headers,
                id,
                completed: match completed {
                    Completed::Void => Completed::Void,
                    Completed::Result(result) => Completed::Result(into(result)),
                    Completed::Error(error) => Completed::Error(error),
                },
            },
            Self::StreamInvocation { id, call } => Message::StreamInvocation {
                id,
                call: call.map(into),
            },
            Self::CancelInvocation { headers, id } => Message::CancelInvocation { headers, id },
            Self::Ping => Message::Ping,
            Self::Close {
                error,
                allow_reconnect,
            } => Message::Close {
                error,
                allow_reconnect,
            },
            Self::Ack { sequence_id } => Message::Ack { sequence_id },
            Self::Sequence { sequence_id } => Message::Sequence { sequence_id },
        }
    }
}

/// A method to call, and with what.
#[derive(Debug, Clone, PartialEq)]
pub struct Call<V> {
    /// See [`Headers`].
    pub headers: Headers,
    /// The method's name.
    pub target: String,
    /// Its arguments.
    pub arguments: Vec<V>,
    /// Streams that the caller sends along.
    pub stream_ids: Vec<String>,
}

impl<V> Call<V> {
    fn map<U>(self, into: impl FnMut(V) -> U) -> Call<U> {
        Call {
            headers: self.headers,
            target: self.target,
            arguments: self.arguments.into_iter().map(into).collect(),
            stream_ids: self.stream_ids,
        }
    }
}

/// How a call or a stream ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Completed<V> {
    /// Well, without a result.
    Void,
    /// Well, with this one.
    Result(V),
    /// With an error, in words.
    Error(String),
}

/// The numbers of the kinds on the wire.
pub(crate) mod kind {
    pub(crate) const INVOCATION: u64 = 1;
    pub(crate) const STREAM_ITEM: u64 = 2;
    pub(crate) const COMPLETION: u64 = 3;
    pub(crate) const STREAM_INVOCATION: u64 = 4;
    pub(crate) const CANCEL_INVOCATION: u64 = 5;
    pub(crate) const PING: u64 = 6;
    pub(crate) const CLOSE: u64 = 7;
    pub(crate) const ACK: u64 = 8;
    pub(crate) const SEQUENCE: u64 = 9;
}
