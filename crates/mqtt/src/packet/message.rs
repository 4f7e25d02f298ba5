//! A message that goes to many: what its copies share is made once.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

use crate::packet::bits::{VARIABLE_MAX, put_variable, variable_length};
use crate::packet::encode::EncodeError;
use crate::packet::property::{
    MESSAGE_EXPIRY, PropertyWriter, SUBSCRIPTION_ID, TOPIC_ALIAS, USER_PROPERTY, read_properties,
};
use crate::packet::reader::Reader;
use crate::packet::{
    DecodeError, Delivery, Publish, PublishProperties, QoS, SUBSCRIPTION_ID_MAX, Version,
};
use crate::topics::TopicName;

/// The fixed header's first byte of a PUBLISH, without flags.
const PUBLISH: u8 = 0x30;

/// A message as a server keeps and forwards it. It owns its bytes: nothing of the buffer that it
/// came in is kept. Copies for subscribers are written from it without making anything anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    topic: TopicName,
    payload: Bytes,
    /// The properties that are forwarded as they came, as they are written, without their length.
    properties: Bytes,
    qos: QoS,
    retain: bool,
    expires_at: Option<Instant>,
}

/// What is particular to one subscriber's copy of a message.
#[derive(Clone, Copy, Debug)]
pub struct MessageCopy<'a> {
    /// How surely, and under which identifier.
    pub delivery: Delivery,
    /// The retain flag.
    pub retain: bool,
    /// The identifiers of the subscriptions that it matches.
    pub subscription_ids: &'a [NonZeroU32],
    /// A number for the topic, on this connection.
    pub topic_alias: Option<NonZeroU16>,
    /// For how many seconds it is worth delivering ([`Message::expiry_at`]).
    pub message_expiry: Option<u32>,
}

/// What the copies of a message share.
pub(super) struct Parts<'a> {
    /// Empty when the alias says it all.
    pub(super) topic: &'a str,
    /// The properties without their length.
    pub(super) properties: &'a [u8],
    pub(super) payload: &'a [u8],
}

impl Message {
    /// What was published with `qos` to `topic` at `now`.
    ///
    /// # Errors
    /// [`EncodeError::FieldTooLong`] when a property is longer than its length can say; never for
    /// properties that were read.
    pub fn new(
        topic: TopicName,
        payload: &[u8],
        qos: QoS,
        retain: bool,
        properties: &PublishProperties,
        now: Instant,
    ) -> Result<Self, EncodeError> {
        let mut unchanging = PropertyWriter::default();
        properties.write_unchanging(&mut unchanging)?;
        let expires_at = properties
            .message_expiry
            .and_then(|seconds| now.checked_add(Duration::from_secs(seconds.into())));
        Ok(Self {
            topic,
            payload: Bytes::copy_from_slice(payload),
            properties: unchanging.into_bytes().freeze(),
            qos,
            retain,
            expires_at,
        })
    }

    /// Puts together a message that was taken apart to be stored, with `properties` from
    /// [`Self::encoded_properties`].
    ///
    /// # Errors
    /// When `properties` do not read.
    pub fn from_stored(
        topic: TopicName,
        payload: Bytes,
        qos: QoS,
        retain: bool,
        properties: Bytes,
        expires_at: Option<Instant>,
    ) -> Result<Self, DecodeError> {
        let stored = Self {
            topic,
            payload,
            properties,
            qos,
            retain,
            expires_at,
        };
        stored.properties()?;
        Ok(stored)
    }

    /// Its topic.
    #[must_use]
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// What is said.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The quality of service that it was published with.
    #[must_use]
    pub fn qos(&self) -> QoS {
        self.qos
    }

    /// The retain flag that it was published with.
    #[must_use]
    pub fn retain(&self) -> bool {
        self.retain
    }

    /// When it is no longer worth delivering.
    #[must_use]
    pub fn expires_at(&self) -> Option<Instant> {
        self.expires_at
    }

    /// Whether it is not worth delivering at `now` [MQTT-3.3.2-5].
    #[must_use]
    pub fn has_expired(&self, now: Instant) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// The expiry that a copy sent at `now` carries: what is left of it, in whole seconds and at
    /// least 1 [MQTT-3.3.2-6].
    #[must_use]
    pub fn expiry_at(&self, now: Instant) -> Option<u32> {
        let left = self.expires_at?.saturating_duration_since(now);
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Some(u32::try_from(seconds).unwrap_or(u32::MAX).max(1))
    }

