//! PUBLISH (MQTT 5.0 and 3.1.1, section 3.3).

use std::num::{NonZeroU16, NonZeroU32};

use bytes::{Bytes, BytesMut};

use crate::packet::decode::Peer;
use crate::packet::encode::EncodeError;
use crate::packet::message::{MessageCopy, Parts};
use crate::packet::property::{
    CONTENT_TYPE, CORRELATION_DATA, Known, MESSAGE_EXPIRY, PAYLOAD_FORMAT, PropertyWriter,
    RESPONSE_TOPIC, SUBSCRIPTION_ID, TOPIC_ALIAS, USER_PROPERTIES_MAX, USER_PROPERTY,
    UserProperties, read_properties, read_user_property,
};
use crate::packet::reader::Reader;
use crate::packet::subscribe::read_subscription_id;
use crate::packet::{DecodeError, PacketId, QoS, Version};
use crate::text::Text;
use crate::topics::TopicName;

/// A message, on its way between a client and a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// How surely, and under which identifier.
    pub delivery: Delivery,
    /// From a client: whether it is retained. From a server: whether it was.
    pub retain: bool,
    /// Its topic; `None` when only an alias says which.
    pub topic: Option<TopicName>,
    /// A number for the topic, on this connection.
    pub topic_alias: Option<NonZeroU16>,
    /// The identifiers of the subscriptions that it matches; servers only.
    pub subscription_ids: Vec<NonZeroU32>,
    /// What is said of the payload.
    pub properties: PublishProperties,
    /// What is said.
    pub payload: Bytes,
}

/// How surely a message is delivered. The identifier and the mark of a repetition are there only
/// where the protocol has them [MQTT-2.2.1-2], [MQTT-3.3.1-2].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce {
        /// What the PUBACK will carry.
        packet_id: PacketId,
        /// Whether it may have been sent before.
        duplicate: bool,
    },
    /// QoS 2.
    ExactlyOnce {
        /// What the PUBREC, PUBREL and PUBCOMP will carry.
        packet_id: PacketId,
        /// Whether it may have been sent before.
        duplicate: bool,
    },
}

/// What is said of a payload and travels with it. Nothing of it exists in 3.1.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishProperties {
    /// What the payload is made of.
    pub payload_format: Option<PayloadFormat>,
    /// For how many seconds the message is worth delivering.
    pub message_expiry: Option<u32>,
    /// What the payload means.
    pub content_type: Option<Text>,
    /// Where an answer is expected.
    pub response_topic: Option<TopicName>,
    /// What the answer shall carry.
    pub correlation_data: Option<Bytes>,
    /// What else the sender says.
    pub user_properties: UserProperties,
}

/// What a payload is made of. Nothing here checks that it is (section 3.3.2.3.2 leaves it open).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadFormat {
    /// 0: bytes.
    Bytes,
    /// 1: UTF-8.
    Utf8,
}

const RETAIN: u8 = 0x01;
const DUPLICATE: u8 = 0x08;

impl Delivery {
    /// A first delivery with `qos`.
    #[must_use]
    pub fn first(qos: QoS, packet_id: PacketId) -> Self {
        match qos {
            QoS::AtMostOnce => Self::AtMostOnce,
            QoS::AtLeastOnce => Self::AtLeastOnce {
                packet_id,
                duplicate: false,
            },
            QoS::ExactlyOnce => Self::ExactlyOnce {
                packet_id,
                duplicate: false,
            },
        }
    }

    /// The quality of service.
    #[must_use]
    pub fn qos(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce { .. } => QoS::AtLeastOnce,
            Self::ExactlyOnce { .. } => QoS::ExactlyOnce,
        }
    }

    /// The packet identifier; none for QoS 0.
    #[must_use]
    pub fn packet_id(self) -> Option<PacketId> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce { packet_id, .. } | Self::ExactlyOnce { packet_id, .. } => {
                Some(packet_id)
            }
        }
    }

    /// Whether the message may have been sent before.
    #[must_use]
    pub fn is_duplicate(self) -> bool {
        match self {
            Self::AtMostOnce => false,
            Self::AtLeastOnce { duplicate, .. } | Self::ExactlyOnce { duplicate, .. } => duplicate,
        }
    }

    /// The flags of the fixed header.
    pub(super) fn flags(self, retain: bool) -> u8 {
        let duplicate = if self.is_duplicate() { DUPLICATE } else { 0 };
        duplicate | self.qos().number() << 1 | u8::from(retain)
    }
}

impl Publish {
    /// A first message of QoS 0 that is not retained.
    #[must_use]
    pub fn new(topic: TopicName, payload: Bytes) -> Self {
        Self {
            delivery: Delivery::AtMostOnce,
            retain: false,
            topic: Some(topic),
            topic_alias: None,
            subscription_ids: Vec::new(),
            properties: PublishProperties::default(),
            payload,
        }
    }

