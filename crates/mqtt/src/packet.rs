//! The control packets of MQTT 3.1.1 and 5.0 (and of 3.1, which differs little).
//!
//! [`Decoder::decode`] reads strictly: what the standard forbids is refused with the reason code
//! that MQTT 5.0 has for it. [`encode`] writes. A message that goes to many is a [`Message`], whose
//! shared parts are made once.
//!
//! Texts are copied out of what is read; payloads are not. A payload therefore keeps the buffer it
//! came in alive, which may be many times its size: whoever keeps one for longer than it takes to
//! pass it on makes a [`Message`] of it, which has a copy.

mod acknowledgement;
mod bits;
mod connack;
mod connect;
mod decode;
mod disconnect;
mod encode;
mod message;
mod property;
mod publish;
mod reader;
mod reason;
mod subscribe;

use std::num::NonZeroU16;

pub use self::acknowledgement::Acknowledgement;
pub use self::connack::ConnAck;
pub use self::connect::{Authentication, Connect, Password, Will};
pub use self::decode::{DecodeError, Decoder, Peer, decode};
pub use self::disconnect::{Auth, Disconnect};
pub use self::encode::{EncodeError, PACKET_MAX, encode};
pub use self::message::{Message, MessageCopy};
pub use self::property::{USER_PROPERTIES_MAX, UserProperties};
pub use self::publish::{Delivery, PayloadFormat, Publish, PublishProperties};
pub use self::reason::ReasonCode;
pub use self::subscribe::{
    FILTERS_MAX, RetainHandling, SUBSCRIPTION_ID_MAX, SubAck, Subscribe, SubscribeFilter, UnsubAck,
    Unsubscribe,
};

/// A packet identifier; never 0 [MQTT-2.2.1-3].
pub type PacketId = NonZeroU16;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// MQTT 3.1: protocol name `MQIsdp`, level 3.
    V3_1,
    /// MQTT 3.1.1: protocol name `MQTT`, level 4.
    V3_1_1,
    /// MQTT 5.0: protocol name `MQTT`, level 5.
    V5,
}

/// How surely a message is delivered (section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QoS {
    /// 0: at most once.
    #[default]
    AtMostOnce,
    /// 1: at least once.
    AtLeastOnce,
    /// 2: exactly once.
    ExactlyOnce,
}

impl QoS {
    /// The quality of service as its number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
            Self::ExactlyOnce => 2,
        }
    }

    /// The quality of service with this number; `None` for 3 and more.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// A control packet (section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// CONNECT: a client asks to be connected.
    Connect(Box<Connect>),
    /// CONNACK: the server's answer.
    ConnAck(Box<ConnAck>),
    /// PUBLISH: a message.
    Publish(Box<Publish>),
    /// PUBACK: a message of QoS 1 has arrived.
    PubAck(Acknowledgement),
    /// PUBREC: a message of QoS 2 has arrived.
    PubRec(Acknowledgement),
    /// PUBREL: the sender has noted that it has.
    PubRel(Acknowledgement),
    /// PUBCOMP: its identifier is free again.
    PubComp(Acknowledgement),
    /// SUBSCRIBE: filters that a client asks messages of.
    Subscribe(Subscribe),
    /// SUBACK: the server's answer.
    SubAck(SubAck),
    /// UNSUBSCRIBE: filters that a client no longer asks for.
    Unsubscribe(Unsubscribe),
    /// UNSUBACK: the server's answer.
    UnsubAck(UnsubAck),
    /// PINGREQ: a client is still there.
    PingReq,
    /// PINGRESP: so is the server.
    PingResp,
    /// DISCONNECT: the last packet of whoever sends it.
    Disconnect(Disconnect),
    /// AUTH: a step of enhanced authentication (5.0 only).
    Auth(Box<Auth>),
}
