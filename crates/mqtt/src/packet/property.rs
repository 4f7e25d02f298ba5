//! Properties (MQTT 5.0, section 2.2.2).

use bytes::{BufMut, BytesMut};

use crate::packet::bits::{put_prefixed, put_variable};
use crate::packet::decode::DecodeError;
use crate::packet::encode::EncodeError;
use crate::packet::reader::Reader;
use crate::text::Text;

/// The most user properties of a packet, and the most subscription identifiers. MQTT states none;
/// a reader must, since a property takes several times its bytes on the wire.
pub const USER_PROPERTIES_MAX: usize = 256;

/// Pairs of name and value, in order; names may repeat.
pub type UserProperties = Vec<(Text, Text)>;

pub(super) const PAYLOAD_FORMAT: u8 = 0x01;
pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
pub(super) const CONTENT_TYPE: u8 = 0x03;
pub(super) const RESPONSE_TOPIC: u8 = 0x08;
pub(super) const CORRELATION_DATA: u8 = 0x09;
pub(super) const SUBSCRIPTION_ID: u8 = 0x0B;
pub(super) const SESSION_EXPIRY: u8 = 0x11;
pub(super) const ASSIGNED_CLIENT_ID: u8 = 0x12;
pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
pub(super) const AUTHENTICATION_METHOD: u8 = 0x15;
pub(super) const AUTHENTICATION_DATA: u8 = 0x16;
pub(super) const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
pub(super) const WILL_DELAY: u8 = 0x18;
pub(super) const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
pub(super) const RESPONSE_INFORMATION: u8 = 0x1A;
pub(super) const SERVER_REFERENCE: u8 = 0x1C;
pub(super) const REASON_STRING: u8 = 0x1F;
pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(super) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(super) const TOPIC_ALIAS: u8 = 0x23;
pub(super) const MAXIMUM_QOS: u8 = 0x24;
pub(super) const RETAIN_AVAILABLE: u8 = 0x25;
pub(super) const USER_PROPERTY: u8 = 0x26;
pub(super) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
pub(super) const WILDCARDS_AVAILABLE: u8 = 0x28;
pub(super) const SUBSCRIPTION_IDS_AVAILABLE: u8 = 0x29;
pub(super) const SHARED_AVAILABLE: u8 = 0x2A;

/// Reads a packet's properties: `take` gets the identifier of each, reads its value, and says
/// whether the packet may have it. None may come twice but those in `repeatable`.
pub(super) fn read_properties<'a>(
    reader: &mut Reader<'a>,
    repeatable: &[u8],
    mut take: impl FnMut(u8, &mut Reader<'a>) -> Result<Known, DecodeError>,
) -> Result<(), DecodeError> {
    let length = reader.variable()? as usize;
    let mut properties = Reader::new(reader.take(length)?, reader.version);
    let mut seen = 0_u64;
    while !properties.is_empty() {
        let identifier = properties.u8()?;
        // Identifiers end at 0x2A, and none has two bytes.
        let bit = 1_u64.checked_shl(identifier.into()).unwrap_or(0);
        if seen & bit != 0 && !repeatable.contains(&identifier) {
            return Err(DecodeError::Protocol("a property comes twice"));
        }
        seen |= bit;
        match take(identifier, &mut properties)? {
            Known::Here => {}
            Known::Elsewhere => {
                return Err(DecodeError::Malformed(
                    "a property does not belong in this packet",
                ));
            }
        }
    }
    Ok(())
}

/// Whether a packet may have a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It may, and the value was read.
    Here,
    /// It may not, or there is no such property.
    Elsewhere,
}

/// Reads a user property.
pub(super) fn read_user_property(
    properties: &mut UserProperties,
    reader: &mut Reader<'_>,
) -> Result<(), DecodeError> {
    if properties.len() >= USER_PROPERTIES_MAX {
        return Err(DecodeError::TooMany("user properties"));
    }
    properties.push((reader.text()?, reader.text()?));
    Ok(())
}

/// A packet's properties, being written.
#[derive(Default)]
pub(super) struct PropertyWriter {
    bytes: BytesMut,
}

impl PropertyWriter {
    pub(super) fn boolean(&mut self, identifier: u8, value: bool) {
        self.bytes.put_slice(&[identifier, value.into()]);
    }

    pub(super) fn u16(&mut self, identifier: u8, value: u16) {
        self.bytes.put_u8(identifier);
        self.bytes.put_u16(value);
    }

    pub(super) fn u32(&mut self, identifier: u8, value: u32) {
        self.bytes.put_u8(identifier);
        self.bytes.put_u32(value);
    }

    pub(super) fn variable(&mut self, identifier: u8, value: u32) {
        self.bytes.put_u8(identifier);
        put_variable(&mut self.bytes, value as usize);
    }

    pub(super) fn binary(&mut self, identifier: u8, value: &[u8]) -> Result<(), EncodeError> {
        self.bytes.put_u8(identifier);
        put_prefixed(&mut self.bytes, value)
    }

    pub(super) fn optional_text(
        &mut self,
        identifier: u8,
        value: Option<&Text>,
    ) -> Result<(), EncodeError> {
        value.map_or(Ok(()), |text| self.binary(identifier, text.as_bytes()))
    }

    pub(super) fn user(&mut self, properties: &UserProperties) -> Result<(), EncodeError> {
        for (name, value) in properties {
            self.binary(USER_PROPERTY, name.as_bytes())?;
            put_prefixed(&mut self.bytes, value.as_bytes())?;
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes the properties behind their length.
    pub(super) fn finish(self, out: &mut BytesMut) {
        put_variable(out, self.bytes.len());
        out.put_slice(&self.bytes);
    }

    /// The properties without their length.
    pub(super) fn into_bytes(self) -> BytesMut {
        self.bytes
    }
}