    /// Reads all but the payload, which is what the reader has left.
    pub(super) fn read_head(
        reader: &mut Reader<'_>,
        flags: u8,
        from: Peer,
    ) -> Result<Self, DecodeError> {
        let qos = QoS::from_number(flags >> 1 & 3).ok_or(DecodeError::Malformed("QoS is 3"))?;
        let duplicate = flags & DUPLICATE != 0;
        let name = reader.str()?;
        let delivery = match qos {
            QoS::AtMostOnce if duplicate => {
                return Err(DecodeError::Malformed("a repetition of QoS 0"));
            }
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce {
                packet_id: reader.packet_id()?,
                duplicate,
            },
            QoS::ExactlyOnce => Delivery::ExactlyOnce {
                packet_id: reader.packet_id()?,
                duplicate,
            },
        };
        let mut read = Self {
            delivery,
            retain: flags & RETAIN != 0,
            topic: None,
            topic_alias: None,
            subscription_ids: Vec::new(),
            properties: PublishProperties::default(),
            payload: Bytes::new(),
        };
        if reader.version == Version::V5 {
            read.read_properties(reader, from)?;
        }
        // An alias stands for the topic (section 3.3.2.3.4).
        if !name.is_empty() || read.topic_alias.is_none() {
            read.topic = Some(TopicName::new(name)?);
        }
        Ok(read)
    }

    fn read_properties(&mut self, reader: &mut Reader<'_>, from: Peer) -> Result<(), DecodeError> {
        read_properties(
            reader,
            &[USER_PROPERTY, SUBSCRIPTION_ID],
            |identifier, reader| {
                match identifier {
                    TOPIC_ALIAS => {
                        let alias =
                            NonZeroU16::new(reader.u16()?).ok_or(DecodeError::TopicAlias)?;
                        self.topic_alias = Some(alias);
                    }
                    SUBSCRIPTION_ID if from == Peer::Client => {
                        // [MQTT-3.3.4-6]
                        return Err(DecodeError::Protocol(
                            "a client sent a subscription identifier",
                        ));
                    }
                    SUBSCRIPTION_ID if self.subscription_ids.len() >= USER_PROPERTIES_MAX => {
                        return Err(DecodeError::TooMany("subscription identifiers"));
                    }
                    SUBSCRIPTION_ID => self.subscription_ids.push(read_subscription_id(reader)?),
                    _ => return self.properties.take_forwarded(identifier, reader),
                }
                Ok(Known::Here)
            },
        )
    }

    pub(super) fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
        if self.topic.is_none() && (self.topic_alias.is_none() || version < Version::V5) {
            return Err(EncodeError::NoTopic);
        }
        let mut unchanging = PropertyWriter::default();
        if version == Version::V5 {
            self.properties.write_unchanging(&mut unchanging)?;
        }
        let parts = Parts {
            topic: self.topic.as_ref().map_or("", TopicName::as_str),
            properties: &unchanging.into_bytes(),
            payload: &self.payload,
        };
        let copy = MessageCopy {
            delivery: self.delivery,
            retain: self.retain,
            subscription_ids: &self.subscription_ids,
            topic_alias: self.topic_alias,
            message_expiry: self.properties.message_expiry,
        };
        parts.write(&copy, version, out)
    }
}

impl PublishProperties {
    /// Takes a property that a PUBLISH and a will have in common.
    pub(super) fn take_forwarded(
        &mut self,
        identifier: u8,
        reader: &mut Reader<'_>,
    ) -> Result<Known, DecodeError> {
        match identifier {
            PAYLOAD_FORMAT => {
                self.payload_format = Some(if reader.boolean()? {
                    PayloadFormat::Utf8
                } else {
                    PayloadFormat::Bytes
                });
            }
            MESSAGE_EXPIRY => self.message_expiry = Some(reader.u32()?),
            CONTENT_TYPE => self.content_type = Some(reader.text()?),
            RESPONSE_TOPIC => self.response_topic = Some(reader.topic_name()?),
            CORRELATION_DATA => self.correlation_data = Some(reader.binary()?),
            USER_PROPERTY => read_user_property(&mut self.user_properties, reader)?,
            _ => return Ok(Known::Elsewhere),
        }
        Ok(Known::Here)
    }

    pub(super) fn write_expiry(&self, properties: &mut PropertyWriter) {
        if let Some(seconds) = self.message_expiry {
            properties.u32(MESSAGE_EXPIRY, seconds);
        }
    }

    /// Writes what a server forwards as it came [MQTT-3.3.2-4], [MQTT-3.3.2-15],
    /// [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-20]: all but the expiry.
    pub(super) fn write_unchanging(
        &self,
        properties: &mut PropertyWriter,
    ) -> Result<(), EncodeError> {
        if let Some(format) = self.payload_format {
            properties.boolean(PAYLOAD_FORMAT, format == PayloadFormat::Utf8);
        }
        properties.optional_text(CONTENT_TYPE, self.content_type.as_ref())?;
        if let Some(topic) = &self.response_topic {
            properties.binary(RESPONSE_TOPIC, topic.as_bytes())?;
        }
        if let Some(data) = &self.correlation_data {
            properties.binary(CORRELATION_DATA, data)?;
        }
        properties.user(&self.user_properties)
    }
}
