//! What a connection tells its caller.

use bytes::Bytes;

use crate::packet::{
    Auth, Connect, DecodeError, Delivery, Disconnect, PacketId, PublishProperties, ReasonCode,
    Subscribe, Unsubscribe,
};
use crate::topics::TopicName;

/// What a connection tells its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants to be connected. Answer with `accept`, `refuse` or `challenge`; nothing
    /// more is read before.
    Connect(Box<Connect>),
    /// A step of enhanced authentication: during the login answer as to `Connect`, later with
    /// `continue_authentication` or `disconnect`.
    Auth(Box<Auth>),
    /// A message came. One with a token is to be answered with `acknowledge`.
    Publish(Box<Incoming>),
    /// Answer with `answer_subscribe`.
    Subscribe(Subscribe),
    /// Answer with `answer_unsubscribe`.
    Unsubscribe(Unsubscribe),
    /// The client has the message of QoS 2. Once that is noted, answer with `release`.
    Received {
        /// What the caller knows the message by.
        key: u64,
        /// Under which identifier it was sent.
        packet_id: PacketId,
    },
    /// The client will not repeat this message of QoS 2. Once it is noted that the identifier
    /// stands for nothing any more, answer with `complete`. (Noted later, the next message of the
    /// same identifier could be taken for a repetition after a crash, and be lost.)
    Released {
        /// Under which identifier it came.
        packet_id: PacketId,
    },
    /// The client is done with a message of QoS 1 or 2.
    Settled {
        /// What the caller knows the message by.
        key: u64,
        /// How it went; a failure is not to be sent again.
        reason: ReasonCode,
    },
    /// A message of QoS 1 or 2 will not be sent.
    Dropped {
        /// What the caller knows the message by.
        key: u64,
        /// Why.
        why: DropReason,
    },
    /// The client says goodbye. Its will is to be published unless the reason is `Success`.
    Disconnect(Box<Disconnect>),
    /// The connection has ended by mistake. Its will is to be published.
    Failed(ConnectionError),
}

/// A message from the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What to acknowledge it by; `None` for QoS 0.
    pub token: Option<Token>,
    /// Its topic. An alias has been looked up.
    pub topic: TopicName,
    /// What is said. It keeps the buffer it came in alive (see [`crate::packet`]).
    pub payload: Bytes,
    /// How surely, and under which identifier.
    pub delivery: Delivery,
    /// Whether it is to be retained.
    pub retain: bool,
    /// What is said of the payload.
    pub properties: PublishProperties,
}

/// Stands for a message of QoS 1 or 2 that the client waits to have acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub(super) u64);

/// Why a message is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It is larger than the client takes [MQTT-3.1.2-24].
    TooLarge,
    /// It was no longer worth delivering [MQTT-3.3.2-5].
    Expired,
    /// QoS 0: the client reads too slowly, and too much is waiting already.
    Slow,
    /// QoS 1 and 2: the session has no room.
    Full,
    /// There is no login, or the connection has ended.
    NotConnected,
}

/// What becomes of a message for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It was written.
    Sent,
    /// It waits in the session for its turn.
    Queued,
    /// It will not be sent.
    Dropped(DropReason),
}

/// Why a connection has ended by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// What came is not a packet that may be sent.
    #[error("the client sent what is not MQTT")]
    Decode(#[from] DecodeError),
    /// The packet may not be sent now.
    #[error("protocol error: {0}")]
    Unexpected(&'static str),
    /// The login took too long.
    #[error("the client did not log in in time")]
    LoginTimeout,
    /// Nothing came for one and a half times the keep-alive time [MQTT-3.1.2-22].
    #[error("the client was silent for longer than its keep-alive time")]
    KeepAlive,
    /// 3.1.1 asks for an identifier unless the session is clean, 3.1 for one of 1 to 23
    /// characters [3.1.1: MQTT-3.1.3-8].
    #[error("the client identifier is not valid")]
    ClientId,
    /// More messages at once than the receive maximum [MQTT-3.3.4-7].
    #[error("more messages than the receive maximum are unacknowledged")]
    ReceiveMaximum,
    /// An alias above the maximum [MQTT-3.3.2-9], or one that stands for nothing yet.
    #[error("the topic alias is not valid")]
    TopicAlias,
    /// A quality of service above what the server said it supports [MQTT-3.2.2-11].
    #[error("the quality of service is not supported")]
    QoS,
    /// A retained message, although the server said it keeps none [MQTT-3.2.2-14].
    #[error("retained messages are not supported")]
    Retain,
}

impl ConnectionError {
    /// The reason code that MQTT 5.0 has for it.
    #[must_use]
    pub fn reason(self) -> ReasonCode {
        match self {
            Self::Decode(error) => error.reason(),
            Self::Unexpected(_) => ReasonCode::ProtocolError,
            Self::LoginTimeout => ReasonCode::MaximumConnectTime,
            Self::KeepAlive => ReasonCode::KeepAliveTimeout,
            Self::ClientId => ReasonCode::ClientIdentifierNotValid,
            Self::ReceiveMaximum => ReasonCode::ReceiveMaximumExceeded,
            Self::TopicAlias => ReasonCode::TopicAliasInvalid,
            Self::QoS => ReasonCode::QosNotSupported,
            Self::Retain => ReasonCode::RetainNotSupported,
        }
    }
}