    /// What is said of the payload. `message_expiry` is left out: it depends on the time.
    ///
    /// # Errors
    /// Never for a message that [`Self::new`] or [`Self::from_stored`] made.
    pub fn properties(&self) -> Result<PublishProperties, DecodeError> {
        let mut length = BytesMut::new();
        put_variable(&mut length, self.properties.len());
        length.extend_from_slice(&self.properties);
        let mut read = PublishProperties::default();
        let mut reader = Reader::new(&length, Version::V5);
        read_properties(&mut reader, &[USER_PROPERTY], |identifier, reader| {
            read.take_forwarded(identifier, reader)
        })?;
        Ok(read)
    }

    /// The properties as bytes, to be stored; empty when there are none.
    #[must_use]
    pub fn encoded_properties(&self) -> &Bytes {
        &self.properties
    }

    /// How many bytes the message keeps, to be held against a bound.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.topic.len() + self.payload.len() + self.properties.len()
    }

    /// How many bytes a copy takes on the wire, with the topic in full.
    #[must_use]
    pub fn copy_length(&self, copy: &MessageCopy<'_>, version: Version) -> usize {
        let remaining = self.parts().remaining_length(copy, version);
        1 + variable_length(remaining) + remaining
    }

    /// Writes a copy with the topic in full.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] when the packet is larger than MQTT can say.
    pub fn write_copy(
        &self,
        copy: &MessageCopy<'_>,
        version: Version,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        self.parts().write(copy, version, out)
    }

    /// Writes a copy of 5.0 whose alias stands for the topic, which the client knows.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] when the packet is larger than MQTT can say,
    /// [`EncodeError::NoTopic`] when the copy has no alias.
    pub fn write_aliased_copy(
        &self,
        copy: &MessageCopy<'_>,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        if copy.topic_alias.is_none() {
            return Err(EncodeError::NoTopic);
        }
        Parts {
            topic: "",
            ..self.parts()
        }
        .write(copy, Version::V5, out)
    }

    /// The message as one packet, for tests and for readers that want it whole.
    ///
    /// # Errors
    /// As [`Self::properties`].
    pub fn to_publish(&self, copy: &MessageCopy<'_>) -> Result<Publish, DecodeError> {
        let properties = PublishProperties {
            message_expiry: copy.message_expiry,
            ..self.properties()?
        };
        Ok(Publish {
            delivery: copy.delivery,
            retain: copy.retain,
            topic: Some(self.topic.clone()),
            topic_alias: copy.topic_alias,
            subscription_ids: copy.subscription_ids.to_vec(),
            properties,
            payload: self.payload.clone(),
        })
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            topic: &self.topic,
            properties: &self.properties,
            payload: &self.payload,
        }
    }
}

impl MessageCopy<'_> {
    /// How many bytes the properties take that are this copy's own.
    fn properties_length(&self) -> usize {
        let identifiers: usize = self
            .subscription_ids
            .iter()
            .map(|id| 1 + variable_length(limited(*id)))
            .sum();
        let alias = if self.topic_alias.is_some() { 3 } else { 0 };
        let expiry = if self.message_expiry.is_some() { 5 } else { 0 };
        identifiers + alias + expiry
    }
}

impl Parts<'_> {
    fn remaining_length(&self, copy: &MessageCopy<'_>, version: Version) -> usize {
        let identifier = if copy.delivery.packet_id().is_some() {
            2
        } else {
            0
        };
        let properties = if version == Version::V5 {
            let length = self.properties.len() + copy.properties_length();
            variable_length(length) + length
        } else {
            0
        };
        2 + self.topic.len() + identifier + properties + self.payload.len()
    }

    pub(super) fn write(
        &self,
        copy: &MessageCopy<'_>,
        version: Version,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let topic = u16::try_from(self.topic.len()).map_err(|_| EncodeError::FieldTooLong)?;
        let remaining = self.remaining_length(copy, version);
        if remaining > VARIABLE_MAX {
            return Err(EncodeError::TooLong);
        }
        out.reserve(5 + remaining);
        out.put_u8(PUBLISH | copy.delivery.flags(copy.retain));
        put_variable(out, remaining);
        out.put_u16(topic);
        out.put_slice(self.topic.as_bytes());
        if let Some(packet_id) = copy.delivery.packet_id() {
            out.put_u16(packet_id.get());
        }
        if version == Version::V5 {
            put_variable(out, self.properties.len() + copy.properties_length());
            if let Some(seconds) = copy.message_expiry {
                out.put_u8(MESSAGE_EXPIRY);
                out.put_u32(seconds);
            }
            for id in copy.subscription_ids {
                out.put_u8(SUBSCRIPTION_ID);
                put_variable(out, limited(*id));
            }
            if let Some(alias) = copy.topic_alias {
                out.put_u8(TOPIC_ALIAS);
                out.put_u16(alias.get());
            }
            out.put_slice(self.properties);
        }
        out.put_slice(self.payload);
        Ok(())
    }
}

fn limited(id: NonZeroU32) -> usize {
    id.get().min(SUBSCRIPTION_ID_MAX) as usize
}
